"""Write docs/images/ with headless Chromium: run the tutorial up to `make ui`, then photograph the pages of its runs.

    python docs/write_screenshots.py

CHROMIUM names the program; otherwise `chromium` or `google-chrome` on the PATH is taken.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from mlflow import MlflowClient
from page_session import PageSession
from PIL import Image
from write_tutorial import PAGE, run_page

IMAGES = Path(__file__).with_name("images")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--virtual-time-budget=100000",
)  # fmt: skip
COLORS = 64  # A quarter of the size; these pages have few.
MLFLOW_PAGE = 0.742  # Of the width: MLflow opens its assistant at the right when a browser first loads it.


class Shot(NamedTuple):
    """A page to photograph: the window, and the share of its width that is kept."""

    url: str
    width: int
    height: int
    kept: float = 1.0


def main() -> int:
    """Write all images; return the exit code."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        print("There is no Chromium. Install it (apt-get install chromium), or set CHROMIUM.", file=sys.stderr)
        return 2
    page = PAGE.read_text("utf-8")
    until_pages = page[: page.index("make ui\n```\n") + len("make ui\n```\n")]
    with tempfile.TemporaryDirectory(prefix="lstm-text-screenshots-") as folder, PageSession(Path(folder)) as session:
        run_page(until_pages, session)
        for name, shot in shots(session).items():
            photograph(program, shot, IMAGES / f"{name}.png", Path(folder) / f"browser-{name}")
    return 0


def shots(session: PageSession) -> dict[str, Shot]:
    """Return the pages by the image's name."""
    state = session.folder / "mlruns"
    client = MlflowClient(f"sqlite:///{state / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lstm-text")
    assert experiment is not None
    run, earlier = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=2)
    ids = quote(f'["{run.info.run_id}","{earlier.info.run_id}"]')
    experiments = quote(f'["{experiment.experiment_id}"]')
    mlflow = f"http://127.0.0.1:{session.ports['UI_PORT']}/#"
    training = "workflowType=machine_learning"
    one = f"{mlflow}/experiments/{experiment.experiment_id}/runs/{run.info.run_id}?{training}"
    two = f"{mlflow}/compare-runs?runs={ids}&experiments={experiments}&{training}"
    flow_run = run.data.tags["prefect.flow_run_id"]
    prefect = f"http://127.0.0.1:{session.ports['PREFECT_PORT']}/runs/flow-run/{flow_run}"
    report = state / "artifacts" / run.info.run_id / "artifacts" / "report.html"
    return {
        "mlflow": Shot(one, 1500, 900, MLFLOW_PAGE),
        "compare": Shot(two, 1500, 820, MLFLOW_PAGE),
        "prefect": Shot(prefect, 1100, 620),
        "report": Shot(report.as_uri(), 1000, 900),
    }


def photograph(program: str, shot: Shot, image: Path, profile: Path) -> None:
    """Write the picture of a page. profile: a new folder for the browser's own files."""
    flags = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={shot.width},{shot.height}"]
    subprocess.run([program, *flags, f"--screenshot={image}", shot.url], check=True, timeout=300, capture_output=True)
    with Image.open(image) as picture:
        small = picture.convert("RGB").crop((0, 0, int(shot.width * shot.kept), shot.height)).quantize(COLORS)
    small.save(image, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
