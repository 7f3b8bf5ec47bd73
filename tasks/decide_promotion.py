"""The gate: does the new version become champion? The alias moves here and nowhere else."""

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from lstm_model.config import PromotionConfig
from tasks import tracking
from tasks.fetch_champion import CHAMPION, is_missing
from tasks.publishing import markdown_table, publish_markdown
from tasks.register_classifier import RegisteredVersion
from tasks.stages import StageRecord, read_json, worth_a_retry
from tasks.tracking import Run


class Decision(BaseModel):
    """Whether the version became champion, and why."""

    model_config = ConfigDict(frozen=True)

    promoted: bool
    reason: str
    champion_version: str | None


@tracking.timed
@task(
    name="decide-promotion", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2, retry_condition_fn=worth_a_retry
)
def decide_promotion(
    version: RegisteredVersion, evaluation: StageRecord, unservable: str | None, config: PromotionConfig, run: Run
) -> Decision:
    """Give the version the alias `champion` if it deserves it; record the decision on version and run."""
    judged = read_json(evaluation.file("evaluation.json"))
    client = MlflowClient()
    before, theirs = _champion(client, version.name)
    promoted, reason = _judge(judged["candidate"]["macro_f1"], before, theirs, unservable, config)
    if promoted:
        client.set_registered_model_alias(version.name, CHAMPION, version.version)
    tags = {"decision": "promoted" if promoted else "rejected", "decision_reason": reason}
    for key, value in tags.items():
        client.set_model_version_tag(version.name, version.version, key, value)
    tracking.set_tags(run, tags)
    tracking.log_metrics(run, {"promoted": float(promoted)})
    champion = version.version if promoted else before
    rows = [["candidate", version.version], ["decision", tags["decision"]], ["reason", reason], ["champion", champion]]
    publish_markdown("decision", markdown_table(["", "decided"], rows), "Does the candidate become champion?")
    get_run_logger().info("version %s %s: %s", version.version, tags["decision"], reason)
    return Decision(promoted=promoted, reason=reason, champion_version=champion)


def _champion(client: MlflowClient, name: str) -> tuple[str | None, float]:
    """Return the champion's version and the macro-F1 on its own test rows."""
    try:
        champion = client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if is_missing(error):
            return None, 0.0
        raise
    return str(champion.version), float(champion.tags["test_macro_f1"])


def _judge(
    ours: float, champion: str | None, theirs: float, unservable: str | None, config: PromotionConfig
) -> tuple[bool, str]:
    if unservable:
        return False, f"servability: {unservable}"
    if champion is None:
        return True, f"first champion; test macro-F1 {ours:.4f}"
    figures = f"test macro-F1 {ours:.4f} against {theirs:.4f} of the champion, version {champion}"
    return ours >= theirs - config.max_macro_f1_drop - 1e-6, figures
