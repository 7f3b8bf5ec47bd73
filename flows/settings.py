"""What the settings of all subcommands share, how the command line is parsed, and how an answer is printed."""

import json
import reprlib
import sys
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from lstm_model.config.data import Dialect
from lstm_model.config.drift import DriftConfig
from lstm_model.config.registration import ModelName, RegistrationConfig
from lstm_model.errors import UsageError

DEFAULT_MODEL_URI = "models:/text-classifier@champion"
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
VersionNumber = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*$")]
SHOWN_PROBLEMS = 5
_SHORT = reprlib.Repr()  # Aliases in YAML can nest: the whole value may be too long to write.
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 110


class CommandSettings(BaseSettings):
    """What every subcommand has. The process environment is not read for settings."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,
    )
    needs_tracking: ClassVar[bool] = True
    """Whether it uses runs or registered models."""

    as_json: bool = Field(False, validation_alias="json")
    """Make the last line of stdout one JSON object."""
    debug: bool = False
    """Show the traceback of an error."""

    @classmethod
    def command(cls) -> str:
        """Return `lstm-text` and the subcommand's name, which is that of its module."""
        return f"lstm-text {cls.__module__.rpartition('.')[2]}"

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **others: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Self:
        """Parse the command line. `--help` prints and exits with 0."""
        return cls(_cli_prog_name=cls.command(), _cli_parse_args=arguments)

    def check_inputs(self) -> None:
        """Report what can be known from flags and files, before anything starts."""

    def without(self, *names: str) -> dict[str, Any]:
        """Return the subcommand's own settings, as arguments for what it runs, except these names."""
        return {name: value for name, value in self if name not in (*FlowSettings.model_fields, *names)}


class FlowSettings(CommandSettings):
    """What the subcommands that run a flow share. What the libraries print goes to a log file."""

    verbose: bool = False
    """Show what Prefect, MLflow and TensorFlow print; it is in the log file in any case."""


class TextSettings(FlowSettings, Dialect):
    """What the subcommands that read a file of texts share."""

    model_uri: str = DEFAULT_MODEL_URI
    """models:/NAME@ALIAS or models:/NAME/VERSION."""
    text_column: str = "text"
    """Name of the column with the text. A file without `text`: the column that the version was trained on."""
    text_columns: tuple[str, ...] | None = None
    """Names of several columns that are the text, in the model's order. Unset: those that it was trained on."""
    id_column: str | None = None
    """Name of the column with the id. Unset: `id` if the file has it, otherwise the row number from 1.
    none: the row number."""
    drift: DriftConfig = DriftConfig()
    """Limits of the comparison with the version's training reference."""

    def without(self, *names: str) -> dict[str, Any]:
        """Return the subcommand's own settings, with those of a dialect as `dialect`."""
        return {**super().without(*Dialect.model_fields, *names), "dialect": self.dialect}


class ModelSettings(CommandSettings):
    """What the subcommands about a registered model share."""

    model_name: ModelName = RegistrationConfig().model_name
    """Name in the model registry."""


def parse(settings: type[CommandSettings], arguments: list[str]) -> CommandSettings:
    """Parse the command line. Raises UsageError with each wrong flag and what is wrong with it."""
    try:
        return settings.from_arguments(arguments)
    except ValidationError as error:
        problems = error.errors()
        problem = "; ".join(map(_problem, problems[:SHOWN_PROBLEMS]))
        if len(problems) > SHOWN_PROBLEMS:
            problem += f"; and {len(problems) - SHOWN_PROBLEMS} more"
    except SettingsError as error:
        problem = str(error).removeprefix("error parsing CLI: ")
    name = settings.command()
    raise UsageError(f"{name} cannot use these settings: {problem}.", f"{name} --help lists them with their defaults.")


def _problem(item: Any) -> str:
    name = ".".join(str(part).replace("_", "-") for part in item["loc"]) or "the settings"
    if item["type"] == "extra_forbidden":
        return f"{name}: unknown setting"
    if item["input"] is None:
        return f"{name}: there is no value; write a text such as null or #1 in quotes"
    given = "" if item["type"] == "missing" else f" (given: {_SHORT.repr(item['input'])[:110]})"
    return f"{name}: {item['msg'].removeprefix('Value error, ')}{given}"


def finish(settings: CommandSettings, answer: Any) -> int:
    """Print the answer, which may have dataclasses, as JSON with --json; return exit code 0."""
    if settings.as_json:
        print(json.dumps(answer, default=asdict))  # ASCII on any console: a program reads it.
    sys.stdout.flush()
    return 0


def print_decision(settings: CommandSettings, decision: Any) -> int:
    """Print the decision of promote or rollback; return exit code 0."""
    from tasks.promotion.history import rules_table

    print(f"{rules_table(decision.rules)}\n\n{decision.model_name} version {decision.version} {decision.summary}")
    before = f"{decision.champion_before or 'none'} -> " if decision.moves else ""
    print(f"champion: {before}{decision.champion_version or 'none'}")
    if decision.moves:
        print("A `make serve` (lstm-text serve) of the champion switches to it; restart other servers.")
    return finish(settings, decision.model_dump(mode="json"))
