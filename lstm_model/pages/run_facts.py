"""What a run's reports tell about it besides its evaluation: settings, versions, counts and curves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lstm_model.config.pipeline import PipelineConfig, flatten

LINK_SCHEMES = ("http://", "https://")


@dataclass(frozen=True)
class RunFacts:
    """A training run: as its tracking server knows it, and the packages it ran with.

    url: its page there. epochs: the figures after each epoch, from 1.
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
        """Return the address of the flow run's page, if it is one that a page may link to."""
        url = self.tags.get("prefect.flow_run_url", "")
        return url if url.startswith(LINK_SCHEMES) else None

    @property
    def rows(self) -> dict[str, int]:
        """Return counts of rows: train, validation, test, left_out, quarantined ..."""
        prefix = "rows."
        return {key.removeprefix(prefix): int(n) for key, n in self.metrics.items() if key.startswith(prefix)}

    @property
    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage; a cached one takes few."""
        prefix = "seconds."
        return {key.removeprefix(prefix): value for key, value in self.metrics.items() if key.startswith(prefix)}


def changed_settings(config: PipelineConfig) -> list[tuple[str, str, str]]:
    """Return (name, value, default) of the settings that differ from the defaults."""
    defaults = flatten(PipelineConfig())
    return [
        (name, str(value), str(defaults[name])) for name, value in flatten(config).items() if value != defaults[name]
    ]
