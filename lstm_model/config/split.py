"""The split into train, validation and test rows."""

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

    @model_validator(mode="after")
    def _leave_training_rows(self) -> "SplitConfig":
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError("test_fraction + validation_fraction must stay below 1, so that train rows remain")
        return self
