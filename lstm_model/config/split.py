from pydantic import model_validator

from lstm_model.config.section import Fraction, Section


class SplitConfig(Section):
    """How rows are split; a split column overrides the fractions that it replaces."""

    test_fraction: Fraction = 0.15
    """Share of the rows of each label that becomes test rows."""
    validation_fraction: Fraction = 0.1
    """Share of the rows of each label that becomes validation rows (with a split column: of its train rows)."""
    seed: int = 42
    """Decides which rows go where."""
    group_column: str | None = None
    """Name of a column whose values stay in one split, such as a customer; a null is a group of its own."""
    time_column: str | None = None
    """Name of a column of ISO dates, timestamps or numbers: the newest rows are test, the next ones validation."""

    @model_validator(mode="after")
    def _possible(self) -> "SplitConfig":
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError("test_fraction + validation_fraction must stay below 1, so that train rows remain")
        if self.group_column and self.time_column:
            raise ValueError("group_column and time_column exclude each other")
        return self
