"""What a run's reports tell about it besides its evaluation: settings, versions, counts and curves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
    params: Mapping[str, str]
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


def changed_params(params: Mapping[str, str]) -> list[tuple[str, str, str | None]]:
    """Return (name, value, default) of the params that differ from this version's defaults; None: it knows no such."""
    defaults: dict[str, Any] = flatten(PipelineConfig())
    known = {name: str(value) for name, value in defaults.items()}
    return [(name, value, known.get(name)) for name, value in params.items() if value != known.get(name)]


def differing_params(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    """Return (name, value in a, value in b) of the params that differ; None: the run has no such param."""
    return [(name, a.get(name), b.get(name)) for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
