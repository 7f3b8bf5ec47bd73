"""The errors a user can cause, each with the exit code of the command line.

LstmTextError
├── UsageError          2  a flag, a config value, a missing input, an unwritable output
├── ContentError        3  the data was read and is refused
├── ModelError          4  a model, a registry or a server does not answer as it must
└── DifferenceError     5  what was compared is not equal
"""


class LstmTextError(Exception):
    """A message for a person in three parts: what was expected, what was found, what to do."""

    exit_code = 1

    def __init__(self, *, expected: str, found: str, remedy: str) -> None:
        self.expected, self.found, self.remedy = expected, found, remedy
        super().__init__(f"Expected {expected}; found {found}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        # Prefect pickles exceptions between processes; keyword-only arguments need the long way round.
        return _rebuild, (type(self), self.expected, self.found, self.remedy)


def _rebuild(kind: type[LstmTextError], expected: str, found: str, remedy: str) -> LstmTextError:
    return kind(expected=expected, found=found, remedy=remedy)


class UsageError(LstmTextError):
    """A flag, a config value, a missing input or an unwritable output."""

    exit_code = 2


class ContentError(LstmTextError):
    """The data was read and is refused."""

    exit_code = 3


class ModelError(LstmTextError):
    """A model, a registry or a server does not answer as it must."""

    exit_code = 4


class DifferenceError(LstmTextError):
    """What was compared is not equal."""

    exit_code = 5
