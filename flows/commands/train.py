"""`lstm-text train`: run the training flow."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from flows.commands.settings import CommandSettings, finish
from lstm_model.config.pipeline import PRESETS, PipelineConfig
from lstm_model.errors import UsageError

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
    """A named configuration to start from."""
    trigger: Literal["manual", "schedule", "drift", "feedback"] = "manual"
    """What starts this run; with schedule it ends early if nothing has changed since the last decided run."""
    cache: bool = True
    """Reuse stages of earlier runs from the stage store; with --no-cache every stage runs again."""
    force_retrain: bool = False
    """Train on schedule even if nothing has changed."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **others: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, _FileSource(settings_cls), _PresetSource(settings_cls))

    def pipeline(self) -> PipelineConfig:
        """Return the sections alone."""
        return PipelineConfig(**{name: getattr(self, name) for name in PipelineConfig.model_fields})


def run(settings: Settings) -> int:
    from lstm_model.data.cases import find_cases, read_cases
    from lstm_model.data.reading import read_columns

    config = settings.pipeline()
    # Report a missing or broken file at once, before anything starts.
    read_columns(config.data.path, quoting=config.data.quoting)
    if cases := find_cases(config.data, config.evaluation):
        read_cases(cases, quoting=config.evaluation.cases_quoting)

    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():  # It starts while these are imported.
        from flows.training import train_text_classifier
    outcome = train_text_classifier(
        **dict(config), trigger=settings.trigger, use_cache=settings.cache, force_retrain=settings.force_retrain
    )
    print(f"\n{outcome.table}\n\n{outcome.rules_table}\n" if outcome.table else "")
    print(f"{outcome.model_name} version {outcome.version} {outcome.summary}\nMLflow run {outcome.run_id}\n{NEXT}")
    return finish(settings, outcome.model_dump(mode="json", exclude={"table", "summary"}))


class _Source(PydanticBaseSettingsSource):
    """A source that gives all its values at once."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False


class _FileSource(_Source):
    """The YAML file of --config."""

    def __call__(self) -> dict[str, Any]:
        path = self.current_state.get("config")
        if path is None:
            return {}
        try:
            values = yaml.safe_load(Path(path).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(
                f"Cannot read {path} as YAML: {' '.join(str(error).split())}.", "Fix the file or the path."
            ) from None
        if values is not None and not isinstance(values, dict):
            raise UsageError(
                f"{path} has no sections such as `training:`, but a {type(values).__name__}.",
                "docs/configuration.md lists the sections.",
            )
        return {name: value for name, value in (values or {}).items() if value is not None}  # `training:` alone.


class _PresetSource(_Source):
    """The named configuration of --preset, or of the file."""

    def __call__(self) -> dict[str, Any]:
        return PRESETS.get(str(self.current_state.get("preset", "default")), {})
