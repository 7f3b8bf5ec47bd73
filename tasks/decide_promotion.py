"""The gate: does the new version become champion? The alias moves here and nowhere else."""

from mlflow import MlflowClient
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from lstm_model.config import PromotionConfig
from tasks import tracking
from tasks.check_servable import Servability
from tasks.fetch_champion import CHAMPION
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
    version: RegisteredVersion, evaluation: StageRecord, servable: Servability, config: PromotionConfig, run: Run
) -> Decision:
    """Give the version the alias `champion` if it deserves it; record the decision on version and run."""
    judged = read_json(evaluation.file("evaluation.json"))
    promoted, reason = _judge(judged, servable.reason, config)
    client = MlflowClient()
    if promoted:
        client.set_registered_model_alias(version.name, CHAMPION, version.version)
    before = judged["champion"]["version"] if judged["champion"] else None
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


def _judge(judged: dict[str, object], unservable: str | None, config: PromotionConfig) -> tuple[bool, str]:
    if unservable:
        return False, f"servability: {unservable}"
    candidate, champion = judged["candidate"], judged["champion"]
    assert isinstance(candidate, dict)
    if not isinstance(champion, dict):
        return True, f"first champion; test macro-F1 {candidate['macro_f1']:.4f}"
    if champion["figures"] is None:
        return False, f"labels differ from those of the champion, version {champion['version']}"
    ours, theirs = candidate["macro_f1"], champion["figures"]["macro_f1"]
    figures = f"test macro-F1 {ours:.4f} against {theirs:.4f} of the champion, version {champion['version']}"
    return ours >= theirs - config.max_macro_f1_drop, figures
