"""Where memory ran out, the error says so and what to set, whatever library noticed it."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.cli import main
from lstm_model.classifier.classifier import Classifier
from lstm_model.errors import ContentError, UsageError
from lstm_model.memory import memory_error
from tests.models import write_classifier

# The same names and texts as of TensorFlow's and ONNX Runtime's own classes.
ResourceExhaustedError = type("ResourceExhaustedError", (Exception,), {})
RuntimeException = type("RuntimeException", (Exception,), {})
MOST = 2**56


def caused(error: Exception, cause: Exception) -> Exception:
    error.__context__ = cause
    return error


def raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(MemoryError) as failed:
        call()
    return failed.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "Memory ran out."),
        (raised(lambda: bytearray(MOST)), "Memory ran out"),
        (raised(lambda: np.zeros(MOST)), "Memory ran out (Unable to allocate 512. PiB"),
        (raised(lambda: pa.allocate_buffer(MOST)), "Memory ran out (malloc of size"),
        (ResourceExhaustedError("OOM when allocating tensor with shape[9,9]\nmore"), "(OOM when allocating tensor"),
        (RuntimeException("[ONNXRuntimeError] : 6 : std::bad_alloc"), "std::bad_alloc"),
        (RuntimeError("bad allocation"), "(bad allocation)"),
        (RuntimeError("can't start new thread"), "(can't start new thread)"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "Cannot allocate memory"),
        (
            ImportError("Traceback\nx.so: failed to map segment from shared object\nAsk for help."),
            "(x.so: failed to map segment",
        ),
        (caused(ContentError("a.csv is damaged.", "Export it."), MemoryError()), "Memory ran out."),
        (caused(RuntimeError("the stage failed"), ResourceExhaustedError("x")), "Memory ran out (x)."),
    ],
)
def test_memory_that_ran_out_is_named(error: Exception, words: str) -> None:
    found = memory_error(error)
    assert found is not None and found.exit_code == 2
    assert words in found.message and "--training.batch-size" in found.remedy and "\n" not in str(found)


def test_other_errors_are_none() -> None:
    for other in (ValueError("x"), OSError(errno.ENOSPC, "full"), ContentError("label 'out of memory'", "Fix it.")):
        assert memory_error(other) is None


def test_a_model_that_memory_is_too_small_for_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_classifier(tmp_path / "classifier")
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: bytearray(MOST))
    with pytest.raises(UsageError, match="Memory ran out"):
        Classifier.load(folder)


def test_the_command_says_it_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("flows.cli.check_tracking_server", lambda: bytearray(MOST))
    assert main(["history"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lstm-text: Memory ran out") and "a bug" not in line
