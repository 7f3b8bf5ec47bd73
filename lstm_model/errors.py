"""The errors a user can cause, each with the exit code of the command line.

LstmTextError
├── UsageError          2  a flag, a config value, a missing input, an unwritable output
├── ContentError        3  the data was read and is refused
├── ModelError          4  a model, a registry or a server does not answer as it must
└── DifferenceError     5  what was compared is not equal
"""

from collections.abc import Iterator


class LstmTextError(Exception):
    """A message for a person: what is wrong, in one or two plain sentences, and what to do about it."""

    exit_code = 1

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = message, remedy
        super().__init__(f"{message} {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.remedy)  # Prefect pickles exceptions between processes.


class UsageError(LstmTextError):
    exit_code = 2


class ContentError(LstmTextError):
    exit_code = 3


class ModelError(LstmTextError):
    exit_code = 4


class DifferenceError(LstmTextError):
    exit_code = 5


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it, each the cause of the one before, or what was handled when it was raised."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__
