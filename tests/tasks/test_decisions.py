"""Decisions on registered versions: judged against the champion, recorded, serialised, undone.

Slow by a few seconds: Keras writes three small networks, and MLflow registers them.
"""

import json
import multiprocessing
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound

import tasks.promotion.decision_record
import tasks.runtime.locks
from lstm_model.errors import ModelError, UsageError
from tasks.promotion.change_champion import promote_version, roll_back
from tasks.promotion.check_servable import Servability
from tasks.promotion.decide_promotion import decide
from tasks.promotion.decision_record import Decision, decision_lock, read_decisions
from tasks.promotion.history import history_text, read_history
from tasks.registry.registered_model import list_versions, read_aliases, resolve_model
from tasks.runtime.locks import hold, shared_lock
from tests.evaluated import BALANCED_SEEDS, ROWS, SERVABLE, answers_of, candidate, register_evaluated, relabelled
from tests.models import register, write_classifier

MANUAL: dict[str, Any] = {"trigger": "manual"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three classifiers; the answers of the first are taken for the truth, so it is the best there can be."""
    root = tmp_path_factory.mktemp("models")
    return [write_classifier(root / str(seed), seed=seed) for seed in BALANCED_SEEDS]


@pytest.fixture(scope="module")
def truth(models: list[Path]) -> list[str]:
    return answers_of(models[0])


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are started in tests/tasks/test_servability.py; here a version can be served unless a test says not."""
    monkeypatch.setattr("tasks.promotion.change_champion.find_servability", lambda *_: SERVABLE)


def enter(folder: Path, name: str, truth: list[str], **options: Any) -> Decision:
    """Register a version and have it decided on, as a training does."""
    changes = {key: options.pop(key) for key in ("servable", "promotion") if key in options}
    version, run_id = register_evaluated(folder, name, truth, **options)
    return decide(candidate(name, version, run_id, **changes), run_id=run_id, **MANUAL)


def test_the_first_model_is_champion_a_better_one_follows_and_a_worse_one_is_rejected(
    models: list[Path], truth: list[str]
) -> None:
    best, other, _ = models
    first = enter(other, "three", truth)
    assert first.kind == "promoted" and first.comparison is None and first.reason.startswith("first champion")
    assert read_aliases("three") == {"champion": "1", "candidate": "1"}
    better = enter(best, "three", truth)
    assert better.kind == "promoted" and (better.champion_before, better.champion_version) == ("1", "2")
    assert better.comparison is not None and better.comparison.candidate.macro_f1 == 1
    assert read_aliases("three") == {"champion": "2", "previous": "1", "candidate": "2"}
    worse = enter(other, "three", truth)
    assert worse.kind == "rejected" and worse.reason.startswith("class_drop: F1 of ")
    failed = [rule.name for rule in worse.rules if rule.verdict == "failed"]
    assert failed == ["class_drop", "not_worse_than_champion"]
    assert read_aliases("three") == {"champion": "2", "previous": "1", "candidate": "3"}


def test_an_identical_model_leaves_the_aliases(models: list[Path], truth: list[str]) -> None:
    enter(models[0], "twins", truth)
    again = enter(models[0], "twins", truth)
    assert again.kind == "unchanged" and not again.promoted and again.reason.startswith("identical: ")
    assert read_aliases("twins") == {"champion": "1", "candidate": "2"}


def test_a_version_that_cannot_be_served_is_no_candidate(models: list[Path], truth: list[str]) -> None:
    broken = Servability(reason="no model.onnx", asked=0, cold_start_seconds=None, p95_milliseconds=None)
    decision = enter(models[0], "broken", truth, servable=broken)
    assert decision.kind == "rejected" and decision.reason == "servability: no model.onnx"
    assert read_aliases("broken") == {}


def test_rows_that_the_champion_was_trained_on_are_left_out(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "seen", truth, seen=ROWS[:100])
    decision = enter(models[0], "seen", truth)
    assert decision.comparison is not None and decision.comparison.manifest_found
    assert (decision.comparison.rows, decision.comparison.left_out) == (len(ROWS) - 100, 100)


def test_too_few_unseen_rows_are_a_rejection_that_says_how_many(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "few", truth, seen=ROWS[19:])
    decision = enter(models[0], "few", truth)
    assert decision.kind == "rejected" and decision.comparison is None
    assert decision.reason.startswith("enough_rows: 19 test rows are unseen by candidate and champion, 125 left out")
    assert "`lstm-text promote 2 --model-name few --force --reason ...`" in decision.reason


def test_a_champion_without_a_manifest_is_compared_on_all_rows_and_it_is_told(
    models: list[Path], truth: list[str]
) -> None:
    version, _ = register_evaluated(models[1], "unknown", truth, manifest=False)
    MlflowClient().set_registered_model_alias("unknown", "champion", version)
    decision = enter(models[0], "unknown", truth)
    assert decision.comparison is not None and not decision.comparison.manifest_found
    assert decision.comparison.rows == len(ROWS)
    assert "which favours it" in next(rule.text for rule in decision.rules if rule.name == "enough_rows")


def test_a_champion_with_the_labels_in_another_order_is_compared_by_name(
    models: list[Path], truth: list[str], tmp_path: Path
) -> None:
    # The same network with its labels turned: it answers dog where the other answers cat, and so on.
    turned = relabelled(models[0], tmp_path / "turned", ["dog", "owl", "cat"])
    expected = {"cat": "dog", "dog": "owl", "owl": "cat"}
    assert answers_of(turned) == [expected[label] for label in truth]
    enter(turned, "order", truth)
    decision = enter(models[0], "order", truth)
    assert decision.kind == "promoted" and decision.comparison is not None
    assert decision.comparison.champion.accuracy == 0 and decision.comparison.candidate.accuracy == 1


def test_other_labels_need_force(models: list[Path], truth: list[str], tmp_path: Path) -> None:
    enter(relabelled(models[1], tmp_path / "other", ["cat", "dog", "bat"]), "labels", truth)
    decision = enter(models[0], "labels", truth)
    assert decision.kind == "rejected" and decision.reason.startswith("same_labels: ")
    assert "`lstm-text promote 2 --model-name labels --force --reason ...`" in decision.reason
    forced = promote_version("labels", "2", force=True, note="bats are owls now")
    assert forced.kind == "forced" and forced.reason == "bats are owls now"
    assert [rule.name for rule in forced.rules] == ["servability"]
    assert read_aliases("labels") == {"champion": "2", "previous": "1", "candidate": "2"}


def test_a_champion_that_cannot_be_read_stays_and_the_way_out_is_told(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "unreadable", truth)
    source = Path(mlflow.artifacts.download_artifacts("models:/unreadable/1"))
    (source / "artifacts" / "classifier" / "model.onnx").unlink()
    decision = enter(models[0], "unreadable", truth)
    assert decision.kind == "rejected" and decision.reason.startswith("champion_answers: the champion, version 1")
    assert promote_version("unreadable", "2", force=True, note="files are gone").promoted


def test_a_file_that_the_candidate_lacks_is_not_blamed_on_the_champion(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "incomplete", truth)
    version, run_id = register_evaluated(models[0], "incomplete", truth)
    source = Path(mlflow.artifacts.download_artifacts(f"models:/incomplete/{version}"))
    (source / "artifacts" / "classifier" / "model.onnx").unlink()
    with pytest.raises(ModelError, match="The files of incomplete version 2 cannot be read"):
        decide(candidate("incomplete", version, run_id), run_id=run_id, **MANUAL)
    assert read_aliases("incomplete")["champion"] == "1" and len(read_decisions("incomplete")) == 1


def test_a_store_that_fails_is_no_champion_without_a_manifest(
    models: list[Path], truth: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(models[1], "store", truth)
    version, run_id = register_evaluated(models[0], "store", truth)
    better = candidate("store", version, run_id)
    failed = MlflowException("the store does not answer", error_code=INTERNAL_ERROR)
    monkeypatch.setattr(MlflowClient, "download_artifacts", Mock(side_effect=failed))
    with pytest.raises(ModelError, match=r"split/splits\.parquet of run \w+ cannot be read"):
        decide(better, run_id=run_id, **MANUAL)
    assert read_aliases("store")["champion"] == "1" and len(read_decisions("store")) == 1


def test_promote_judges_again_against_the_champion_of_the_moment(models: list[Path], truth: list[str]) -> None:
    best, other, _ = models
    enter(best, "again", truth)
    assert enter(other, "again", truth).kind == "rejected"
    assert promote_version("again", "2", force=False, note="try").kind == "rejected"
    assert promote_version("again", "2", force=True, note="on purpose").champion_version == "2"
    back = promote_version("again", "1", force=False, note="it is better")
    assert back.kind == "promoted" and back.note == "it is better" and back.comparison is not None
    assert promote_version("again", "1", force=False, note="once more").kind == "unchanged"
    assert read_aliases("again") == {"champion": "1", "previous": "2", "candidate": "1"}


def test_a_rollback_goes_to_the_previous_champion_and_twice_is_back(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "back", truth)
    enter(models[0], "back", truth)
    decision = roll_back("back", note="complaints")
    assert decision.kind == "rolled_back" and decision.version == "1" and not decision.promoted
    assert (decision.reason, decision.champion_before, decision.champion_version) == ("complaints", "2", "1")
    assert read_aliases("back") == {"champion": "1", "previous": "2", "candidate": "2"}
    roll_back("back", note="it was not the model")
    assert read_aliases("back") == {"champion": "2", "previous": "1", "candidate": "2"}


def test_nothing_to_roll_back_to_and_what_does_not_exist_are_told(models: list[Path], truth: list[str]) -> None:
    enter(models[0], "lonely", truth)
    with pytest.raises(ModelError, match=r"champion: 1, previous: none.*There is: 1 \(candidate, champion\)"):
        roll_back("lonely", note="x")
    with pytest.raises(ModelError, match=r"lonely has no version 7\. There is: 1 "):
        promote_version("lonely", "7", force=True, note="x")
    for ask in (lambda: roll_back("nowhere", note="x"), lambda: read_history("nowhere")):
        with pytest.raises(ModelError, match="The registry has no model nowhere"):
            ask()
    version, _ = register_evaluated(models[0], "headless", truth)
    with pytest.raises(ModelError, match=r"champion: none, previous: none.*There is: 1\."):
        roll_back("headless", note="x")
    assert version == "1" and read_decisions("headless") == []


def test_what_cannot_be_served_is_refused_and_recorded_even_by_force_or_rollback(
    models: list[Path], truth: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(models[1], "dead", truth)
    enter(models[0], "dead", truth)
    dead = Servability(reason="it does not start", asked=0, cold_start_seconds=None, p95_milliseconds=None)
    monkeypatch.setattr("tasks.promotion.change_champion.find_servability", lambda *_: dead)
    for ask in (
        lambda: promote_version("dead", "1", force=True, note="x"),
        lambda: promote_version("dead", "1", force=False, note="x"),
        lambda: roll_back("dead", note="x"),
    ):
        with pytest.raises(ModelError, match=r"it does not start.*the refusal is recorded"):
            ask()
    assert read_aliases("dead")["champion"] == "2"
    last = read_decisions("dead")[-3:]
    assert [(told["kind"], told["reason"]) for told in last] == [("rejected", "servability: it does not start")] * 3


def test_a_decision_is_an_artifact_of_the_run_and_a_tag_of_the_version(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "recorded", truth)
    decision = enter(models[0], "recorded", truth)
    whole = mlflow.artifacts.load_dict(f"runs:/{decision.run_id}/decisions/{decision.decision_id}.json")
    assert Decision.model_validate(whole) == decision
    version = next(one for one in list_versions("recorded") if str(one.version) == "2")
    assert decision.tag.startswith("decision.2") and decision.tag.endswith(f"Z-{decision.decision_id}")
    told = json.loads(version.tags[decision.tag])
    assert told["macro_f1"] == 1 and told["difference"]["macro_f1"] > 0 and told["user"] == decision.user
    run = MlflowClient().get_run(str(decision.run_id)).data.tags
    assert run["decision"] == version.tags["decision"] == "promoted"
    assert run["decision_reason"] == version.tags["decision_reason"] == decision.reason


def test_a_long_reason_is_whole_in_the_artifact_and_cut_in_the_tag(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "long", truth)
    _, _ = register_evaluated(models[0], "long", truth)
    decision = promote_version("long", "2", force=True, note="\U0001f600 weil " * 2_000)
    tags = next(one for one in list_versions("long") if str(one.version) == "2").tags
    assert max(map(len, tags.values())) <= 5_000
    whole = mlflow.artifacts.load_dict(f"runs:/{decision.run_id}/decisions/{decision.decision_id}.json")
    assert whole["reason"] == "\U0001f600 weil " * 2_000


def test_history_lists_all_decisions_oldest_first_with_the_aliases_of_now(models: list[Path], truth: list[str]) -> None:
    enter(models[1], "told", truth)
    enter(models[0], "told", truth)
    enter(models[2], "told", truth)
    roll_back("told", note="complaints\nfrom users")
    history = read_history("told")
    assert [told["kind"] for told in history["decisions"]] == ["promoted", "promoted", "rejected", "rolled_back"]
    lines = history_text(history).splitlines()
    assert lines[0] == "4 decisions on told, oldest first"
    assert "rolled_back" in lines[6] and "2 -> 1" in lines[6] and lines[6].endswith("complaints from users")
    assert lines[-1] == "told now: champion 1, previous 2, candidate 3"
    MlflowClient().set_registered_model_alias("told", "champion", "3")
    assert "leaves version 1 as champion, but it is 3" in history_text(read_history("told"))


def test_a_run_that_holds_too_little_can_be_forced_but_not_judged(models: list[Path], truth: list[str]) -> None:
    version = register(models[0], "bare")  # Its run holds the model alone.
    MlflowClient().delete_registered_model_alias("bare", "champion")
    with pytest.raises(ModelError, match=r"has no .*predictions\.parquet.*promote it with --force"):
        promote_version("bare", version, force=False, note="x")
    assert promote_version("bare", version, force=True, note="x").kind == "forced"


def test_a_run_of_an_earlier_release_can_be_forced_but_not_judged(
    models: list[Path], truth: list[str], tmp_path: Path
) -> None:
    version, run_id = register_evaluated(models[0], "early", truth)
    pd.DataFrame({"example_id": ["1"], "label": ["cat"]}).to_parquet(tmp_path / "predictions.parquet")
    MlflowClient().log_artifact(run_id, str(tmp_path / "predictions.parquet"), "evaluation")
    with pytest.raises(ModelError, match=r"has no evaluation/predictions\.parquet that this release reads"):
        promote_version("early", version, force=False, note="x")
    assert promote_version("early", version, force=True, note="x").kind == "forced"


def test_a_server_that_fails_is_no_run_that_is_gone(
    models: list[Path], truth: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(models[0], "unreachable", truth)
    failed = MlflowException("API request failed", error_code=INTERNAL_ERROR)
    monkeypatch.setattr(MlflowClient, "get_run", Mock(side_effect=failed))
    with pytest.raises(MlflowException, match="API request failed"):
        promote_version("unreachable", "1", force=True, note="")


def test_a_registry_that_fails_is_no_version_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = MlflowException("API request failed", error_code=INTERNAL_ERROR)
    monkeypatch.setattr(MlflowClient, "get_model_version", Mock(side_effect=failed))
    with pytest.raises(MlflowException, match="API request failed"):  # An unfinished scoring would be deleted.
        resolve_model("models:/scorer/1")


def test_a_run_that_is_deleted_does_not_hinder_a_rollback(models: list[Path], truth: list[str]) -> None:
    first = enter(models[1], "gone", truth)
    enter(models[0], "gone", truth)
    MlflowClient().delete_run(str(first.run_id))
    assert roll_back("gone", note="x").run_id is None
    assert read_aliases("gone")["champion"] == "1" and read_decisions("gone")[-1]["kind"] == "rolled_back"


@pytest.fixture(scope="module")
def three_versions(models: list[Path], truth: list[str]) -> list[tuple[str, str]]:
    """Version and run id of three versions, the last of them the best."""
    return [register_evaluated(folder, "crash", truth) for folder in reversed(models)]


@pytest.mark.parametrize("step", range(6))
def test_a_crash_at_any_step_leaves_what_the_next_command_goes_on_from(
    step: int, three_versions: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion is artifact, three tags of the version, previous, champion; it is cut off after `step` of them."""
    for alias, number in (("previous", "1"), ("champion", "2")):
        MlflowClient().set_registered_model_alias("crash", alias, number)
    version, run_id = three_versions[2]
    told = {"model_name": "crash", "version": version, "run_id": run_id, "reason": "r", **MANUAL}
    decision = tasks.promotion.decision_record.new_decision(kind="promoted", champion_before="2", **told)
    calls: list[Any] = []

    def crash_after(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(calls) == step:
                raise MlflowException("the lights went out")
            calls.append(args)
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for method in ("log_dict", "set_model_version_tag", "set_registered_model_alias"):
            patch.setattr(MlflowClient, method, crash_after(getattr(MlflowClient, method)))
        with pytest.raises(MlflowException, match="lights"):
            tasks.promotion.decision_record.carry_out(decision, lambda: None)
    aliases = read_aliases("crash")
    assert aliases["champion"] == "2"  # The last step of all.
    assert aliases["previous"] == ("2" if step == 5 else "1")
    recorded = decision.decision_id in {told["decision_id"] for told in read_decisions("crash")}
    assert recorded == (step >= 2)
    if recorded:
        assert "was interrupted" in history_text(read_history("crash"))
    assert promote_version("crash", version, force=False, note="go on").kind == "promoted"
    assert {"champion": version, "previous": "2"}.items() <= read_aliases("crash").items()
    assert read_history("crash")["note"] is None


def test_two_trainings_that_end_at_once_lose_nothing(models: list[Path], truth: list[str]) -> None:
    """Three versions in three threads: whoever comes first, the best ends as champion and each decision is recorded."""
    entered = [register_evaluated(folder, "race", truth) for folder in models]
    candidates = [(candidate("race", version, run_id), run_id) for version, run_id in entered]
    decisions: list[Decision] = []
    threads = [
        threading.Thread(target=lambda one=one, run=run: decisions.append(decide(one, run_id=run, **MANUAL)))
        for one, run in candidates
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decisions) == 3 and read_aliases("race")["champion"] == "1"
    told = read_decisions("race")
    assert {one["version"] for one in told} == {"1", "2", "3"}
    champion, champions = None, []
    for one in told:  # Each was judged against the champion that the one before it left.
        assert one["champion_before"] == champion
        if one["champion_version"] != champion:
            champions.append(champion := one["champion_version"])
    assert champions[-1] == "1" and read_aliases("race").get("previous") == (champions[-2] if champions[1:] else None)


def hold_lock(name: str, held: Any, release: Any) -> None:
    with decision_lock(name):
        held.set()
        release.wait(60)


def test_the_lock_excludes_another_process_and_is_free_when_it_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    monkeypatch.setattr(tasks.promotion.decision_record, "WAIT_SECONDS", 1.0)
    process = context.Process(target=hold_lock, args=("locked", held, release))
    process.start()
    try:
        assert held.wait(60)
        refused = pytest.raises(ModelError, match=r"It holds the file .*mlflow\.db")
        with refused, decision_lock("locked"):
            raise AssertionError("two have the lock")
        with decision_lock("another model"):
            pass
        process.kill()
        process.join()
        monkeypatch.setattr(tasks.promotion.decision_record, "WAIT_SECONDS", 60.0)
        with decision_lock("locked"):
            pass
    finally:
        process.kill()


def test_two_checkouts_with_one_database_share_the_lock_file(
    state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "link.db").symlink_to(state / "mlflow.db")
    here = shared_lock(mlflow.get_registry_uri(), "m").name
    monkeypatch.setenv("LSTM_TEXT_STATE", str(tmp_path / "other"))
    assert shared_lock(f"sqlite:///{tmp_path / 'link.db'}", "m").name == here and str(state) in here


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "postgresql://me@127.0.0.1:1/mlflow"])
@pytest.mark.parametrize("server", [None, "of this process"])
def test_without_a_prefect_server_that_others_can_reach_no_decision_is_made(
    uri: str, server: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "get_registry_uri", lambda: uri)
    monkeypatch.setattr(tasks.runtime.locks, "PREFECT_API_URL", SimpleNamespace(value=lambda: server))
    monkeypatch.setattr(tasks.runtime.locks, "is_own_server", lambda: server is not None)
    with pytest.raises(UsageError, match=r"set PREFECT_API_URL=http://HOST:4200/api"), decision_lock("m"):
        raise AssertionError("it has a lock")


def test_with_a_tracking_server_the_lock_is_a_prefect_concurrency_limit(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "get_registry_uri", lambda: "http://127.0.0.1:1")
    order: list[str] = []

    def second() -> None:
        with decision_lock("limited"):
            order.append("second")

    with decision_lock("limited"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    monkeypatch.setattr(tasks.promotion.decision_record, "WAIT_SECONDS", 0.5)
    with decision_lock("limited"), pytest.raises(ModelError, match="--active-slots 0"), decision_lock("limited"):
        raise AssertionError("two have the lock")


def test_a_limit_that_was_lost_is_noticed(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "get_registry_uri", lambda: "http://127.0.0.1:1")
    leases: list[str] = []
    increment = SyncPrefectClient.increment_concurrency_slots_with_lease

    def noted(*args: Any) -> Any:
        response = increment(*args)
        leases.append(response.json()["lease_id"])
        return response

    monkeypatch.setattr(SyncPrefectClient, "increment_concurrency_slots_with_lease", noted)
    with decision_lock("lost") as still_held, get_client(sync_client=True) as client:
        still_held()
        client.release_concurrency_slots_with_lease(leases[0])  # As a server that forgot it, or a lease that ran out.
        with pytest.raises(ModelError, match="lost the Prefect concurrency limit lstm-text-decisions-"):
            still_held()


def test_a_limit_that_is_rarely_used_again_is_deleted(prefect_server: None) -> None:
    lock = shared_lock("http://127.0.0.1:1", "once", one_off=True)
    with get_client(sync_client=True) as client:
        with hold(lock, seconds=0, poll_seconds=0, refusal="It is taken"):
            assert client.read_global_concurrency_limit_by_name("lstm-text-once").active_slots == 1
        with pytest.raises(ObjectNotFound):
            client.read_global_concurrency_limit_by_name("lstm-text-once")
