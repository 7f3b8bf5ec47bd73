"""The task behind the report: what it logs, describes and links, with the registry and MLflow for real."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from lstm_model.config.pipeline import PipelineConfig
from tasks.registry.registered_classifier import RegisteredVersion
from tasks.reports import write_report as module
from tasks.runtime.stage_store import StageRecord, stages_root, write_json
from tasks.runtime.tracking import Run, ensure_experiment
from tasks.training.evaluate_classifier import _draw
from tests.evaluations import decision, evaluation, typed
from tests.pages import Page

CONFIG = PipelineConfig(model={"lstm_units": 4})


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return what would be published to Prefect: its server is of no interest here."""
    published: list[dict[str, str]] = []
    monkeypatch.setattr(module, "publish_markdown", lambda *artifact: None)
    monkeypatch.setattr(module, "create_link_artifact", lambda **link: published.append(link))
    return published


def decided(judged: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(model_dump=lambda mode: decision(judged), summary="is not promoted: worse")


def evaluated_version(name: str, judged: dict[str, Any]) -> tuple[Any, StageRecord, Run]:
    """Return a version in the registry, a record of its evaluation, and a run with two epochs of curves."""
    client, experiment = MlflowClient(), ensure_experiment("reported")
    run_id = client.create_run(experiment, run_name="tiny", tags={"data_digest": "ab" * 32}).info.run_id
    for step, loss in enumerate([1.25, 0.75], start=1):
        client.log_metric(run_id, "train_loss", loss, step=step)
        client.log_metric(run_id, "train_accuracy", 0.5, step=step)
        client.log_metric(run_id, "validation_log_loss", loss, step=step)
        client.log_metric(run_id, "validation_accuracy", 0.5, step=step)
    client.log_metric(run_id, "best_epoch", 2)
    client.create_registered_model(name)
    number = str(client.create_model_version(name, source=f"runs:/{run_id}/none", run_id=run_id).version)
    record = StageRecord(stage="evaluation", digest=run_id, files={})
    record.folder.mkdir(parents=True)
    write_json(record.file("evaluation.json"), judged)
    _draw(record.folder, typed(judged), judged["candidate"]["reliability"])
    assert record.folder.is_relative_to(stages_root())
    return RegisteredVersion(name=name, version=number), record, Run(run_id, experiment, "tiny", "tiny.csv")


def test_report_card_and_link_lead_to_the_run(links: list[dict[str, str]]) -> None:
    judged = evaluation(["cat", "dog"])
    version, record, run = evaluated_version("reported", judged)
    address = module.write_report.__wrapped__(version, record, decided(judged), CONFIG, run)

    page = Path(mlflow.artifacts.download_artifacts(run_id=run.run_id, artifact_path="report.html"))
    text = Page(page.read_text("utf-8")).text
    assert "2 epochs; the weights kept are those of epoch 2." in text and "1 1.250 0.500 1.250 0.500" in text
    assert page.read_text("utf-8").count("Reliability diagram") == 2 and "model.lstm_units 4 32" in text
    card = MlflowClient().get_model_version("reported", version.version).description
    assert card.startswith("# text-classifier version 4") and run.url in card
    assert [link["link"] for link in links] == [address] and address == f"{run.url}/artifacts/report.html"


def test_a_temperature_that_was_not_kept_has_one_diagram(links: list[dict[str, str]]) -> None:
    judged = evaluation(["cat", "dog"])
    judged["calibration"]["kept"] = False
    version, record, run = evaluated_version("kept-not", judged)
    module.write_report.__wrapped__(version, record, decided(judged), CONFIG, run)
    page = Path(mlflow.artifacts.download_artifacts(run_id=run.run_id, artifact_path="report.html")).read_text("utf-8")
    assert page.count("Reliability diagram") == 1 and "a temperature does not help" in page
