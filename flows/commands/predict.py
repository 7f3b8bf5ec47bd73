"""`lstm-text predict`: texts on the command line, answered without Prefect."""

import argparse
from typing import ClassVar, Self

from pydantic import Field

from flows.commands.settings import DEFAULT_MODEL_URI, CommandSettings, finish


class Settings(CommandSettings):
    """Answer texts given on the command line."""

    command: ClassVar[str] = "predict"

    texts: list[str]
    """The texts."""
    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Answers with a lower score get the abstain label."""
    abstain_label: str = "abstain"
    """What stands in the place of a label below the threshold."""
    top_k: int = Field(0, ge=0)
    """Name this many labels, the most probable first; 0 gives a probability for every label."""

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Self:
        """Parse with argparse alone: pydantic-settings splits a list's values at commas, which texts are full of."""
        parser = argparse.ArgumentParser(prog="lstm-text predict", description=cls.__doc__)
        parser.add_argument("texts", nargs="+", metavar="TEXT", help="a text; write -- before texts that begin with -")
        parser.add_argument("--model-uri", default=DEFAULT_MODEL_URI, help="models:/NAME@ALIAS or models:/NAME/VERSION")
        parser.add_argument("--threshold", default=0.0, help="answers with a lower score get the abstain label")
        parser.add_argument("--abstain-label", default="abstain", help="what stands in the place of a label then")
        parser.add_argument("--top-k", default=0, help="name this many labels, the most probable first")
        parser.add_argument("--json", action="store_true", help="make the last line of stdout one JSON object")
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return cls(**vars(parser.parse_args(arguments)))


def run(settings: Settings) -> int:
    from tasks.scoring.predict_texts import predict_texts

    options = {"top_k": settings.top_k, "threshold": settings.threshold, "abstain_label": settings.abstain_label}
    answers = predict_texts(settings.texts, settings.model_uri, **options)
    for text, answer in zip(settings.texts, answers, strict=True):
        others = zip(answer.get("top_labels", [])[1:], answer.get("top_scores", [])[1:], strict=True)
        print("\t".join([answer["label"], f"{answer['score']:.4f}", text, *(f"{o} {s:.4f}" for o, s in others)]))
    return finish(settings, {"model_uri": settings.model_uri, "answers": answers})
