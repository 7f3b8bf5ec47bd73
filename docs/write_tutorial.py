"""Run the commands of docs/tutorial.md and write their output into it; with --check, compare instead and exit with 1.

    python docs/write_tutorial.py [--check]

A block ```bash is run, in order, in one shell in a copy of the project. The block ```text below it gets the output;
without one, the output is not shown. Of an output with a line `...`, as many lines before and after it are shown as are
now. A comment above a block says what else a reader sees:

    <!-- exit code 3 -->                            the command that fails ends with it
    <!-- server: http://127.0.0.1:5001/health -->   runs until the end; the next block waits until this answers (or,
                                                    without ://, until this is printed); several: separated by ", "

Run ids in commands are those of the page: they are replaced by the ids which the same outputs have this time. The
comparison ignores numbers, ids, times, generated names and the width of columns; and the order of lines, because some
stages run at the same time.
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from page_session import PageSession

PAGE = Path(__file__).with_name("tutorial.md")
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*) -->\n)?^```bash\n(?P<commands>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
RUN_ID = re.compile(r"\b[0-9a-f]{32}\b")
SHORT_ID = re.compile(r"\b[0-9a-f]{8}\b")
MASKS = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b|\b(?=[a-f]*\d)[0-9a-f]{8}\b"), "0"),
    (re.compile(r"'[a-z]+-[a-z]+'"), "'NAME'"),  # Prefect's names of flow runs.
    (re.compile(r"[+-]?\d[\d.,:]*(e[+-]\d+)?"), "0"),
    (re.compile(r"(0 ?(h|m|min) )?0 ?(s|ms|seconds)\b"), "0 s"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r"([-=─━█▏▎▍▌▋▊▉])\1+"), r"\1"),
)


class Block(NamedTuple):
    """Commands of the page, what a comment says about them, and the output shown below them."""

    commands: str
    output: str | None
    exit_code: int
    server: list[str] | None


def main(arguments: list[str]) -> int:
    """Write the page, or check it; return the exit code."""
    if arguments not in ([], ["--check"]):
        print(f"Unknown arguments: {' '.join(arguments)}. The only option is --check.", file=sys.stderr)
        return 2
    page = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory(prefix="lstm-text-tutorial-") as folder, PageSession(Path(folder)) as session:
        new = run_page(page, session)
    if not arguments:
        PAGE.write_text(new, encoding="utf-8")
        return 0
    differences = differing_outputs(page, new)
    print("\n".join([*differences, "docs/tutorial.md is out of date. Run make docs."] if differences else []), end="")
    return int(bool(differences))


def run_page(page: str, session: PageSession) -> str:
    """Run all blocks; return the page with their output."""
    ids: dict[str, str] = {}  # Of the page -> of this time.

    def ran(found: re.Match[str]) -> str:
        block, whole = parsed(found), found[0]
        commands = SHORT_ID.sub(lambda known: current_id(known[0], ids), block.commands)
        output = run_block(block, commands, session)
        if block.output is not None:
            new = abridged(output, block.output)
            ids.update(zip(RUN_ID.findall(block.output), RUN_ID.findall(new), strict=False))
            whole = whole.replace(f"```text\n{block.output}```", f"```text\n{new}```")
        return whole.replace(block.commands, commands, 1)

    return BLOCK.sub(ran, page)


def parsed(found: re.Match[str]) -> Block:
    """Return a block of the page. Raises ValueError if its comment is not understood."""
    note, exit_code, server = found["note"] or "", 0, None
    if given := re.fullmatch(r"exit code (\d+)", note):
        exit_code = int(given[1])
    elif note.startswith("server: "):
        server = note.removeprefix("server: ").split(", ")
    elif note:
        raise ValueError(f"This comment above a block is not understood: {note}")
    return Block(found["commands"], found["output"], exit_code, server)


def run_block(block: Block, commands: str, session: PageSession) -> str:
    """Return the output of a block. Raises RuntimeError if it ends with another exit code."""
    if block.server:
        return session.serve(commands.strip(), block.server)
    code, output = session.run(commands)
    if code != block.exit_code:
        raise RuntimeError(f"Exit code {code} instead of {block.exit_code}:\n{commands}\n{output[-4_000:]}")
    return output


def current_id(short: str, ids: dict[str, str]) -> str:
    """Return the start of a run's id as it is this time; itself if no output of the page has it."""
    return next((new[: len(short)] for old, new in ids.items() if old.startswith(short)), short)


def abridged(output: str, shown: str) -> str:
    """Return an output with the lines that `shown` leaves out at `...` left out."""
    lines, now = output.strip("\n").splitlines(), shown.splitlines()
    if "..." in now:
        before, after = now.index("..."), len(now) - now.index("...") - 1
        lines = [*lines[:before], "...", *lines[max(before, len(lines) - after) :]]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def masked(output: str) -> str:
    """Return an output without what differs from run to run."""
    for pattern, mask in MASKS:
        output = pattern.sub(mask, output)
    return output


def differing_outputs(page: str, new: str) -> list[str]:
    """Return the masked lines that only one of both pages has, block by block, as in a diff."""
    blocks = [
        [set(masked(block["output"] or "").splitlines()) for block in BLOCK.finditer(text)] for text in (page, new)
    ]
    lines = []
    for shown, now in zip(*blocks, strict=True):
        lines += [f"- {line}" for line in sorted(shown - now)] + [f"+ {line}" for line in sorted(now - shown)]
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
