import os
import shlex
import shutil
import sys
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

from pydantic import model_validator

from flows.settings import FlowSettings, finish
from lstm_model.config.pipeline import PRESETS, PipelineConfig
from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.yaml_file import read_sections


class Settings(FlowSettings, PipelineConfig):
    """Train on a labelled file, evaluate, register, and promote if good."""

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

    def check_inputs(self) -> None:
        """Report missing files and columns, files that cannot be read, and a column without labels."""
        from lstm_model.data.cases import find_cases, read_cases
        from lstm_model.data.columns import check_columns, check_labels

        config = self.pipeline()
        check_columns(config.data, config.other_columns)
        check_labels(config.data)
        if path := config.model.word_vectors:
            from lstm_model.tokens.word_vectors import check_word_vectors

            check_word_vectors(path, embedding_dim=config.model.embedding_dim)
        if cases := find_cases(config.data, config.evaluation):
            read_cases(cases, inputs=config.data.inputs, dialect=config.evaluation.cases_dialect)


PRESET_LINES = [
    fill(preset.description, 100, initial_indent=f"  {name:10}", subsequent_indent=" " * 12)
    for name, preset in PRESETS.items()
]
Settings.__doc__ = "\n".join([f"{Settings.__doc__}\n", "Presets:", *PRESET_LINES])


def run(settings: Settings) -> int:
    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():  # It starts while these are imported.
        from flows.training import train_text_classifier
        from tasks.promotion.history import rules_table
    outcome = train_text_classifier(
        **dict(settings.pipeline()),
        trigger=settings.trigger,
        use_cache=settings.cache,
        force_retrain=settings.force_retrain,
    )
    print(f"\n{outcome.table}\n\n{rules_table(outcome.rules)}\n" if outcome.table else "")
    print(f"{outcome.model_name} version {outcome.version} {outcome.summary}\nMLflow run {outcome.run_id}\n")
    print(next_commands(outcome.model_name, outcome.champion_version))
    return finish(settings, outcome.model_dump(mode="json", exclude={"table", "summary"}))


def next_commands(model_name: str, champion: str | None) -> str:
    """Return the commands that usually follow a training, for this model."""
    default = model_name == RegistrationConfig().model_name
    make = "" if default else f" MODEL={shlex.quote(model_name)}"
    uri = "" if default else f" --model-uri {shlex.quote(f'models:/{model_name}@champion')}"
    on_path = shutil.which("lstm-text") == sys.argv[0]
    command = "lstm-text" if on_path else min(sys.argv[0], os.path.relpath(sys.argv[0]), key=len)
    commands = {"make ui": "the runs in MLflow and Prefect"}
    if champion is not None:
        commands |= {
            f"make serve{make}": "the champion over HTTP",
            f"{command} predict{uri} TEXT": "answers in the terminal",
            f"{command} score{uri} FILE --output OUT.parquet": "answers for a file",
        }
    width = max(map(len, commands))
    return "\n".join(["Next:", *(f"  {command:{width}}  {what}" for command, what in commands.items())])


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of both, at every depth; `high` wins."""
    both = {name for name in low.keys() & high.keys() if isinstance(low[name], dict) and isinstance(high[name], dict)}
    return {**low, **high, **{name: _merge(low[name], high[name]) for name in both}}
