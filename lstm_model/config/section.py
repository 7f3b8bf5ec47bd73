"""What all sections of the configuration share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]

UPPER_CASE = ("lstm", "id", "f1", "uri")
WORDS = {"dim": "dimension", "vocab": "vocabulary", "min": "minimum", "max": "maximum"}


def title(name: str) -> str:
    """Return a setting's name for a form: lstm_units is "LSTM units"."""
    words = " ".join(word.upper() if word in UPPER_CASE else WORDS.get(word, word) for word in name.split("_"))
    return words[:1].upper() + words[1:]


class Section(BaseModel):
    """A group of settings: frozen, every field described, unknown names rejected."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        coerce_numbers_to_str=True,  # A label or a column may be called 1; files and forms then give a number.
        field_title_generator=lambda name, field: title(name),
    )
