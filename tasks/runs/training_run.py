"""The MLflow run of a training: opened once, continued after a crash, ended with a status, linked with Prefect.

Data, config and code together have a key (`resume_key`). A training with that key continues a run that did not finish:
stages and epochs that are done are not repeated, and what the run has already is not logged twice.
"""

from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import NoReturn

import mlflow
from prefect import get_run_logger
from prefect.artifacts import create_link_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL
from prefect.states import Crashed

from lstm_model.config.pipeline import PipelineConfig, flatten
from lstm_model.data.cases import find_cases
from lstm_model.data.parts import digest_input
from lstm_model.data.reading import file_format
from lstm_model.digests import digest_json
from lstm_model.errors import LstmTextError
from lstm_model.memory import memory_error
from tasks.runs.flow_run import interruption_in, recorded_flow
from tasks.runtime.locks import Check, hold, shared_lock
from tasks.runtime.provenance import provenance
from tasks.runtime.retries import mlflow_client, text_of, with_retries
from tasks.runtime.source_digest import code_digest, lock_digest
from tasks.runtime.state.credentials import without_credentials
from tasks.runtime.state.local_state import DEFAULT_PREFECT_UI
from tasks.runtime.state.sqlite_files import release_locks
from tasks.runtime.tracking import CONFIG_FILE, Run, ensure_experiment

POLL_SECONDS = 2.0
RUN_NAME_LENGTH = 250  # Of the database's column: PostgreSQL rejects longer names.


@contextmanager
def training_run(config: PipelineConfig, *, trigger: str, use_cache: bool = True) -> Iterator[Run]:
    """Open an MLflow run or continue an unfinished one; end it FINISHED, FAILED or KILLED with the reason as a tag."""
    inputs = digest_inputs(config)
    key = resume_key(config, inputs)
    with recorded_flow(), sole_process(key):
        run = _open_run(config, trigger, key, inputs, use_cache)
        with with_retries(mlflow.start_run, run_id=run.run_id):
            try:
                # The settings twice: exactly, to reproduce the run, and as params, to compare runs.
                mlflow_client().log_text(run.run_id, config.model_dump_json(indent=1) + "\n", CONFIG_FILE)
                log_params(run, config)
                publish_link(run)
                yield run
            except BaseException as error:  # noqa: BLE001  end_early raises
                end_early(run, error)


def digest_inputs(config: PipelineConfig) -> dict[str, str]:
    """Return the SHA-256 of the labelled file, the cases and the word vectors by path; nothing if one cannot be read.

    The key of the run and the digests of stages use these, so a stage checks that the file it reads is still the same.
    """
    try:
        paths = (config.data.path, find_cases(config.data, config.evaluation), config.model.word_vectors)
        return {str(path): digest_input(path) for path in paths if path}
    except (OSError, LstmTextError):
        return {}


def resume_key(config: PipelineConfig, inputs: dict[str, str]) -> str | None:
    """Return a digest over inputs, config and code; None if the data cannot be read, which a stage reports."""
    if not inputs:
        return None
    try:
        kind = file_format(config.data.path)
    except LstmTextError:
        return None
    paths = {"data": {"path"}, "evaluation": {"cases"}, "model": {"word_vectors"}}
    settings = config.model_dump(mode="json", exclude=paths)
    return digest_json([list(inputs.values()), kind, settings, code_digest(), lock_digest()])


def sole_process(key: str | None) -> AbstractContextManager[Check | None]:
    """Hold the lock of a resume key, if there is one; raises ModelError while another process on any machine holds it.

    A killed process frees a file lock at once. Its Prefect limit expires, and this waits for that.
    """
    if key is None:
        return nullcontext()
    lock = shared_lock(mlflow.get_tracking_uri(), f"training-{key[:16]}", one_off=True)
    refusal = "Another process trains on the same data with the same configuration and code; its result is yours too"
    return hold(lock, seconds=lock.expiry, poll_seconds=POLL_SECONDS, refusal=refusal)


def _open_run(config: PipelineConfig, trigger: str, key: str | None, inputs: dict[str, str], use_cache: bool) -> Run:
    experiment_id = with_retries(ensure_experiment, config.registration.experiment_name)
    name = (flow_run.name or config.data.path.stem)[:RUN_NAME_LENGTH]
    tags = run_tags(config, trigger, key)
    # No other process uses an unfinished run of this key: this one holds the key.
    wanted = f"tags.resume_key = '{key}' and attributes.status != 'FINISHED'"
    unfinished = latest_run(experiment_id, wanted) if key else None
    if unfinished:
        _continue(unfinished, tags)
    opened = unfinished or with_retries(_create_run, experiment_id, name, tags)
    return Run(
        run_id=opened.info.run_id,
        experiment_id=experiment_id,
        name=opened.info.run_name,
        data_name=config.data.path.name,
        resumed=unfinished is not None,
        stages_since=0.0 if use_cache else opened.info.start_time / 1e3,
        inputs=inputs,
    )


def latest_run(experiment_id: str, condition: str) -> mlflow.entities.Run | None:
    """Return the run of an experiment that started last among those that meet the condition; None if none does."""
    latest = ["attributes.start_time DESC"]
    runs = mlflow_client().search_runs([experiment_id], condition, order_by=latest, max_results=1)
    return runs[0] if runs else None


def _create_run(experiment_id: str, name: str, tags: dict[str, str]) -> mlflow.entities.Run:
    """Create the run, unless an earlier try did and its answer was lost."""
    wanted = f"tags.`prefect.flow_run_id` = '{tags['prefect.flow_run_id']}' and attributes.status = 'RUNNING'"
    run = latest_run(experiment_id, wanted)
    return run or mlflow_client().create_run(experiment_id, run_name=name, tags=tags)


def _continue(unfinished: mlflow.entities.Run, tags: dict[str, str]) -> None:
    """Link the run with this flow run, and set the flow run that had it to Crashed in Prefect."""
    client, run_id, old_tags = mlflow_client(), unfinished.info.run_id, unfinished.data.tags
    get_run_logger().info("Continuing run %s, which has status %s.", run_id, unfinished.info.status.lower())
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
    if "failure_reason" in old_tags:
        client.delete_tag(run_id, "failure_reason")
    before = old_tags.get("prefect.flow_run_id", "")
    if before in ("", flow_run.id):  # The same flow run is tried again: `prefect flow-run retry`.
        return
    earlier = [name for name in old_tags.get("prefect.earlier_flow_runs", "").split(",") if name]
    client.set_tag(run_id, "prefect.earlier_flow_runs", ",".join([*earlier, before]))
    with get_client(sync_client=True) as prefect, suppress(ObjectNotFound):  # Of another server.
        state = prefect.read_flow_run(before).state
        if state is None or not state.is_final():
            message = f"Its process is gone; flow run {flow_run.name} continues its work."
            prefect.set_flow_run_state(before, Crashed(message=message), force=True)


def end_early(run: Run, error: BaseException) -> NoReturn:
    """End the run as FAILED, or as KILLED if someone stopped it, with the reason as tag; raise what ended it."""
    stopped = interruption_in(error)
    error = memory_error(error) or error
    status, reason = "KILLED", "interrupted"
    if stopped is None:
        text = text_of(error) or type(error).__name__
        status, reason = "FAILED", text if isinstance(error, LstmTextError) else f"{type(error).__name__}: {text}"
    else:
        release_locks(error)
    try:
        client = mlflow_client(brief=True)
        client.set_tag(run.run_id, "failure_reason", reason[:4_000])
        client.set_terminated(run.run_id, status)
    except Exception as problem:  # noqa: BLE001  a full disk, a database that is gone: what ended the run counts more
        get_run_logger().warning("MLflow could not record that the run is %s: %s", status, text_of(problem))
    with suppress(Exception):  # In any case it is no longer the active run.
        mlflow.end_run(status)
    if stopped is None:
        raise error
    raise stopped from None


def run_tags(config: PipelineConfig, trigger: str, key: str | None) -> dict[str, str]:
    """Return what identifies a run: data, trigger, flow run, code, user."""
    url = f"{without_credentials(PREFECT_UI_URL.value() or DEFAULT_PREFECT_UI)}/runs/flow-run/{flow_run.id}"
    return {
        "mlflow.note.content": f"Prefect flow run [{flow_run.name}]({url})",  # The description: a tag cannot be a link.
        "data_file": str(config.data.path),
        "trigger": trigger,
        "prefect.flow_run_id": flow_run.id or "",
        "prefect.flow_run_name": flow_run.name or "",
        "prefect.flow_run_url": url,
        **({"resume_key": key} if key else {}),
        **provenance(),
    }


def log_params(run: Run, config: PipelineConfig, *, sections: Container[str] = PipelineConfig.model_fields) -> None:
    settings = [(name, value) for name, value in flatten(config).items() if name.partition(".")[0] in sections]
    params = [mlflow.entities.Param(name, str(value)[:6_000]) for name, value in settings]
    mlflow_client().log_batch(run.run_id, params=params)


def publish_link(run: Run) -> None:
    text = f"MLflow run {run.name}"
    create_link_artifact(link=run.url, link_text=text, key="mlflow-run", description="The run's page in MLflow")
