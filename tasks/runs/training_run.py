"""The MLflow run of a training: opened once, taken up again after a crash, closed with a status, linked with Prefect.

Data, config and code together have a key (`resume_key`). A run of that key that did not finish is gone on with: stages
and epochs that were done are not done again, and what the run holds already is not logged twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import mlflow
from mlflow.entities import Param
from mlflow.entities import Run as MlflowRun
from prefect import get_run_logger
from prefect.artifacts import create_link_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL
from prefect.states import Crashed
from pydantic import BaseModel

from lstm_model.config.pipeline import PipelineConfig, flatten
from lstm_model.data.cases import find_cases
from lstm_model.data.reading import file_format
from lstm_model.digests import digest_file, digest_json
from lstm_model.errors import LstmTextError
from tasks.runs.flow_run import interruption_in, recorded_flow
from tasks.runs.sole_process import sole_process
from tasks.runtime.provenance import provenance
from tasks.runtime.retries import mlflow_client, text_of, with_brief_retries, with_retries
from tasks.runtime.state.credentials import without_credentials
from tasks.runtime.state.local_state import DEFAULT_PREFECT_UI
from tasks.runtime.tracking import CONFIG_FILE, Run, ensure_experiment

RUN_NAME_LENGTH = 250  # Of the database's column: SQLite takes more, PostgreSQL refuses.


@contextmanager
def training_run(config: PipelineConfig, *, trigger: str, use_cache: bool = True) -> Iterator[Run]:
    """Open an MLflow run or take up the unfinished one; end it FINISHED, FAILED or KILLED with the reason as a tag."""
    inputs = digest_inputs(config)
    key = resume_key(config, inputs)
    with recorded_flow(), sole_process(key), _opened_run(config, trigger, key, inputs, use_cache) as run:
        try:
            _log_config(run, config)
            publish_link(run)
            yield run
        except BaseException as error:  # noqa: BLE001  end_early raises
            end_early(run, error)


def digest_inputs(config: PipelineConfig) -> dict[str, str]:
    """Return the SHA-256 of the labelled file and of the cases, by path; nothing where one cannot be read.

    A stage that reads a file holds it against this: what was read must be what the run's key and the stage are named
    after.
    """
    try:
        paths = (config.data.path, find_cases(config.data, config.evaluation))
        return {str(path): digest_file(path) for path in paths if path}
    except (OSError, LstmTextError):
        return {}


def resume_key(config: PipelineConfig, inputs: dict[str, str]) -> str | None:
    """Return a digest over data, config and code; None where the data cannot be read, which a stage reports.

    inputs: what `digest_inputs` returns.
    """
    if not inputs:
        return None
    try:
        kind = file_format(config.data.path)
    except LstmTextError:
        return None
    contents = list(inputs.values())
    settings = config.model_dump(mode="json", exclude={"data": {"path"}, "evaluation": {"cases"}})
    made_by = provenance()
    return digest_json([contents, kind, settings, made_by["code_digest"], made_by.get("lock_digest")])


@contextmanager
def _opened_run(
    config: PipelineConfig, trigger: str, key: str | None, inputs: dict[str, str], use_cache: bool
) -> Iterator[Run]:
    experiment_id = with_retries(ensure_experiment, config.registration.experiment_name)
    name = (flow_run.name or config.data.path.stem)[:RUN_NAME_LENGTH]
    tags = run_tags(config, trigger, key)
    unfinished = _find_unfinished(experiment_id, key)
    if unfinished is None:
        opened = with_retries(_create_run, experiment_id, name, tags)
    else:
        opened = unfinished
        _take_up(unfinished, tags)
    with with_retries(mlflow.start_run, run_id=opened.info.run_id):
        yield Run(
            run_id=opened.info.run_id,
            experiment_id=experiment_id,
            name=opened.info.run_name,
            data_name=config.data.path.name,
            resumed=unfinished is not None,
            stages_since=0.0 if use_cache else opened.info.start_time / 1e3,
            inputs=inputs,
        )


def _create_run(experiment_id: str, name: str, tags: dict[str, str]) -> MlflowRun:
    """Create the run, unless a try whose answer was lost did."""
    flow_run_id = tags["prefect.flow_run_id"]
    found = mlflow_client().search_runs(
        [experiment_id], f"tags.`prefect.flow_run_id` = '{flow_run_id}' and attributes.status = 'RUNNING'"
    )
    return found[0] if found else mlflow_client().create_run(experiment_id, run_name=name, tags=tags)


def _find_unfinished(experiment_id: str, key: str | None) -> MlflowRun | None:
    """Return the latest run of the key that has not finished; its key is held, so no process is at work on it."""
    if key is None:
        return None
    wanted = f"tags.resume_key = '{key}' and attributes.status != 'FINISHED'"
    found = mlflow_client().search_runs([experiment_id], wanted, order_by=["attributes.start_time DESC"], max_results=1)
    return found[0] if found else None


def _take_up(unfinished: MlflowRun, tags: dict[str, str]) -> None:
    """Link the run with this flow run, and say in Prefect that the flow run which had it crashed."""
    before = unfinished.data.tags.get("prefect.flow_run_id", "")
    get_run_logger().info(
        "going on with run %s, which stopped as %s", unfinished.info.run_id, unfinished.info.status.lower()
    )
    for key, value in tags.items():
        mlflow_client().set_tag(unfinished.info.run_id, key, value)
    mlflow_client().delete_tag(
        unfinished.info.run_id, "failure_reason"
    ) if "failure_reason" in unfinished.data.tags else None
    if before in ("", flow_run.id):  # The very flow run is tried again: `prefect flow-run retry`.
        return
    earlier = [name for name in unfinished.data.tags.get("prefect.earlier_flow_runs", "").split(",") if name]
    mlflow_client().set_tag(unfinished.info.run_id, "prefect.earlier_flow_runs", ",".join([*earlier, before]))
    _declare_crashed(before)


def _declare_crashed(flow_run_id: str) -> None:
    """Set a flow run whose process is gone to Crashed, unless it ended or another server knows it."""
    with get_client(sync_client=True) as prefect:
        try:
            state = prefect.read_flow_run(flow_run_id).state
            if state is None or not state.is_final():
                message = f"Its process is gone; flow run {flow_run.name} goes on with its work."
                prefect.set_flow_run_state(flow_run_id, Crashed(message=message), force=True)
        except ObjectNotFound:
            pass


def end_early(run: Run, error: BaseException) -> NoReturn:
    """End the run as FAILED, or as KILLED where someone stopped it, and raise what did."""
    stopped = interruption_in(error)
    if stopped is None:
        end_run(run, status="FAILED", reason=failure_reason(error))
        raise error
    end_run(run, status="KILLED", reason="interrupted")
    raise stopped from None


def end_run(run: Run, *, status: str, reason: str) -> None:
    """End the run early, with the reason as tag `failure_reason`. What went wrong matters more than telling it."""
    try:
        with_brief_retries(mlflow_client().set_tag, run.run_id, "failure_reason", reason)
        with_brief_retries(mlflow_client().set_terminated, run.run_id, status)
    except Exception as trouble:  # noqa: BLE001  a full disk, a database that is gone
        get_run_logger().warning("MLflow could not be told that the run is %s: %s", status, text_of(trouble))
    with suppress(Exception):  # It is no longer the active run, told or not.
        mlflow.end_run(status)


def failure_reason(error: BaseException) -> str:
    """Return one line that says what went wrong."""
    text = text_of(error) or type(error).__name__
    return (text if isinstance(error, LstmTextError) else f"{type(error).__name__}: {text}")[:4_000]


def prefect_url(flow_run_id: str) -> str:
    """Return the address of a flow run's page in Prefect."""
    return f"{without_credentials(PREFECT_UI_URL.value() or DEFAULT_PREFECT_UI)}/runs/flow-run/{flow_run_id}"


def run_tags(config: PipelineConfig, trigger: str, key: str | None) -> dict[str, str]:
    """Return what identifies a run: data, trigger, flow run, code, user."""
    url = prefect_url(flow_run.id)
    return {
        "mlflow.note.content": f"Prefect flow run [{flow_run.name}]({url})",  # The description: tags are no links.
        "data_file": str(config.data.path),
        "trigger": trigger,
        "prefect.flow_run_id": flow_run.id or "",
        "prefect.flow_run_name": flow_run.name or "",
        "prefect.flow_run_url": url,
        **({"resume_key": key} if key else {}),
        **provenance(),
    }


def _log_config(run: Run, config: PipelineConfig) -> None:
    """Log the settings twice: as params to compare runs by, and as config.json, exact, to run again from."""
    mlflow_client().log_text(run.run_id, config.model_dump_json(indent=1) + "\n", CONFIG_FILE)
    log_params(run, config)


def log_params(run: Run, config: BaseModel, *, prefix: str = "") -> None:
    """Log settings as params."""
    params = [Param(key, str(value)[:6_000]) for key, value in flatten(config, prefix).items()]
    mlflow_client().log_batch(run.run_id, params=params)


def publish_link(run: Run) -> None:
    """Show a link to the run on the flow run's page."""
    create_link_artifact(
        link=run.url, link_text=f"MLflow run {run.name}", key="mlflow-run", description="The run's page in MLflow"
    )
