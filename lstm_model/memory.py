"""Recognize that memory ran out: each library says so in its own way."""

import errno
import resource

from lstm_model.errors import LstmTextError, UsageError, causes

NAMES = ("MemoryError", "ResourceExhaustedError")  # Python, NumPy and Arrow; TensorFlow.
WORDS = (
    "bad_alloc", "bad allocation", "Cannot allocate memory", "failed to map segment", "OOM when allocating",
    "can't start new thread", "out of memory", "Unable to allocate",
)  # fmt: skip


def memory_error(error: BaseException) -> UsageError | None:
    """Return what to do if memory ran out and caused the error, perhaps as another error; otherwise None."""
    reason = next((earlier for earlier in causes(error) if _says_memory(earlier)), None)
    if reason is None:
        return None
    lines = str(reason).strip().splitlines() or [""]
    text = next((line for line in lines if _has_words(line)), lines[0])
    detail = f" ({text[:200].rstrip('.')})" if text else ""
    limits = [f"{_limit(number)} by {flag}" for flag, number in _LIMITS.items() if _limit(number)]
    allowed = f" This process is limited to {', '.join(limits)}." if limits else ""
    return UsageError(
        f"Memory ran out{detail}.{allowed}",
        "Allow more (ulimit, the container's limit). A training needs less with a smaller --training.batch-size, "
        "--tokenization.max-length or --tokenization.vocab-size.",
    )


_LIMITS = {"ulimit -v": resource.RLIMIT_AS, "ulimit -d": resource.RLIMIT_DATA}


def _limit(number: int) -> str:
    """Return a limit of this process in GiB, "" if there is none."""
    most = resource.getrlimit(number)[0]
    return "" if most == resource.RLIM_INFINITY else f"{most / 2**30:.1f} GiB"


def _says_memory(error: BaseException) -> bool:
    if isinstance(error, LstmTextError):  # Its text may quote data.
        return False
    named = any(kind.__name__ in NAMES for kind in type(error).__mro__)
    return named or getattr(error, "errno", None) == errno.ENOMEM or _has_words(str(error))


def _has_words(text: str) -> bool:
    return any(words in text for words in WORDS)
