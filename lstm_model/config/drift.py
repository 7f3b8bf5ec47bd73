"""When new texts count as drifted."""

from typing import Annotated

from pydantic import Field

from lstm_model.config.section import Fraction, Rate, Section


class DriftConfig(Section):
    """When new texts count as other than those a version was judged on. No part of training: it changes no model."""

    max_psi: Annotated[float, Field(gt=0)] = 0.2
    """Largest population stability index of predicted labels, of confidence and of length."""
    max_unknown_change: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Largest change of the share of unknown tokens, up or down."""
    max_word_auc: Annotated[float, Field(ge=0.5, lt=1)] = 0.7
    """How well a classifier may tell new texts from the reference by their words: area under its ROC curve."""
    false_alarm_rate: Fraction = 0.01
    """Share of batches like the reference that may be called drifted by chance; it widens the limits of small ones."""
    min_rows: Annotated[int, Field(ge=10)] = 30
    """Fewest different rows that are judged, of the batch, the reference and the feedback."""
    accuracy_margin: Rate = 0.03
    """How far real accuracy (feedback) may lie below the version's test accuracy, beyond chance."""
    cooldown_days: Annotated[float, Field(ge=0)] = 7.0
    """Days after an event in which the same version causes no other."""
    experiment_name: str = "lstm-text-monitoring"
    """MLflow experiment that holds the comparisons."""
