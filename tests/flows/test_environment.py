"""What people's environments hold: proxies, a notebook's plot backend, a password, a console that is not UTF-8.

Slow: each training and scoring is a process of its own, two of them with an MLflow server behind a proxy.
"""

import base64
import json
import subprocess
import sys
import zipfile
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.flows.trainings import FLAGS, answer, environment
from tests.gateway import PROXIES, SECRET
from tests.samples import write_tiny_file
from tests.team.servers import free_port, prefect_server, running, wait_until

BIN = Path(sys.executable).parent
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "KERAS_BACKEND": "torch"}
# Settings for other servers, other programs and other runs; folders and numbers that are none.
SURROUNDINGS = {
    "PREFECT_SERVER_API_AUTH_STRING": "me:mine", "PREFECT_SERVER_API_BASE_PATH": "/mine", "PREFECT_PROFILE": "mine",
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true", "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false", "PREFECT_API_KEY": "mine", "PREFECT_API_URL": "",
    "MLFLOW_TRACKING_URI": "", "MLFLOW_REGISTRY_URI": "", "MLFLOW_RUN_ID": "mine", "MLFLOW_EXPERIMENT_NAME": "mine",
    "MLFLOW_TRACKING_TOKEN": "mine", "MLFLOW_ENABLE_ASYNC_LOGGING": "true", "KERAS_MAX_EPOCHS": "1", "LC_ALL": "C",
    "TMPDIR": "/nowhere", "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "many",
}  # fmt: skip
FILES = {
    ".keras/keras.json": '{"floatx": "float16", "backend": "jax", "image_data_format": "channels_first"}',
    ".config/matplotlib/matplotlibrc": "axes.facecolor: red\nno such line",
    ".env": "PREFECT_SERVER_API_AUTH_STRING=you:yours",
    "prefect.toml": "[server.api]\nbase_path='/yours'\n[results]\npersist_by_default=true",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_tiny_file(tmp_path_factory.mktemp("data") / "tiny.csv", rows=66)
    path.write_text(path.read_text("utf-8").replace(",owl", ",Käuzchen 枭"), encoding="utf-8")
    return path


def lstm_text(
    *arguments: str, environment: dict[str, str], shell: str = "", encoding: str = "utf-8", folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command; shell: redirections. encoding: of what it prints. folder: where it starts."""
    command = ["bash", "-c", f'exec "$@" {shell}', "bash", str(BIN / "lstm-text"), *arguments]
    options: dict[str, Any] = {"capture_output": True, "timeout": 300, "encoding": encoding, "cwd": folder}
    return subprocess.run(command, env=environment, check=False, **options)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A training from a notebook, with proxies, others' settings and a console of ASCII alone; its state folder."""
    state, home = tmp_path_factory.mktemp("a % b # ü 枭"), tmp_path_factory.mktemp("home")
    for name, text in FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    hostile = {**NOTEBOOK, **PROXIES["dead"], **PROXIES["socks as GNOME writes it"], "PYTHONIOENCODING": "ascii:strict"}
    variables = {**environment(state), **hostile, **SURROUNDINGS, "HOME": str(home)}
    return state, lstm_text("train", "--data.path", str(data), *FLAGS, environment=variables, folder=home)


def test_a_training_in_a_hostile_environment_ends_with_a_champion(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    finished = answer(trained[1])
    assert finished["promoted"] and "a bug" not in trained[1].stderr and "Traceback" not in trained[1].stderr
    (network,) = trained[0].glob("stages/trained/*/network.keras")
    config = zipfile.ZipFile(network).read("config.json").decode()
    assert "float32" in config and "float16" not in config
    assert "#ff0000" not in next(trained[0].glob("artifacts/**/report.html")).read_text("utf-8")


def test_what_a_console_cannot_show_is_replaced_and_json_is_escaped(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    state = trained[0]
    found = lstm_text(
        "predict", "ein Käuzchen", "--json", environment={**environment(state), "PYTHONIOENCODING": "ascii"}
    )
    lines = found.stdout.splitlines()
    assert found.returncode == 0 and "\tein K?uzchen" in lines[0]
    assert lines[-1].isascii() and "probability_Käuzchen 枭" in str(json.loads(lines[-1]))
    console = {**environment(state), "PYTHONIOENCODING": "cp1252"}
    windows = lstm_text("predict", "ein 枭 über", environment=console, encoding="cp1252")
    assert windows.returncode == 0 and "\tein ? über" in windows.stdout
    told = lstm_text("history", "--model-name", "枭", environment={**environment(state), "PYTHONIOENCODING": "ascii"})
    assert told.returncode == 4 and told.stderr.isascii()


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_does_its_work(
    closed: str, trained: tuple[Path, subprocess.CompletedProcess[str]], data: Path, tmp_path: Path
) -> None:
    if closed == ">&-":
        flags = ["train", "--data.path", str(data), *FLAGS]
    else:
        flags = ["score", str(data), "--output", str(tmp_path / "scores.csv")]
    found = lstm_text(*flags, environment=environment(trained[0]), shell=closed)
    assert found.returncode == 0 and found.stdout == ""
    assert closed == ">&-" or len((tmp_path / "scores.csv").read_text("utf-8").splitlines()) == 67


def test_a_scoring_behind_a_proxy_that_refuses_all_is_done(
    gateway: ThreadingHTTPServer, trained: tuple[Path, subprocess.CompletedProcess[str]], data: Path, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{gateway.server_port}"
    proxied = {**environment(trained[0]), **NOTEBOOK, "HTTP_PROXY": address, "ALL_PROXY": address}
    found = lstm_text("score", str(data), "--output", str(tmp_path / "scores.parquet"), environment=proxied)
    assert found.returncode == 0, found.stderr[-2_000:]
    assert (tmp_path / "scores.parquet").exists() and "a bug" not in found.stderr


def test_a_password_is_used_behind_a_proxy_and_written_nowhere(
    gateway: ThreadingHTTPServer, data: Path, tmp_path: Path
) -> None:
    """The folder holds both databases, all artifacts, Prefect's home and what the servers and the commands print."""
    port = free_port()
    gateway.RequestHandlerClass.backend = port  # type: ignore[attr-defined]
    (tmp_path / "state").mkdir()
    store = f"sqlite:///{tmp_path / 'server.db'}"
    server = [str(BIN / "mlflow"), "server", "--backend-store-uri", store, "--workers", "1", "--port", str(port)]
    server += ["--artifacts-destination", str(tmp_path / "artifacts"), "--host", "127.0.0.1"]
    plain = environment(tmp_path / "state")
    proxied = {
        **plain, "HTTP_PROXY": f"http://127.0.0.1:{gateway.server_port}",
        "MLFLOW_TRACKING_URI": "http://planted:planted-s%C3%A4cret%2F1@tracking.example",
    }  # fmt: skip
    quiet = {**plain, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    healthy = [sys.executable, "-c", f"from urllib.request import urlopen; urlopen('http://127.0.0.1:{port}/health')"]
    with (
        prefect_server(tmp_path) as proxied["PREFECT_API_URL"],
        running(server, quiet, tmp_path / "server.log") as process,
    ):
        wait_until(healthy, process, quiet)
        train = lstm_text("train", "--data.path", str(data), *FLAGS, environment=proxied)
        wrong = lstm_text("compare", "0" * 32, environment=proxied)
    finished = answer(train)
    assert finished["promoted"] and gateway.RequestHandlerClass.passed > 50  # type: ignore[attr-defined]
    assert finished["run_url"].startswith("http://tracking.example/#/experiments/")
    assert wrong.returncode == 4 and finished["run_id"][:8] in wrong.stderr  # It asked the server, and was answered.
    for number, found in enumerate((train, wrong)):
        (tmp_path / f"stdout{number}").write_text(found.stdout, "utf-8")
        (tmp_path / f"stderr{number}").write_text(found.stderr, "utf-8")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "server.db", "prefect.db", "report.html"} - {path.name for path in files} <= {"mlflow.db"}
    spelled = ("planted-s", base64.b64encode(f"planted:{SECRET}".encode()).decode()[:16])
    assert [path for path in files for secret in spelled if secret.encode() in path.read_bytes()] == []
