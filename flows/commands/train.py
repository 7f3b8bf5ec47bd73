"""`lstm-text train`: the training flow."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from flows.commands.settings import CommandSettings, finish
from lstm_model.config.pipeline import PRESETS, PipelineConfig
from lstm_model.errors import UsageError


class Settings(CommandSettings, PipelineConfig):
    """Train on a labelled file, judge, register, and promote if good."""

    command: ClassVar[str] = "train"
    opens_tracking = "later"

    config: Path | None = None
    """A YAML file with sections as here."""
    preset: Literal[tuple(PRESETS)] = "default"  # type: ignore[valid-type]
    """A named configuration to start from."""
    trigger: Literal["manual", "schedule", "drift", "feedback"] = "manual"
    """What starts this run; with schedule it ends early if nothing has changed since the last decided run."""
    cache: bool = True
    """Use what earlier runs left in the stage store; with --no-cache everything is computed anew."""
    force_retrain: bool = False
    """Train on schedule also if nothing has changed."""

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
    # A missing or broken file is reported at once, before anything is started.
    read_columns(config.data.path, quoting=config.data.quoting)
    if cases := find_cases(config.data, config.evaluation):
        read_cases(cases, quoting=config.evaluation.cases_quoting)

    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():  # It comes up while these are imported.
        from flows.training import train_text_classifier
    outcome = train_text_classifier(
        **{name: getattr(config, name) for name in type(config).model_fields},
        trigger=settings.trigger,
        use_cache=settings.cache,
        force_retrain=settings.force_retrain,
    )
    print(f"\n{outcome.table}\n\n{outcome.rules_table}\n" if outcome.table else "")
    print(f"{outcome.model_name} version {outcome.version} {outcome.told}")
    print(f"MLflow run {outcome.run_id}")
    print(
        "\nNext:\n"
        "  make ui                                           the runs in MLflow and Prefect\n"
        "  make serve                                        the champion over HTTP\n"
        "  .venv/bin/lstm-text predict 'Striker signs'       answers in the terminal\n"
        "  .venv/bin/lstm-text score FILE --output OUT.parquet    answers for a file"
    )
    return finish(settings, outcome.model_dump(mode="json", exclude={"table", "rules_table", "told"}))


class _FileSource(PydanticBaseSettingsSource):
    """The YAML file that --config names."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = self.current_state.get("config")
        if path is None:
            return {}
        try:
            values = yaml.safe_load(Path(path).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(
                expected=f"a YAML file at {path}",
                found=" ".join(str(error).split()),
                remedy="Mend the file or the path.",
            ) from None
        if values is not None and not isinstance(values, dict):
            raise UsageError(
                expected=f"sections such as `training:` in {path}",
                found=f"a {type(values).__name__}",
                remedy="See docs/configuration.md.",
            )
        return {name: value for name, value in (values or {}).items() if value is not None}  # `training:` alone.


class _PresetSource(PydanticBaseSettingsSource):
    """The named configuration that --preset, or the file, chooses."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return PRESETS.get(str(self.current_state.get("preset", "default")), {})
