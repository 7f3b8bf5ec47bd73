from pydantic import Field

from lstm_model.config.section import Count, Section


class ExportConfig(Section):
    """From the trained network to the classifier that is served."""

    max_difference: float = Field(1e-5, gt=0)
    """Largest difference of a probability between Keras and ONNX Runtime on validation rows."""
    compared_rows: Count = 512
    """Validation rows on which the two are compared."""
    calibrate: bool = True
    """Fit a temperature on validation rows, so that a score is the share of right answers; kept only if it helps."""
