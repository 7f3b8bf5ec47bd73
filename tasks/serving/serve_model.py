"""A registered model over HTTP. A server of an alias follows it to another version."""

import sys
import threading
import time

from lstm_model.errors import LstmTextError, ModelError
from tasks.registry.registered_model import resolve_model
from tasks.runtime.child_processes import exit_code, until_interrupted
from tasks.runtime.ports import address, check_port
from tasks.serving.model_server import ModelServer, download_served, start_server, waiting_server

UP_SECONDS = 120.0  # For a version that the alias moved to; after that, the previous version is started again.


class AliasWatch:
    """The version of an alias, looked up in a thread, so that a registry that hangs does not hide a server's end."""

    def __init__(self, model_uri: str, version: str) -> None:
        self.model_uri, self.version, self.lost = model_uri, version, False

    def run(self, *, seconds: float) -> None:
        """Look the alias up every so many seconds, for as long as this process lives."""
        while True:
            time.sleep(seconds)
            self.look()

    def look(self) -> None:
        """Look the alias up once. If that fails, keep the version and report the first failure."""
        try:
            self.version = resolve_model(self.model_uri)[1]
        except Exception as error:  # noqa: BLE001  serving continues without the registry
            if not self.lost:
                reason = error.message if isinstance(error, LstmTextError) else f"{type(error).__name__}: {error}"
                _say(f"{self.model_uri} is not found ({' '.join(reason.split())[:200]}); serving continues")
            self.lost = True
        else:
            if self.lost:
                _say(f"{self.model_uri} is found again: version {self.version}")
            self.lost = False


@until_interrupted
def serve_model(model_uri: str, *, host: str, port: int, workers: int, poll_seconds: float) -> int:
    """Run MLflow's scoring server in this environment until it ends or Ctrl-C; return its exit code.

    Every poll_seconds (0: never) an alias is looked up; if it has moved, the server restarts with the new version.
    """
    check_port(host, port)
    watch: AliasWatch | None = None
    before = refused = None
    while True:
        restarted = watch is not None
        with waiting_server() as waiting:
            if watch is None:  # Only now: the server imports MLflow meanwhile.
                name, watch = _watch(model_uri, poll_seconds, url=f"{address(host, port)}/invocations")
                version = watch.version
            try:
                model = download_served(name, version, waiting.folder)
                server = start_server(waiting, model, host=host, port=port, workers=workers)
                failure = server.wait_until_up(seconds=UP_SECONDS) if restarted else None
            except ModelError as error:
                if before is None:
                    raise
                failure = error.message
            if failure is None and restarted:
                _say(f"{name} version {version} answers, {time.monotonic() - server.started:.1f} s after its start")
            if failure is None or before is None:
                target = _wait(server, watch, version, refused)
                if target is None:
                    return exit_code(server.process, f"The server of {name} version {version}")
        if failure is None or before is None:
            _say(f"{model_uri} moved from version {version} to version {target}, which starts now")
            version, before, refused = target, version, None
        else:
            _say(f"{name} version {version} does not start: {failure}; version {before} starts again")
            version, before, refused = before, None, version


def _watch(model_uri: str, poll_seconds: float, *, url: str) -> tuple[str, AliasWatch]:
    """Find the first version to serve and watch its alias; return the model's name and the watch."""
    name, version, _ = resolve_model(model_uri)
    watch, following = AliasWatch(model_uri, version), ""
    if "@" in model_uri and poll_seconds > 0:
        threading.Thread(target=watch.run, kwargs={"seconds": poll_seconds}, daemon=True).start()
        following = f", following {model_uri}"
    _say(f"Serving {name} version {version} on {url}{following}")
    return name, watch


def _wait(server: ModelServer, watch: AliasWatch, version: str, refused: str | None) -> str | None:
    """Return the version to serve next, other than the refused one; None once the server has ended."""
    while server.process.poll() is None:
        wanted = watch.version
        if wanted == version:
            refused = None  # The alias has moved back; if it moves again, that version gets another try.
        elif wanted != refused:
            return wanted
        time.sleep(0.2)
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
