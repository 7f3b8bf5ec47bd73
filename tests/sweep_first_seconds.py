"""Kill the first command in a new state folder after 0.2 s, 0.4 s, ...; check that the next command works each time.

    python tests/sweep_first_seconds.py [--step 0.2] [--first 0.2]

Ends after the first kill that comes a second or more after both databases exist. Each row takes half a minute.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DATABASES = ("mlflow.db", "prefect/prefect.db")
COMMAND = [sys.executable, "-m", "flows.cli"]
FIRST = [*COMMAND, "train", "--data.path", "data/headlines.csv", "--training.epochs", "1"]
# Needs both databases and ends early, because no model is registered.
NEXT = [*COMMAND, "score", "data/headlines.csv", "--output"]


def main() -> int:
    """Print a row for each kill; return 0 if the next command worked after each of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=float, default=0.2, help="seconds by which the kill moves (default 0.2)")
    parser.add_argument("--first", type=float, default=0.2, help="seconds before the first kill (default 0.2)")
    given = parser.parse_args()
    print(f"{'killed after':>12}  {'databases':30}  next command", flush=True)
    seconds, failed, settled = given.first, 0, False
    while not settled:
        with tempfile.TemporaryDirectory(prefix="lstm-text-sweep-", ignore_cleanup_errors=True) as folder:
            there, settled = kill_first(Path(folder), seconds)
            problem = run_next(Path(folder))
        failed += bool(problem)
        print(f"{seconds:>10.1f} s  {', '.join(there) or '-':30}  {problem or 'works'}", flush=True)
        seconds += given.step
    print(f"{failed} failed")
    return 1 if failed else 0


def environment(state: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    return {**kept, "LSTM_TEXT_STATE": str(state)}


def kill_first(state: Path, seconds: float) -> tuple[list[str], bool]:
    """Return the databases that existed at the kill, and whether both had existed for more than a second."""
    started, both_since = time.monotonic(), float("inf")
    process = subprocess.Popen(
        FIRST, cwd=PROJECT, env=environment(state), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while (now := time.monotonic()) < started + seconds:
        if all((state / name).exists() for name in DATABASES):
            both_since = min(both_since, now)
        time.sleep(min(0.02, started + seconds - now))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return [name for name in DATABASES if (state / name).exists()], both_since < started + seconds - 1


def run_next(state: Path) -> str:
    """Return what is wrong with the next command; "" if it only reports that there is no model."""
    result = subprocess.run(
        [*NEXT, str(state / "out.csv")],
        cwd=PROJECT,
        env=environment(state),
        capture_output=True,
        text=True,
        timeout=300,
    )
    message = " ".join(line for line in result.stderr.splitlines() if line.startswith("lstm-text: "))
    if result.returncode == 4 and "is empty: train a model first" in message:
        return ""
    return f"exit code {result.returncode}: {message[:200]}"


if __name__ == "__main__":
    sys.exit(main())
