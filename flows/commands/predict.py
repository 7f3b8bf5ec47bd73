import argparse
import io
import sys
from typing import Self

from pydantic import Field

from flows.settings import DEFAULT_MODEL_URI, CommandSettings, finish
from lstm_model.errors import UsageError

MOST_CHARACTERS = 50_000_000  # Of stdin. All answers are in memory before the first is shown.


class Settings(CommandSettings):
    """Answer texts given on the command line."""

    texts: list[str]
    model_uri: str = DEFAULT_MODEL_URI
    threshold: float = Field(0.0, ge=0, le=1)
    abstain_label: str = "abstain"
    top_k: int = Field(0, ge=0)
    json_input: bool = False

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Self:
        """Parse with argparse: pydantic-settings splits the values of a list at commas, and texts have many."""
        parser = argparse.ArgumentParser(
            prog="lstm-text predict", description=cls.__doc__, argument_default=argparse.SUPPRESS
        )
        parser.add_argument(
            "texts",
            nargs="+",
            metavar="TEXT",
            help="a text, or - for one per line of stdin; write -- before texts that start with -",
        )
        parser.add_argument("--model-uri", help="models:/NAME@ALIAS or models:/NAME/VERSION")
        parser.add_argument("--threshold", help="answers with a lower score get the abstain label")
        parser.add_argument("--abstain-label", help="the label of answers below the threshold")
        parser.add_argument("--top-k", help="name this many labels, the most probable first; 0: all probabilities")
        parser.add_argument(
            "--json-input", action="store_true", help="each TEXT is a JSON object with the model's text columns"
        )
        parser.add_argument("--json", action="store_true", help="make the last line of stdout one JSON object")
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        given = vars(parser.parse_args(arguments))
        if given["texts"] == ["-"]:
            given["texts"] = _lines_of_stdin()
        return cls(**given)


def _lines_of_stdin() -> list[str]:
    # Undecodable bytes become half of a surrogate pair, which `predict_texts` names.
    with io.TextIOWrapper(sys.stdin.buffer, "utf-8", errors="surrogateescape") as stdin:
        lines = stdin.read(MOST_CHARACTERS + 1)
    if not lines:
        raise UsageError("stdin has no text.", "Pipe one text per line into lstm-text predict -.")
    if len(lines) > MOST_CHARACTERS:
        problem = f"stdin has more than {MOST_CHARACTERS:,} characters."
        raise UsageError(problem, "Use lstm-text score, which reads files of any size.")
    return lines.removesuffix("\n").split("\n")


def run(settings: Settings) -> int:
    from tasks.scoring.predict_texts import predict_texts

    answers = predict_texts(**settings.without())
    for text, answer in zip(settings.texts, answers, strict=True):
        others = zip(answer.get("top_labels", [])[1:], answer.get("top_scores", [])[1:], strict=True)
        print("\t".join([answer["label"], f"{answer['score']:.4f}", text, *(f"{o} {s:.4f}" for o, s in others)]))
    return finish(settings, {"model_uri": settings.model_uri, "answers": answers})
