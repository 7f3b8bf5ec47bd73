"""The network that training starts from: the champion's if `training.warm_start` says so."""

from prefect import get_run_logger

from lstm_model.config.registration import RegistrationConfig
from lstm_model.config.training import TrainingConfig
from lstm_model.errors import ModelError
from tasks.registry.registered_classifier import RegisteredClassifier
from tasks.registry.registered_model import CHAMPION, download_version, read_aliases
from tasks.runtime import tracking
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import retried_task
from tasks.runtime.tracking import Run

TAG = "warm_start_version"


@tracking.timed(lambda start: start and f"weights of version {start.version}")
@retried_task(name="fetch-start")
def fetch_start(training: TrainingConfig, registration: RegistrationConfig, run: Run) -> RegisteredClassifier | None:
    """Return the current champion; None without training.warm_start, or if there is no champion yet.

    A run that continues after a crash starts from the same version again.
    """
    if training.warm_start == "none":
        return None
    version = mlflow_client().get_run(run.run_id).data.tags.get(TAG) or _champion(registration.model_name)
    if version is None:
        get_run_logger().warning("%s has no champion: training starts with fresh weights.", registration.model_name)
        return None
    tracking.set_tags(run, {TAG: version})
    return download_version(registration.model_name, version)


def _champion(name: str) -> str | None:
    try:
        return read_aliases(name).get(CHAMPION)
    except ModelError:  # No version is registered yet.
        return None
