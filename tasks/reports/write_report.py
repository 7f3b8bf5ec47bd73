"""The run's report (one HTML file), the version's model card, and links that lead there."""

import platform
from importlib.metadata import PackageNotFoundError, version

from prefect.artifacts import create_link_artifact

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.pages.model_card import render_model_card
from lstm_model.pages.report import render_report
from lstm_model.pages.run_facts import RunFacts
from tasks.promotion.decision_record import Decision
from tasks.promotion.register_classifier import RegisteredVersion
from tasks.runs.find_run import moment
from tasks.runtime import tracking
from tasks.runtime.artifacts import publish_markdown
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord, read_json, retried_task
from tasks.runtime.tracking import Run
from tasks.training.evaluation_report import DIAGRAMS, read_evaluation

REPORT = "report.html"
CURVES = ("train_loss", "train_accuracy", "validation_log_loss", "validation_accuracy", "validation_macro_f1")
PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "onnxruntime", "tokenizers", "numpy", "mlflow", "prefect")


@tracking.timed
@retried_task(name="write-report")
def write_report(
    version: RegisteredVersion, evaluation: StageRecord, decision: Decision, config: PipelineConfig, run: Run
) -> str:
    """Log report.html to the run and describe the version with its model card; return the report's address."""
    found, decided = read_evaluation(evaluation), decision.model_dump(mode="json")
    facts = _facts(run, config)
    page = render_report(found, decided, facts, diagrams=read_json(evaluation.file(DIAGRAMS)))
    client = mlflow_client()
    client.log_text(run.run_id, page, REPORT)
    if client.get_model_version(version.name, version.version).run_id == run.run_id:
        # A rerun that found its version registered leaves the card of the run that made it.
        client.update_model_version(version.name, version.version, render_model_card(found, decided, facts))
    address = f"{run.url}/artifacts/{REPORT}"
    low, high = found.intervals.macro_f1
    macro_f1 = f"test macro-F1 {found.candidate.macro_f1:.3f} ({low:.3f} to {high:.3f})"
    headline = f"Version {version.version} {decision.summary}; {macro_f1}"
    publish_markdown("result", f"{headline}. [Report]({address})", "What came of the training")
    create_link_artifact(
        link=address,
        link_text=f"Report on {version.name} version {version.version}",
        key="report",
        description="What was decided and why, figures, mistakes to look at",
    )
    return address


def _facts(run: Run, config: PipelineConfig) -> RunFacts:
    """Return the facts of a run of this process; the curves are the run's metric history, cached training or not."""
    stored = mlflow_client().get_run(run.run_id)
    return RunFacts(
        run_id=run.run_id,
        name=run.name,
        url=run.url,
        started=moment(stored.info.start_time),
        config=config,
        tags=stored.data.tags,
        metrics=stored.data.metrics,
        epochs=_epochs(run.run_id),
        packages={"Python": platform.python_version(), **_packages()},
    )


def _epochs(run_id: str) -> list[dict[str, float]]:
    client = mlflow_client()
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
