from math import log2
from typing import Literal

from pydantic import Field

from lstm_model.config.section import Count, Section


class TrainingConfig(Section):
    """How the network is fitted."""

    epochs: Count = 30
    """Most passes over the training rows."""
    batch_size: int = Field(0, ge=0)
    """Rows per step. 0: the power of two between 32 and 512 nearest to a 300th of the train rows."""
    learning_rate: float = Field(3e-3, gt=0)
    """Adam's step size."""
    average_epochs: float = Field(1.0, ge=0)
    """Epochs over which weights are averaged (exponentially); the average is evaluated and kept. 0: no average."""
    adversarial: float | None = Field(None, ge=0)
    """Adversarial training: how far the word vectors of a text move against it, in mean vector lengths; it doubles the
    time. 0: off. Unset: 1 below 10,000 train rows, else 0."""
    gradient_clip_norm: float = Field(1.0, ge=0)
    """Global norm that gradients are cut to; 0 leaves them."""
    patience: int = Field(0, ge=0)
    """Epochs without a better validation metric before training stops. 0: 2 from 10,000 train rows on, 3 below."""
    monitor: Literal["log_loss", "macro_f1"] = "log_loss"
    """The validation metric that picks the best epoch."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rows of rare labels weigh more, in inverse proportion to their number."""
    warm_start: Literal["none", "champion"] = "none"
    """champion: start from the champion's weights where tokens, labels and sizes agree, instead of from random ones."""
    seed: int = Field(42, ge=0)
    """Decides initial weights, order and dropout, together with the epoch."""

    def for_rows(self, rows: int) -> "TrainingConfig":
        """Return the settings for so many train rows: values where 0 or nothing is set."""
        few = rows < 10_000  # Epochs are short and noisy, and may take twice as long.
        size = self.batch_size or 2 ** min(max(round(log2(max(rows, 1) / 300)), 5), 9)
        patience = self.patience or (3 if few else 2)
        adversarial = float(few) if self.adversarial is None else self.adversarial
        return self.model_copy(update={"batch_size": size, "patience": patience, "adversarial": adversarial})
