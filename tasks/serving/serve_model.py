"""A registered model over HTTP; where its address is an alias, the server follows it to another version."""

import sys
import threading
import time

from lstm_model.errors import LstmTextError, ModelError
from tasks.registry.registered_model import resolve_model
from tasks.runtime.child_processes import interruptible
from tasks.runtime.ports import check_port
from tasks.serving.model_server import ModelServer, start_server, waiting_server

UP_SECONDS = 120.0  # For a version that the alias has moved to; the one before it is started again then.


class AliasWatch:
    """The version that an alias means, looked up in a thread: a registry that hangs must not hide a server's end."""

    def __init__(self, model_uri: str, version: str) -> None:
        self.model_uri, self.version, self.lost = model_uri, version, False

    def start(self, *, seconds: float) -> None:
        """Look the alias up every so many seconds, as long as this process lives."""

        def watch() -> None:
            while True:
                time.sleep(seconds)
                self.look()

        threading.Thread(target=watch, daemon=True).start()

    def look(self) -> None:
        """Look the alias up once. Where that fails the version stays, and the first failure is told."""
        try:
            self.version = resolve_model(self.model_uri)[1]
        except Exception as error:  # noqa: BLE001  whatever is wrong with the registry, answering goes on
            if not self.lost:
                found = error.found if isinstance(error, LstmTextError) else f"{type(error).__name__}: {error}"
                _say(f"{self.model_uri} is not found ({' '.join(found.split())[:200]}); serving goes on")
            self.lost = True
        else:
            if self.lost:
                _say(f"{self.model_uri} is found again: version {self.version}")
            self.lost = False


def serve_model(model_uri: str, *, host: str, port: int, workers: int, poll_seconds: float) -> int:
    """Run MLflow's scoring server in this environment until it ends or Ctrl-C; return its exit code.

    An alias is looked up every poll_seconds (0: never), and the server started again with the version it has moved to.
    """
    check_port(host, port)
    with interruptible():
        try:
            return _follow(model_uri, poll_seconds, host=host, port=port, workers=workers)
        except KeyboardInterrupt:
            return 130


def _begin(model_uri: str, poll_seconds: float, *, host: str, port: int) -> tuple[str, AliasWatch]:
    """Find the version to begin with, and watch its alias; return the model's name and the watch."""
    name, version, _ = resolve_model(model_uri)
    watch = AliasWatch(model_uri, version)
    follows = "@" in model_uri and poll_seconds > 0
    if follows:
        watch.start(seconds=poll_seconds)
    following = f", following {model_uri}" if follows else ""
    _say(f"Serving {name} version {version} on http://{host}:{port}/invocations{following}")
    return name, watch


def _follow(model_uri: str, poll_seconds: float, *, host: str, port: int, workers: int) -> int:
    """Serve the version that the alias means, until a server ends by itself; return its exit code."""
    watch: AliasWatch | None = None
    name, version, before, refused, restarted = "", "", None, None, False
    while True:
        with waiting_server() as waiting:
            if watch is None:
                name, watch = _begin(model_uri, poll_seconds, host=host, port=port)
                version = watch.version
            reason = None
            try:
                server = start_server(waiting, name, version, host=host, port=port, workers=workers)
                reason = server.wait_until_up(seconds=UP_SECONDS) if restarted else None
            except ModelError as error:
                if before is None:
                    raise
                reason = error.found
            if reason is None or before is None:
                if restarted and reason is None:
                    _say(f"{name} version {version} answers, {time.monotonic() - server.started:.1f} s after its start")
                moved_to = _wait(server, watch, version, refused)
                if moved_to is None:
                    return int(server.process.returncode)
        if reason is not None and before is not None:
            _say(f"{name} version {version} does not come up: {reason}; version {before} is started again")
            version, before, refused = before, None, version
        else:
            _say(f"{model_uri} moved from version {version} to version {moved_to}, which is started")
            version, before, refused = moved_to, version, None
        restarted = True


def _wait(server: ModelServer, watch: AliasWatch, version: str, refused: str | None) -> str | None:
    """Return the version to go on with, or None when the server has ended; one that was refused is let be."""
    while server.process.poll() is None:
        wanted = watch.version
        if wanted == version:
            refused = None  # The alias has come back: should it move again, the version is tried again.
        elif wanted != refused:
            return wanted
        time.sleep(0.2)
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
