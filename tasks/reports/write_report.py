"""Write the run's report (one HTML file), the version's model card, and a link to the report."""

import platform
from importlib.metadata import distributions, version

from prefect.artifacts import create_link_artifact

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.pages.report import RunFacts, render_model_card, render_report
from tasks.promotion.decision_record import Decision
from tasks.registry.registered_classifier import RegisteredVersion
from tasks.runs.past_run import moment
from tasks.runtime.artifacts import publish_markdown
from tasks.runtime.retries import mlflow_client
from tasks.runtime.stage_store import StageRecord, read_json, retried_task
from tasks.runtime.tracking import Run, timed
from tasks.training.evaluation_report import DIAGRAMS, read_evaluation

REPORT = "report.html"
CURVES = ("train_loss", "train_accuracy", "validation_log_loss", "validation_accuracy", "validation_macro_f1")
# TensorFlow is one of two packages.
PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "onnxruntime", "tokenizers", "numpy", "mlflow", "prefect")


@timed(lambda address: address)
@retried_task(name="write-report")
def write_report(
    version: RegisteredVersion, evaluation: StageRecord, decision: Decision, config: PipelineConfig, run: Run
) -> str:
    """Log report.html to the run and describe the version with its model card; return the report's address."""
    measured, decided = read_evaluation(evaluation), decision.model_dump(mode="json")
    facts = _facts(run, config)
    page = render_report(measured, decided, facts, diagrams=read_json(evaluation.file(DIAGRAMS)))
    client = mlflow_client()
    client.log_text(run.run_id, page, REPORT)
    if client.get_model_version(version.name, version.version).run_id == run.run_id:
        # A rerun that found its version registered keeps the card of the run that made the version.
        client.update_model_version(version.name, version.version, render_model_card(measured, decided, facts))
    address = f"{run.url}/artifacts/{REPORT}"
    low, high = measured.intervals.macro_f1
    macro_f1 = f"test macro-F1 {measured.candidate.macro_f1:.3f} ({low:.3f} to {high:.3f})"
    headline = f"Version {version.version} {decision.summary}; {macro_f1}"
    publish_markdown("result", f"{headline}. [Report]({address})", "The result of the training")
    create_link_artifact(
        link=address,
        link_text=f"Report on {version.name} version {version.version}",
        key="report",
        description="The decision and its reasons, metrics, mistakes to look at",
    )
    return address


def _facts(run: Run, config: PipelineConfig) -> RunFacts:
    """Return the facts of a run; its curves come from its metric history, which also has those of a cached training."""
    client = mlflow_client()
    stored = client.get_run(run.run_id)
    curves = {name: {m.step: m.value for m in client.get_metric_history(run.run_id, name)} for name in CURVES}
    steps = sorted({step for values in curves.values() for step in values})
    packages = {name: version(name) for name in PACKAGES if any(distributions(name=name))}
    return RunFacts(
        run_id=run.run_id,
        name=run.name,
        url=run.url,
        started=moment(stored.info.start_time),
        config=config,
        tags=stored.data.tags,
        metrics=stored.data.metrics,
        epochs=[{name: values[step] for name, values in curves.items() if step in values} for step in steps],
        packages={"Python": platform.python_version(), **packages},
    )
