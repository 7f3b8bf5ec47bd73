"""The README's commands run. Slow: `make train` runs the whole pipeline on the sample, in processes of its own."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import requests

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
README = (PROJECT / "README.md").read_text("utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """State of its own; the environment's bin folder on PATH, as the README has the reader do."""
    state = tmp_path_factory.mktemp("state")
    # MAKE...: inside `make test`, another make would announce the folders it enters.
    theirs = ("PREFECT_", "MLFLOW_", "MAKE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(theirs)}
    return {**kept, "LSTM_TEXT_STATE": str(state), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def run(command: str, environment: dict[str, str], cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    # Set-up is done: the environment that runs this test is the one that make would make.
    words = shlex.split(command) + ([f"VENV={BIN.parent}"] if command.startswith("make") else [])
    return subprocess.run(words, env=environment, cwd=cwd, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def trained(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return run("make train ARGS=--json", environment)


def test_make_train_ends_with_metrics_version_and_next_commands(trained: "subprocess.CompletedProcess[str]") -> None:
    assert trained.returncode == 0, trained.stderr[-3_000:]
    assert "\naccuracy  " in trained.stdout and "text-classifier version 1 is the champion" in trained.stdout
    assert "make ui" in trained.stdout and "make serve" in trained.stdout and "lstm-text score" in trained.stdout
    assert "Traceback" not in trained.stderr
    answer = json.loads(trained.stdout.strip().splitlines()[-1])
    assert answer["metrics"]["accuracy"] > 2 * answer["metrics"]["majority_accuracy"]


def test_every_lstm_text_command_of_the_readme_runs(
    trained: "subprocess.CompletedProcess[str]", environment: dict[str, str], tmp_path: Path
) -> None:
    texts = pd.DataFrame({"id": ["a", "b"], "text": ["Striker signs for two years", "Bank raises rates"]})
    texts.to_csv(tmp_path / "texts.csv", index=False)
    ran = [command for command in commands() if command.startswith("lstm-text")]
    assert len(ran) >= 2
    for command in ran:
        result = run(command.replace("data/", f"{PROJECT}/data/"), environment, cwd=tmp_path)
        assert result.returncode == 0, (command, result.stderr[-2_000:])
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 2


def test_the_commands_of_the_serving_page_run(
    trained: "subprocess.CompletedProcess[str]", environment: dict[str, str], tmp_path: Path
) -> None:
    texts = pd.DataFrame({"text": ["Striker signs for two years", "Bank raises rates"]})
    texts.to_csv(tmp_path / "texts.csv", index=False)
    texts.to_json(tmp_path / "texts.jsonl.gz", orient="records", lines=True)
    page = (PROJECT / "docs" / "serving.md").read_text("utf-8")
    scored = re.findall(r"^lstm-text .*$", page, re.MULTILINE)
    assert len(scored) == 2
    for command in scored:
        result = run(command, environment, cwd=tmp_path)
        assert result.returncode == 0, (command, result.stderr[-2_000:])
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 2

    tracked = {**environment, "MLFLOW_TRACKING_URI": f"sqlite:///{environment['LSTM_TEXT_STATE']}/mlflow.db"}
    download = next(part for part in page.split("`") if part.startswith("mlflow artifacts download"))
    result = run(download, tracked, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2_000:]
    (tmp_path / "model" / "artifacts" / "classifier").rename(tmp_path / "classifier")
    in_python = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0]
    (tmp_path / "page.py").write_text(f"{in_python}\nassert label in classifier.labels\n")
    result = run(f"{sys.executable} page.py", environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_every_make_target_of_the_readme_exists() -> None:
    targets = {command.split()[1] for command in commands() if command.startswith("make")}
    assert {"train", "test", "ui", "serve"} <= targets
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    assert [target for target in targets if not re.search(rf"^{target}:.*##", makefile, re.MULTILINE)] == []


def test_make_ui_starts_both_servers_and_leaves_nothing(environment: dict[str, str]) -> None:
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    command = [f"{BIN}/lstm-text", "ui", "--mlflow-port", str(ports[0]), "--prefect-port", str(ports[1])]
    process = subprocess.Popen(command, env=environment)
    try:
        assert [
            _answers(f"http://127.0.0.1:{port}{path}") for port, path in zip(ports, ("/", "/api/health"), strict=True)
        ] == [200] * 2
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def _answers(url: str) -> int | None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            return requests.get(url, timeout=5).status_code
        except requests.ConnectionError:
            time.sleep(0.3)
    return None


def test_the_generated_configuration_page_is_up_to_date() -> None:
    result = run(f"{sys.executable} docs/write_configuration.py --check", dict(os.environ))
    assert result.returncode == 0, result.stdout + result.stderr


def test_relative_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links and [link for link in links if not (PROJECT / link).exists()] == []
