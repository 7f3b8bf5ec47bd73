from pathlib import Path

from pydantic import Field

from lstm_model.config.data import Delimiter, Dialect, Encoding, Quoting
from lstm_model.config.section import Count, Fraction, Section


class EvaluationConfig(Section):
    """How the classifier is evaluated on the test rows."""

    calibration_bins: int = Field(15, ge=2)
    """Bins of equal width for the expected calibration error and the reliability diagram."""
    confidence: Fraction = 0.95
    """Confidence level of the intervals: the share of resampled metrics inside them."""
    bootstrap_rounds: int = Field(2_000, ge=100)
    """Resamplings of the test rows behind each interval."""
    bootstrap_seed: int = Field(42, ge=0)
    """Decides which rows are drawn."""
    baseline: bool = True
    """Fit TF-IDF with a linear SVM on the same rows, to show what the network is worth."""
    slice_column: str | None = None
    """Name of a column of the labelled file; metrics are also given for the rows of each of its values."""
    cases: Path | None = None
    """File with columns text and label that any good model answers right. Unset: NAME.cases.csv next to data.path."""
    cases_quoting: Quoting = "auto"
    """Like data.quoting, for the file with the cases."""
    cases_delimiter: Delimiter = None
    """Like data.delimiter, for the file with the cases."""
    cases_encoding: Encoding = None
    """Like data.encoding, for the file with the cases."""
    shown_mistakes: Count = 50
    """Rows in the tables of confident mistakes and of likely label errors."""

    @property
    def cases_dialect(self) -> Dialect:
        """How the file with the cases is written."""
        return Dialect(delimiter=self.cases_delimiter, quoting=self.cases_quoting, encoding=self.cases_encoding)
