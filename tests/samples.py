"""Small labelled files that tests train on."""

from pathlib import Path


def write_tiny_file(path: Path, *, rows: int = 60) -> Path:
    """Write rows of three labels that a word tells apart, trained on in a few seconds; return the path."""
    words = {"cat": "purr meow whisker", "dog": "bark woof leash", "owl": "hoot night feather"}
    lines = ["id,text,label"]
    for number in range(rows):
        label = sorted(words)[number % 3]
        clue = words[label].split()[(number // 3) % 3]
        lines.append(f"r{number},the {clue} came at {number} and left,{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
