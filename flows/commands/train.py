"""`lstm-text train`: run the training flow."""

from pathlib import Path
from textwrap import fill
from typing import Any, Literal

from pydantic import model_validator

from flows.commands.settings import CommandSettings, finish
from lstm_model.config.pipeline import PRESETS, PipelineConfig
from lstm_model.config.yaml_file import read_sections

NEXT = """
Next:
  make ui                                           the runs in MLflow and Prefect
  make serve                                        the champion over HTTP
  .venv/bin/lstm-text predict 'Striker signs'       answers in the terminal
  .venv/bin/lstm-text score FILE --output OUT.parquet    answers for a file"""


class Settings(CommandSettings, PipelineConfig):
    """Train on a labelled file, evaluate, register, and promote if good."""

    opens_tracking = "later"

    config: Path | None = None
    """A YAML file with sections as here."""
    preset: Literal[tuple(PRESETS)] = "default"  # type: ignore[valid-type]
    """A named configuration to start from; `lstm-text train --help` describes each."""
    trigger: Literal["manual", "schedule", "drift", "feedback"] = "manual"
    """What starts this run; with schedule it ends early if nothing has changed since the last decided run."""
    cache: bool = True
    """Reuse stages of earlier runs from the stage store; with --no-cache every stage runs again."""
    force_retrain: bool = False
    """Train on schedule even if nothing has changed."""

    @model_validator(mode="before")
    @classmethod
    def _add_file_and_preset(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Add what the command line leaves out: from the file, then from the preset."""
        if given.get("config") is not None:
            given = _merge(read_sections(Path(given["config"])), given)
        return _merge(PRESETS.get(str(given.get("preset", "default")), {}), given)

    def pipeline(self) -> PipelineConfig:
        """Return the sections alone."""
        return PipelineConfig(**{name: getattr(self, name) for name in PipelineConfig.model_fields})


PRESET_LINES = [
    fill(preset.description, 100, initial_indent=f"  {name:10}", subsequent_indent=" " * 12)
    for name, preset in PRESETS.items()
]
Settings.__doc__ = "\n".join([f"{Settings.__doc__}\n", "Presets:", *PRESET_LINES])


def run(settings: Settings) -> int:
    from lstm_model.data.cases import find_cases, read_cases

    config = settings.pipeline()
    check_inputs(config)
    if cases := find_cases(config.data, config.evaluation):
        read_cases(cases, inputs=config.data.inputs, dialect=config.evaluation.cases_dialect)

    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():  # It starts while these are imported.
        from flows.training import train_text_classifier
        from tasks.promotion.decide_promotion import rules_table
    outcome = train_text_classifier(
        **dict(config), trigger=settings.trigger, use_cache=settings.cache, force_retrain=settings.force_retrain
    )
    print(f"\n{outcome.table}\n\n{rules_table(outcome.rules)}\n" if outcome.table else "")
    print(f"{outcome.model_name} version {outcome.version} {outcome.summary}\nMLflow run {outcome.run_id}\n{NEXT}")
    return finish(settings, outcome.model_dump(mode="json", exclude={"table", "summary"}))


def check_inputs(config: PipelineConfig) -> None:
    """Report a missing or broken file at once, before anything starts."""
    from lstm_model.data.reading import read_columns
    from lstm_model.data.row_rules import wanted_columns

    read_columns(config.data.path, dialect=config.data.dialect, names=wanted_columns(config.data).values())
    if path := config.model.word_vectors:
        from lstm_model.tokens.word_vectors import check_word_vectors

        check_word_vectors(path, embedding_dim=config.model.embedding_dim)


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of both, at every depth; `high` wins."""
    both = {name for name in low.keys() & high.keys() if isinstance(low[name], dict) and isinstance(high[name], dict)}
    return {**low, **high, **{name: _merge(low[name], high[name]) for name in both}}
