"""When a new version becomes champion."""

from typing import Annotated, Literal

from pydantic import Field

from lstm_model.config.section import Count, Section


class PromotionConfig(Section):
    """When the new version becomes champion. Figures are of test rows; intervals are as evaluation.confidence says."""

    min_macro_f1: Annotated[float, Field(ge=0, le=1)] = 0.2
    """The lowest macro-F1."""
    beat_guessing: bool = True
    """The interval of macro-F1 must lie above what guessing gets."""
    min_class_f1: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The lowest F1 of a class."""
    class_floors: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}  # noqa: RUF012  pydantic copies it
    """The lowest F1 of the classes named here, in the place of min_class_f1."""
    min_class_rows: Count = 20
    """A class with fewer compared rows is not judged by itself: its F1 is mostly chance."""
    max_class_f1_drop: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How much lower than the champion's the F1 of a class may be."""
    max_macro_f1_drop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Worse than the champion is a candidate whose macro-F1 is lower by more than this, beyond chance."""
    min_compared_rows: Count = 50
    """The fewest rows, unseen by candidate and champion, that the two can be compared on."""
    baseline: Literal["ignore", "warn", "require"] = "warn"
    """What follows where the linear baseline is as good: nothing, a warning, or no promotion."""
