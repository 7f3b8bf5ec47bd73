"""Download one file that has a published checksum: retried, continued where it was cut, checked whole."""

import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import requests

from lstm_model.data.public.catalogue import PublicFile
from lstm_model.digests import digest_file
from lstm_model.errors import ModelError, UsageError, causes
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.proxies import named_proxies

ATTEMPTS = 5  # In a row without one more byte.
FIRST_WAIT_SECONDS = 1.0
TIMEOUT_SECONDS = (10, 30)  # To connect; between two pieces.
CHUNK_BYTES = 1 << 14  # What a cut connection may lose.
PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
# HTTPError: raised in `_check` alone, for an answer that may be another one a little later.
PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, requests.HTTPError)
TERMINAL_SECONDS, PLAIN_SECONDS = 0.2, 5.0  # Between two lines of progress.
MB = 1e6


def say(line: str) -> None:
    """Print a line for the person who waits."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def download(file: PublicFile, folder: Path) -> Path:
    """Return the file, checked, in `folder`: what is there already is taken or continued.

    Raises ModelError where no address has it, and UsageError where it cannot be written.
    """
    path = folder / file.name
    for number, url in enumerate(file.urls, 1):
        try:
            if not _is_complete(file, path):
                _download(file, url, path)
            return path
        except ModelError as error:
            if number == len(file.urls):
                raise
            say(f"{error.message} Trying {file.urls[number]}")
        except OSError as error:
            raise UsageError(
                f"Cannot write {path}: {error.strerror or error}.",
                "Free space, or name another folder with --output. The same command continues the download.",
            ) from None
    raise AssertionError("a file has an address")


def _is_complete(file: PublicFile, path: Path) -> bool:
    return path.exists() and digest_file(path) == file.sha256


def _download(file: PublicFile, url: str, path: Path) -> None:
    """Receive the file. Pieces of different versions do not fit together: then all of it is received again."""
    continued = _receive(file, url, path)
    if continued and not _is_complete(file, path):
        say(f"{file.name}: the pieces do not fit together; downloading it again")
        path.unlink()
        _receive(file, url, path)
    if not _is_complete(file, path):
        found, size = digest_file(path), path.stat().st_size
        path.unlink()
        raise ModelError(
            f"{url} is not the published file: {size:,} bytes with SHA-256 {found[:16]}..., not {file.sha256[:16]}....",
            f"Something on the way changed it, or its publisher did. {_by_hand(url, path)}",
        )


def _receive(file: PublicFile, url: str, path: Path) -> bool:
    """Ask for what is missing until a response ends as it should. Return whether it continued what was there."""
    failures = 0
    while True:
        have = _size(path)
        try:
            return _request(file, url, path, have)
        except requests.RequestException as error:
            failures = 1 if _size(path) > have else failures + 1
            passing = isinstance(error, PASSING) and not isinstance(error, requests.exceptions.SSLError)
            if not passing or failures == ATTEMPTS:
                raise _unreachable(url, path, error) from None
            wait = FIRST_WAIT_SECONDS * 2 ** (failures - 1)
            say(f"{file.name}: {_reason(error)}; continuing in {wait:.0f} s")
            time.sleep(wait)


def _request(file: PublicFile, url: str, path: Path, have: int) -> bool:
    """Append what the server sends; return False where it sent the whole file, which replaces what was there."""
    # Not compressed: a range of compressed bytes does not continue the file.
    headers = {"Accept-Encoding": "identity", "User-Agent": "lstm-text"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        _check(response, url, path)
        continues = response.headers.get("Content-Range", "").startswith(f"bytes {have}-") and have > 0
        start = have if continues else 0
        length = response.headers.get("Content-Length", "")
        progress = Progress(file.name, start=start, total=start + int(length) if length.isdigit() else None)
        with path.open("ab" if continues else "wb") as output, closing(progress):
            for chunk in response.iter_content(CHUNK_BYTES):
                output.write(chunk)
                progress.add(len(chunk))
                if progress.have > 2 * file.megabytes * MB:
                    break  # Another file, perhaps without an end: its checksum is wrong.
    return continues


def _check(response: requests.Response, url: str, path: Path) -> None:
    status = response.status_code
    if status == 416:  # Nothing is missing, and yet it is not the file.
        path.unlink(missing_ok=True)
        raise requests.HTTPError("the server's file is shorter than what was there")
    if status in PASSING_STATUS:
        raise requests.HTTPError(f"{urlsplit(url).netloc} answers HTTP {status}")
    if status not in (200, 206):
        raise ModelError(f"{url} answers HTTP {status}.", _by_hand(url, path))
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise ModelError(
            f"{url} answers with a web page, not the file: probably a proxy's page that asks or refuses.",
            _by_hand(url, path),
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: BaseException) -> str:
    """Return what the innermost error says, without passwords."""
    return without_password(" ".join(str([*causes(error)][-1]).split())).rstrip(".")


def _unreachable(url: str, path: Path, error: Exception) -> ModelError:
    if isinstance(error, requests.exceptions.SSLError):
        advice = "Behind a proxy that reads HTTPS, set REQUESTS_CA_BUNDLE to the file with its certificate."
    elif proxies := named_proxies():
        advice = f"Check the connection and the proxy ({', '.join(proxies)}); the same command continues."
    else:
        advice = "Check the connection, or set HTTPS_PROXY if you need a proxy; the same command continues."
    return ModelError(f"Cannot download {url}: {_reason(error)}.", f"{advice} {_by_hand(url, path)}")


def _by_hand(url: str, path: Path) -> str:
    return f"You can also open {url} in a browser, save it as {path} and run the same command again."


class Progress:
    """How far a download is, on stderr: a line that is rewritten on a terminal, otherwise one every few seconds."""

    def __init__(self, name: str, *, start: int, total: int | None) -> None:
        self.name, self.start, self.total, self.have = name, start, total, start
        self.terminal = sys.stderr.isatty()
        self.began = self.shown = time.monotonic()

    def add(self, count: int) -> None:
        """Count bytes, and show them if it is time."""
        self.have += count
        if time.monotonic() - self.shown >= (TERMINAL_SECONDS if self.terminal else PLAIN_SECONDS):
            self._show()

    def _show(self) -> None:
        self.shown = time.monotonic()
        speed = (self.have - self.start) / max(self.shown - self.began, 1e-3)
        of_total = f" of {self.total / MB:.1f}" if self.total else ""
        line = f"{self.name}: {self.have / MB:.1f}{of_total} MB, {speed / MB:.1f} MB/s"
        if self.total and speed and self.have < self.total:
            line += f", {(self.total - self.have) / speed:.0f} s left"
        sys.stderr.write(f"\r{line:<78}" if self.terminal else f"{line}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Show the end of it, on a line that stays."""
        self._show()
        if self.terminal:
            sys.stderr.write("\n")
