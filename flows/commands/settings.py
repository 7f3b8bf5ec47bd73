"""What the settings of all subcommands share, how they are read from the command line, and how an answer is printed."""

import json
import sys
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from lstm_model.errors import UsageError

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
    opens_tracking: ClassVar[Literal["now", "later", "never"]] = "now"
    """When the embedded tracking database is opened. later: while Prefect's server, which takes seconds, starts."""

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


def finish(settings: CommandSettings, answer: dict[str, Any]) -> int:
    """Print the answer as JSON if --json asks for it; return exit code 0."""
    if settings.as_json:
        print(json.dumps(answer))  # ASCII, whatever the console can show: a program reads it.
    sys.stdout.flush()
    return 0


def print_decision(settings: CommandSettings, decision: Any) -> int:
    """Print what promote or rollback decided; return exit code 0."""
    from tasks.promotion.decide_promotion import rules_table

    champion = decision.champion_version or "none"
    print(f"{rules_table(decision.rules)}\n\n{decision.model_name} version {decision.version} {decision.told}")
    print(
        f"champion: {decision.champion_before or 'none'} -> {champion}" if decision.moves else f"champion: {champion}"
    )
    if decision.moves:
        print("A `make serve` (lstm-text serve) of the champion follows by itself; restart other servers.")
    return finish(settings, decision.model_dump(mode="json"))
