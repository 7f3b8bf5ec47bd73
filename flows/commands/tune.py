from pathlib import Path

from flows.commands import train
from flows.settings import finish, parse
from lstm_model.config.tuning import TuningConfig, check_space


class Settings(train.Settings):
    """Search for better settings on validation rows, and write them as a file for train."""

    tuning: TuningConfig = TuningConfig()
    """The search space, and how long to search."""
    output: Path | None = None
    """Where to write the best configuration, a YAML file. Unset: tuned/NAME.yaml in the folder of run state."""
    overwrite: bool = False
    """Replace an output that exists."""
    train: bool = False
    """Train with the best configuration afterwards."""

    def check_inputs(self) -> None:
        check_space(self.tuning, self.pipeline())
        super().check_inputs()


def run(settings: Settings) -> int:
    from tasks.runtime.prefect_server import use_prefect_server

    with use_prefect_server():
        from flows.tuning import tune_text_classifier
        from tasks.tuning.best_settings import check_config_output

        if settings.output:
            check_config_output(settings.output, overwrite=settings.overwrite)
    outcome = tune_text_classifier(**dict(settings.pipeline()), tuning=settings.tuning, output=settings.output)
    print(f"\n{outcome.table}\n\n{outcome.config_path}\nMLflow run {outcome.run_id}")
    if settings.train:
        as_json = ["--json"] if settings.as_json else []
        return train.run(parse(train.Settings, ["--config", str(outcome.config_path), *as_json]))
    print(f"\nNext:\n  lstm-text train --config {outcome.config_path}")
    return finish(settings, outcome.model_dump(mode="json", exclude={"table"}))
