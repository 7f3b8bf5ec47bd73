"""A locked tracking database and a full disk in the middle of a training: waited for, then told; nothing is lost.

Slow: every training is a process of its own that loads TensorFlow and starts Prefect's server.
"""

import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.flows.trainings import (
    answer,
    check_one_of_everything,
    client,
    command,
    copy_of_trained,
    environment,
    figures,
    trained,
    wait_for_a_run,
)

LOCKED_SECONDS = (23.0, *[3.0] * 20)  # MLflow has SQLite itself wait 20 s for a lock.
FREE_SECONDS = 2.0


@pytest.fixture(scope="module")
def data() -> Path:
    return trained()[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The figures of a training that nobody disturbed."""
    state = tmp_path_factory.mktemp("whole") / "state"
    return figures(state, copy_of_trained(state)["run_id"])


def test_a_database_that_is_locked_again_and_again_delays_a_training_and_no_more(
    data: Path, whole: dict[str, float], tmp_path: Path
) -> None:
    with (tmp_path / "stdout").open("w") as out, (tmp_path / "stderr").open("w") as err:
        process = subprocess.Popen(command(data), env=environment(tmp_path), stdout=out, stderr=err)
        wait_for_a_run(tmp_path)
        other = sqlite3.connect(tmp_path / "mlflow.db", timeout=60, isolation_level=None)
        times = 0
        for seconds in LOCKED_SECONDS:
            if process.poll() is not None:
                break
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)
            other.execute("COMMIT")
            times += 1
            time.sleep(FREE_SECONDS)
        other.close()
        code = process.wait(timeout=300)
    told = (tmp_path / "stderr").read_text()
    finished = answer(subprocess.CompletedProcess([], code, (tmp_path / "stdout").read_text(), told))
    assert times >= 3 and "retrying in" in told
    check_one_of_everything(client(tmp_path), finished["run_id"])
    assert figures(tmp_path, finished["run_id"]) == whole


FULL_DISK = """
mount -t tmpfs -o size=200m tmpfs "$1" || exit 90
state=$1 kept=$2 free_again=$3; shift 3
"$@" > "$kept/stdout" 2> "$kept/stderr" & training=$!
until grep -q "Epoch 1:" "$kept/stderr"; do kill -0 $training || exit 91; sleep 0.05; done
head -c 1G /dev/zero > "$state/filler" 2> "$kept/filled"
grep -q "No space left" "$kept/filled" || exit 92
if [ "$free_again" = yes ]; then
  until grep -qE "retrying in|Retry [0-9]" "$kept/stderr"; do kill -0 $training || exit 93; sleep 0.05; done
  sleep 5
  rm "$state/filler"
  wait $training; code=$?
else
  wait $training; echo $? > "$kept/first_code"
  cp "$kept/stderr" "$kept/first_stderr"
  rm "$state/filler"
  "$@" > "$kept/stdout" 2> "$kept/stderr"; code=$?
fi
cp -a "$state/." "$kept/state"
exit $code
"""


def on_a_full_disk(data: Path, state: Path, kept: Path, *, free_again: str) -> subprocess.CompletedProcess[str]:
    """Train with state on a disk of its own, which fills up after the first epoch; its contents end in kept/state."""
    state.mkdir()
    kept.mkdir()
    script = ["bash", "-c", FULL_DISK, "bash", str(state), str(kept), free_again, *command(data)]
    # A mount of one's own needs root, or a user namespace in which one is.
    variables = environment(state) | ({} if free_again == "yes" else {"TEST_PATIENCE_SECONDS": "10"})
    code = subprocess.run(["unshare", "--map-root-user", "--mount", *script], env=variables, check=False)
    assert code.returncode != 90, "this test needs Linux, and the right to mount a tmpfs in a namespace of its own"
    told = [(kept / name).read_text() for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess([], code.returncode, *told)


def test_a_disk_that_has_room_again_delays_a_training_and_no_more(
    data: Path, whole: dict[str, float], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    finished = answer(on_a_full_disk(data, tmp_path / "disk", kept, free_again="yes"))
    check_one_of_everything(client(kept / "state"), finished["run_id"])
    assert figures(kept / "state", finished["run_id"]) == whole


def test_a_disk_that_stays_full_is_told_and_nothing_is_lost(
    data: Path, whole: dict[str, float], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    finished = answer(on_a_full_disk(data, tmp_path / "disk", kept, free_again="no"))
    told = (kept / "first_stderr").read_text()
    assert (kept / "first_code").read_text().strip() == "2" and "Traceback" not in told
    assert "No space left on device. Free space" in told
    check_one_of_everything(client(kept / "state"), finished["run_id"])
    assert figures(kept / "state", finished["run_id"]) == whole
