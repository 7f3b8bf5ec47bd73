"""What a search tries: values and ranges of settings, held against the settings' own bounds before anything runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from lstm_model.config.model import ModelConfig
from lstm_model.config.pipeline import PipelineConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.config.tuning import Range, TuningConfig
from lstm_model.errors import UsageError

if TYPE_CHECKING:
    import optuna

SECTIONS: dict[str, type[ModelConfig] | type[TrainingConfig]] = {"model": ModelConfig, "training": TrainingConfig}
FIXED = {"training.seed": "it decides chance", "training.monitor": "trials are compared by it"}


def check_space(tuning: TuningConfig, base: PipelineConfig) -> None:
    """Raise UsageError for a setting that cannot be tried, and for a value that the setting refuses."""
    if not tuning.space:
        raise _refused("at least one setting", "none")
    for name, tried in tuning.space.items():
        field = _field(name)
        if isinstance(tried, Range) and field.annotation not in (int, float):
            raise _refused(f"a list of values for {name}, which is no number", "a range")
        # Two settings may be refused together that are fine with others: such trials are told from bad values later.
        alone = sum(other.split(".")[0] == name.split(".")[0] for other in tuning.space) == 1
        values = [tried.low, tried.high] if isinstance(tried, Range) else tried
        for value in values:
            try:
                with_settings(base, {name: value})
            except ValidationError as error:
                problem = error.errors()[0]
                if alone or len(problem["loc"]) > 1:
                    raise _refused(f"values that {name} takes", f"{value!r}: {problem['msg']}") from None


def with_settings(base: PipelineConfig, settings: Mapping[str, Any]) -> PipelineConfig:
    """Return base with some settings replaced, by name as in "model.lstm_units".

    Raises pydantic.ValidationError where they are refused together.
    """
    sections: dict[str, Any] = dict(base)
    for name, value in settings.items():
        section, key = name.split(".")
        current = sections[section]
        sections[section] = {**(current if isinstance(current, dict) else dict(current)), key: value}
    return PipelineConfig.model_validate(sections)


def suggest_settings(trial: "optuna.trial.BaseTrial", tuning: TuningConfig) -> dict[str, Any]:
    """Return a value for each setting of the space; a trial that has values keeps them."""
    return {name: _suggest(trial, name, tried) for name, tried in sorted(tuning.space.items())}


def _suggest(trial: "optuna.trial.BaseTrial", name: str, tried: Any) -> Any:
    if not isinstance(tried, Range):
        return trial.suggest_categorical(name, list(tried))
    if _field(name).annotation is int:
        step = 1 if tried.log else int(tried.step or 1)
        return trial.suggest_int(name, int(tried.low), int(tried.high), step=step, log=tried.log)
    value = trial.suggest_float(name, tried.low, tried.high, step=tried.step, log=tried.log)
    return float(f"{value:.4g}")  # A person will read and copy it.


def _field(name: str) -> FieldInfo:
    section, _, key = name.partition(".")
    if section not in SECTIONS or key not in SECTIONS[section].model_fields:
        known = ", ".join(f"{s}.{k}" for s, kind in SECTIONS.items() for k in kind.model_fields)
        raise _refused(f"names of settings of model and training ({known})", repr(name))
    if name in FIXED:
        raise _refused("settings that a search may change", f"{name}: {FIXED[name]}")
    return SECTIONS[section].model_fields[key]


def _refused(expected: str, found: str) -> UsageError:
    return UsageError(expected=f"{expected} in tuning.space", found=found, remedy="See docs/tuning.md, what is tried.")
