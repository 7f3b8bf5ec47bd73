"""The flags of each subcommand, one settings class each. Precedence: command line, file, preset, defaults."""

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliPositionalArg,
    CliSettingsSource,
    CliToggleFlag,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from lstm_model.config import PRESETS, DriftConfig, ModelName, PipelineConfig, RegistrationConfig, TuningConfig
from lstm_model.delimited import Quoting
from lstm_model.errors import UsageError
from lstm_model.search_space import check_space

DEFAULT_MODEL_URI = "models:/text-classifier@champion"
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
VersionNumber = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*$")]


class CommandSettings(BaseSettings):
    """What every subcommand understands. The process environment is not read for settings."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,
    )
    command: ClassVar[str]

    as_json: bool = Field(False, validation_alias="json")
    """Make the last line of stdout one JSON object."""
    debug: bool = False
    """Show the traceback of an error."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **others: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Self:
        """Return the settings that the command line gives. `--help` prints and exits with 0."""
        source: CliSettingsSource[Any] = CliSettingsSource(
            cls, cli_prog_name=f"lstm-text {cls.command}", cli_parse_args=arguments
        )
        return cls(_cli_settings_source=source)


class TrainSettings(CommandSettings, PipelineConfig):
    """Train on a labelled file, judge, register, and promote if good."""

    command: ClassVar[str] = "train"

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


class TuneSettings(TrainSettings):
    """Search for better settings, judged on validation rows, and write them as a file for train."""

    command: ClassVar[str] = "tune"

    tuning: TuningConfig = TuningConfig()
    """What is tried, and for how long."""
    output: Path | None = None
    """Where the best configuration goes, a YAML file. Unset: tuned/NAME.yaml in the folder of run state."""
    overwrite: bool = False
    """Replace an output that exists."""
    train: bool = False
    """Train with the best configuration right after."""

    def pipeline(self) -> PipelineConfig:
        """Return the sections that the search starts from; raises UsageError for a space that cannot be searched."""
        base = super().pipeline()
        check_space(self.tuning, base)
        return base


class ScoreSettings(CommandSettings):
    """Answer every row of a file with a registered model."""

    command: ClassVar[str] = "score"

    input: CliPositionalArg[Path]
    """The file with the texts: .csv, .tsv, .jsonl (each also .gz) or .parquet."""
    output: Path
    """Where the answers go: .parquet or .csv."""
    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    text_column: str = "text"
    """Name of the column with the text."""
    id_column: str | None = None
    """Name of the column with the id. Unset: `id` if the file has it, otherwise the row number from 1."""
    quoting: Quoting = "auto"
    """Whether double quotes enclose fields of CSV and TSV: auto, quoted or none, as data.quoting of train."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Answers with a lower score get the abstain label."""
    abstain_label: str = "abstain"
    """What stands in the place of a label below the threshold."""
    overwrite: bool = False
    """Replace an output that exists."""
    resume: bool = True
    """Go on with an unfinished scoring of the same input, by the version that it began with."""
    engine: Literal["local", "dask"] = "local"
    """Where chunks are answered: on all cores here, or on an existing Dask cluster."""
    scheduler: str | None = None
    """Address of the Dask scheduler, such as tcp://127.0.0.1:8786."""
    no_drift: CliToggleFlag[bool] = False
    """Leave out the comparison with the texts that the version was judged on."""
    drift: DriftConfig = DriftConfig()
    """When the texts count as others."""


class DriftSettings(CommandSettings):
    """Compare texts with those a version was judged on."""

    command: ClassVar[str] = "drift"

    input: CliPositionalArg[Path]
    """The file with the texts, or with what lstm-text score wrote of them (then --feedback is needed)."""
    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    feedback: Path | None = None
    """A file with the columns id and label: true labels of rows of the input."""
    text_column: str = "text"
    """Name of the column with the text."""
    id_column: str | None = None
    """Name of the column with the id. Unset: `id` if the file has it, otherwise the row number from 1."""
    quoting: Quoting = "auto"
    """Whether double quotes enclose fields of a CSV or TSV: auto, quoted or none, as data.quoting of train."""
    feedback_quoting: Quoting = "auto"
    """The same for the feedback."""
    drift: DriftConfig = DriftConfig()
    """When the texts count as others."""


class PredictSettings(CommandSettings):
    """Answer texts given on the command line."""

    command: ClassVar[str] = "predict"

    texts: list[str]
    """The texts."""
    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Answers with a lower score get the abstain label."""
    abstain_label: str = "abstain"
    """What stands in the place of a label below the threshold."""
    top_k: int = Field(0, ge=0)
    """Name this many labels, the most probable first; 0 gives a probability for every label."""

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Self:
        """Parse with argparse alone: pydantic-settings splits a list's values at commas, which texts are full of."""
        parser = argparse.ArgumentParser(prog="lstm-text predict", description=cls.__doc__)
        parser.add_argument("texts", nargs="+", metavar="TEXT", help="a text; write -- before texts that begin with -")
        parser.add_argument("--model-uri", default=DEFAULT_MODEL_URI, help="models:/NAME@ALIAS or models:/NAME/VERSION")
        parser.add_argument("--threshold", default=0.0, help="answers with a lower score get the abstain label")
        parser.add_argument("--abstain-label", default="abstain", help="what stands in the place of a label then")
        parser.add_argument("--top-k", default=0, help="name this many labels, the most probable first")
        parser.add_argument("--json", action="store_true", help="make the last line of stdout one JSON object")
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return cls(**vars(parser.parse_args(arguments)))


class CompareSettings(CommandSettings):
    """Put two training runs side by side: settings, figures, answers."""

    command: ClassVar[str] = "compare"

    run_a: CliPositionalArg[str]
    """A run: its id, the beginning of its id, or its name."""
    run_b: CliPositionalArg[str | None] = None
    """Another. Unset: the run of the champion of the model that RUN_A registered."""
    html: Path | None = None
    """Write the comparison as one HTML page too."""
    overwrite: bool = False
    """Replace a page that exists."""


class ServeSettings(CommandSettings):
    """Serve a registered model over HTTP with MLflow's scoring server."""

    command: ClassVar[str] = "serve"

    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(5002, ge=1, le=65_535)
    """Port to listen on."""
    workers: int = Field(1, ge=1)
    """Server processes."""
    poll_seconds: float = Field(5.0, ge=0)
    """How often the alias is looked up, to follow it to another version; 0 stays with the first."""


class ReproduceSettings(CommandSettings):
    """Run a recorded training again, registering nothing, and say what is equal."""

    command: ClassVar[str] = "reproduce"

    run: CliPositionalArg[str]
    """Id of the MLflow run."""
    data_path: Path | None = None
    """The labelled file. Unset: where the run read it."""
    keep: bool = False
    """Keep the folder with the state of the rerun, and say where it is."""


class PromoteSettings(CommandSettings):
    """Make a registered version the champion, if the gate lets it pass or with --force."""

    command: ClassVar[str] = "promote"

    version: CliPositionalArg[VersionNumber]
    """The version's number."""
    reason: Reason
    """Why; it is recorded."""
    model_name: ModelName = RegistrationConfig().model_name
    """Name in the model registry."""
    force: bool = False
    """Skip the rules of the gate, except that the version must be servable."""


class RollbackSettings(CommandSettings):
    """Make the previous champion the champion again."""

    command: ClassVar[str] = "rollback"

    reason: Reason
    """Why; it is recorded."""
    model_name: ModelName = RegistrationConfig().model_name
    """Name in the model registry."""


class HistorySettings(CommandSettings):
    """Show every decision on a model's champion, oldest first."""

    command: ClassVar[str] = "history"

    model_name: ModelName = RegistrationConfig().model_name
    """Name in the model registry."""


class CleanSettings(CommandSettings):
    """Remove old stages, downloads, runs and versions; never a version with an alias, or its run."""

    command: ClassVar[str] = "clean"

    older_than: Annotated[str, Field(pattern=r"^\d+[dh]$")]
    """Age since the last use, in days or hours: 30d, 12h."""
    experiment_name: str = RegistrationConfig().experiment_name
    """MLflow experiment whose runs are looked at."""
    dry_run: bool = False
    """Say what would be removed, and remove nothing."""

    @property
    def age(self) -> timedelta:
        number, unit = int(self.older_than[:-1]), self.older_than[-1]
        return timedelta(days=number) if unit == "d" else timedelta(hours=number)


class RelocateSettings(CommandSettings):
    """Rewrite the locations of run state that was moved or copied before lstm-text followed that by itself."""

    command: ClassVar[str] = "relocate"


class UiSettings(CommandSettings):
    """Start the MLflow and Prefect pages on loopback until Ctrl-C."""

    command: ClassVar[str] = "ui"

    mlflow_port: int = Field(5001, ge=1, le=65_535)
    """Port of the MLflow pages."""
    prefect_port: int = Field(4200, ge=1, le=65_535)
    """Port of the Prefect server."""


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


def parse(settings: type[CommandSettings], arguments: list[str]) -> CommandSettings:
    """Return the settings that the command line gives.

    Raises UsageError naming each flag with what is wrong about it.
    """
    try:
        return settings.from_arguments(arguments)
    except ValidationError as error:
        raise _usage_error(settings, error) from None
    except SettingsError as error:
        found = str(error).removeprefix("error parsing CLI: ")
        raise UsageError(
            expected=f"the flags of lstm-text {settings.command}",
            found=found,
            remedy=f"lstm-text {settings.command} --help lists them.",
        ) from None


def _usage_error(settings: type[CommandSettings], error: ValidationError) -> UsageError:
    parts = []
    for item in error.errors():
        name = ".".join(str(part).replace("_", "-") for part in item["loc"]) or "the settings"
        shown = f", found {item['input']!r}"[:120] if item["type"] not in ("missing", "extra_forbidden") else ""
        message = "unknown setting" if item["type"] == "extra_forbidden" else item["msg"]
        parts.append(f"{name}: {message}{shown}")
    return UsageError(
        expected=f"valid settings for lstm-text {settings.command}",
        found="; ".join(parts),
        remedy=f"lstm-text {settings.command} --help lists them with their defaults.",
    )


COMMANDS: dict[str, type[CommandSettings]] = {
    settings.command: settings
    for settings in (
        TrainSettings,
        TuneSettings,
        ScoreSettings,
        DriftSettings,
        PredictSettings,
        PromoteSettings,
        RollbackSettings,
        HistorySettings,
        CompareSettings,
        ServeSettings,
        ReproduceSettings,
        CleanSettings,
        RelocateSettings,
        UiSettings,
    )
}


def overview() -> str:
    """Return the text of `lstm-text --help`."""
    lines = [f"  {name:10}{(settings.__doc__ or '').splitlines()[0]}" for name, settings in COMMANDS.items()]
    return "\n".join(
        [
            "usage: lstm-text COMMAND [OPTIONS]",
            "",
            "From a labelled file to a registered, served LSTM text classifier.",
            "",
            *lines,
            "",
            "lstm-text COMMAND --help lists the options. Exit codes: 0 done, 2 usage or missing input,",
            "3 data refused, 4 model, registry or server, 5 a difference found, 130 interrupted, 1 a bug.",
        ]
    )


def command_named(name: str) -> type[CommandSettings]:
    """Return the settings class of a subcommand; raises UsageError for an unknown one."""
    if name not in COMMANDS:
        raise UsageError(
            expected=f"one of the commands {', '.join(COMMANDS)}",
            found=repr(name),
            remedy="lstm-text --help lists them.",
        )
    return COMMANDS[name]
