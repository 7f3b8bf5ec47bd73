"""What the reports say about a run besides its evaluation: settings, versions, counts and curves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lstm_model.config.pipeline import PipelineConfig, flatten

LINK_SCHEMES = ("http://", "https://")


@dataclass(frozen=True)
class RunFacts:
    """A training run as its tracking server knows it, and the packages it ran with.

    url: its page there. epochs: the metrics after each epoch, from 1.
    """

    run_id: str
    name: str
    url: str
    started: str
    config: PipelineConfig
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    epochs: list[dict[str, float]] = field(default_factory=list)
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def flow_url(self) -> str | None:
        """The address of the flow run's page, if a page may link to it."""
        url = self.tags.get("prefect.flow_run_url", "")
        return url if url.startswith(LINK_SCHEMES) else None

    @property
    def remarks(self) -> list[str]:
        """What validation remarked about the labelled file."""
        return self.tags.get("data_remarks", "").splitlines()

    @property
    def best_epoch(self) -> int:
        return int(self.metrics.get("best_epoch", len(self.epochs)))

    def metrics_below(self, prefix: str) -> dict[str, float]:
        """Return the metrics with this prefix, without it: rows.* are counts of rows, seconds.* times of stages."""
        return {key.removeprefix(prefix): value for key, value in self.metrics.items() if key.startswith(prefix)}

    @property
    def changed_settings(self) -> list[tuple[str, str, str]]:
        """Name, value and default of the settings that differ from the defaults."""
        defaults = flatten(PipelineConfig())
        given = flatten(self.config).items()
        return [(name, str(value), str(defaults[name])) for name, value in given if value != defaults[name]]
