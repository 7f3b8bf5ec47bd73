"""Run a command in a state folder of its own and time it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TRAIN = [str(Path(sys.executable).with_name("lstm-text")), "train", "--json"]


def environment(state: Path | str) -> dict[str, str]:
    """Return an environment with this state folder and without settings of Prefect and MLflow."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    return {**kept, "LSTM_TEXT_STATE": str(state), "TF_CPP_MIN_LOG_LEVEL": "3"}


def timed(command: list[str], variables: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """Run a command; return its seconds and the JSON object on the last line of its output, if there is output."""
    started = time.monotonic()
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if result.returncode:
        raise SystemExit(f"This command failed: {' '.join(command)}\n{result.stderr[-3_000:]}")
    lines = result.stdout.strip().splitlines()
    return seconds, json.loads(lines[-1]) if lines else {}
