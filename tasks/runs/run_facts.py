"""What MLflow and the environment know of a training run, for its reports."""

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from mlflow import MlflowClient

from lstm_model.pages.run_facts import RunFacts
from tasks.runtime.tracking import Run

CURVES = ("train_loss", "train_accuracy", "validation_log_loss", "validation_accuracy", "validation_macro_f1")
PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "onnxruntime", "tokenizers", "numpy", "mlflow", "prefect")


def read_run_facts(run: Run) -> RunFacts:
    """Return the facts of a run of this process; the curves are the run's metric history, cached training or not."""
    stored = MlflowClient().get_run(run.run_id)
    return RunFacts(
        run_id=run.run_id,
        name=run.name,
        url=run.url,
        started=moment(stored.info.start_time),
        params=stored.data.params,
        tags=stored.data.tags,
        metrics=stored.data.metrics,
        epochs=_epochs(run.run_id),
        packages={"Python": platform.python_version(), **_packages()},
    )


def moment(milliseconds: int) -> str:
    """Return a time that MLflow counts in milliseconds, for a person, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _epochs(run_id: str) -> list[dict[str, float]]:
    client = MlflowClient()
    histories = {name: client.get_metric_history(run_id, name) for name in CURVES}
    by_step = {name: {metric.step: metric.value for metric in metrics} for name, metrics in histories.items()}
    known = {name: values for name, values in by_step.items() if values}
    steps = sorted({step for values in known.values() for step in values})
    return [{name: values[step] for name, values in known.items() if step in values} for step in steps]


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # TensorFlow is one of two packages.
            continue
    return found
