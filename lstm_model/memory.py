"""Recognize that memory ran out: each library says so in its own way."""

import errno
import resource

from lstm_model.errors import LstmTextError, UsageError, causes

NAMES = ("MemoryError", "ResourceExhaustedError")  # Python, NumPy and Arrow; TensorFlow.
LIMITS = {"ulimit -v": resource.RLIMIT_AS, "ulimit -d": resource.RLIMIT_DATA}
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
    most = {flag: resource.getrlimit(number)[0] for flag, number in LIMITS.items()}
    limits = [f"{size / 2**30:.1f} GiB by {flag}" for flag, size in most.items() if size != resource.RLIM_INFINITY]
    allowed = f" This process is limited to {', '.join(limits)}." if limits else ""
    return UsageError(
        f"Memory ran out{detail}.{allowed}",
        "Allow more (ulimit, the container's limit). A training needs less with a smaller --training.batch-size, "
        "--tokenization.max-length or --tokenization.vocab-size.",
    )


def _says_memory(error: BaseException) -> bool:
    if isinstance(error, LstmTextError):  # Its text may quote data.
        return False
    named = any(kind.__name__ in NAMES for kind in type(error).__mro__)
    return named or getattr(error, "errno", None) == errno.ENOMEM or _has_words(str(error))


def _has_words(text: str) -> bool:
    return any(words in text for words in WORDS)
