from pydantic import Field

from lstm_model.config.section import Fraction, Rate, Section


class DriftConfig(Section):
    """When new texts count as different from those that a version was evaluated on. It changes no model."""

    max_psi: float = Field(0.2, gt=0)
    """Largest population stability index of predicted labels, of confidence and of length."""
    max_unknown_change: Fraction = 0.05
    """Largest change of the share of unknown tokens, up or down."""
    max_word_auc: float = Field(0.7, ge=0.5, lt=1)
    """How well a classifier may separate new texts from the reference by their words: area under its ROC curve."""
    false_alarm_rate: Fraction = 0.01
    """Share of batches like the reference that may be called drifted by chance; it widens the limits of small ones."""
    min_rows: int = Field(30, ge=10)
    """Fewest different rows that are compared, of the batch, the reference and the feedback."""
    accuracy_margin: Rate = 0.03
    """How far real accuracy (feedback) may lie below the version's test accuracy, beyond chance."""
    cooldown_days: float = Field(7.0, ge=0)
    """Days after an event in which the same version causes no other."""
    experiment_name: str = "lstm-text-monitoring"
    """MLflow experiment for the comparisons."""
