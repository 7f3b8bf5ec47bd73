"""A section of the configuration: frozen, each field described, unknown names refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


WORDS = {
    "lstm": "LSTM",
    "id": "ID",
    "f1": "F1",
    "uri": "URI",
    "dim": "dimension",
    "vocab": "vocabulary",
    "min": "minimum",
    "max": "maximum",
}


def title(name: str) -> str:
    """Return a setting's name for a form: lstm_units is "LSTM units"."""
    words = [WORDS.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


class Section(BaseModel):
    """A group of settings: frozen, every field described, unknown names refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        field_title_generator=lambda name, field: title(name),
    )
