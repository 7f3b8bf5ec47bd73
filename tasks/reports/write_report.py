"""The run's report (one HTML file), the version's model card, and links that lead there."""

from mlflow import MlflowClient
from prefect import task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE

from lstm_model.pages.model_card import render_model_card
from lstm_model.pages.report import render_report
from tasks.promotion.decision_record import Decision
from tasks.promotion.register_classifier import RegisteredVersion
from tasks.runs.run_facts import read_run_facts
from tasks.runtime import tracking
from tasks.runtime.stage_store import StageRecord, read_json, worth_a_retry
from tasks.runtime.tracking import Run
from tasks.training.evaluation_report import DIAGRAMS

REPORT = "report.html"


@tracking.timed
@task(name="write-report", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=worth_a_retry)
def write_report(version: RegisteredVersion, evaluation: StageRecord, decision: Decision, run: Run) -> str:
    """Log report.html to the run and describe the version with its model card; return the report's address."""
    judged, decided = read_json(evaluation.file("evaluation.json")), decision.model_dump(mode="json")
    facts = read_run_facts(run)
    page = render_report(judged, decided, facts, diagrams=read_json(evaluation.file(DIAGRAMS)))
    client = MlflowClient()
    client.log_text(run.run_id, page, REPORT)
    if client.get_model_version(version.name, version.version).run_id == run.run_id:
        # A rerun that found its version registered leaves the card of the run that made it.
        client.update_model_version(version.name, version.version, render_model_card(judged, decided, facts))
    address = f"{run.url}/artifacts/{REPORT}"
    create_link_artifact(
        link=address,
        link_text=f"Report on {version.name} version {version.version}",
        key="report",
        description="What was decided and why, figures, mistakes to look at",
    )
    return address
