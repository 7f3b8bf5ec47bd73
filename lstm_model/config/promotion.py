from typing import Literal

from lstm_model.config.section import Count, Section, Share


class PromotionConfig(Section):
    """When the new version becomes champion. Metrics are of test rows; intervals are as evaluation.confidence says."""

    min_macro_f1: Share = 0.2
    """The lowest macro-F1."""
    beat_guessing: bool = True
    """The interval of macro-F1 must lie above the macro-F1 of guessing."""
    max_unknown_rate: Share = 0.5
    """The largest share of the test rows' tokens that the vocabulary may lack."""
    min_class_f1: Share = 0.05
    """The lowest F1 of a class."""
    class_floors: dict[str, Share] = {}  # noqa: RUF012  pydantic copies it
    """The lowest F1 of the classes named here, instead of min_class_f1."""
    min_class_rows: Count = 20
    """A class with fewer compared rows is not checked separately: its F1 is mostly chance."""
    max_class_f1_drop: Share = 0.1
    """How much lower than the champion's the F1 of a class may be."""
    max_macro_f1_drop: Share = 0.0
    """A candidate is worse than the champion if its macro-F1 is lower by more than this, beyond chance."""
    min_compared_rows: Count = 50
    """The fewest rows, unseen by candidate and champion, that the two can be compared on."""
    baseline: Literal["ignore", "warn", "require"] = "warn"
    """What follows if the linear baseline is as good: nothing, a warning, or no promotion."""
