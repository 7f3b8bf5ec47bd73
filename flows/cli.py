"""The `lstm-text` command. Answers go to stdout, progress and errors to stderr; imports come late."""

import atexit
import gc
import os
import sys
import traceback
from contextlib import nullcontext
from importlib import import_module

from flows.settings import FlowSettings, parse
from lstm_model.errors import LstmTextError, UsageError
from lstm_model.memory import memory_error
from tasks.runtime.interrupts import exit_code_of
from tasks.runtime.server_checks import check_tracking_server
from tasks.runtime.state.credentials import without_password
from tasks.runtime.state.local_state import use_local_state
from tasks.runtime.state.tracking_database import prepare_tracking_database
from tasks.runtime.terminal import command_terminal, usable_streams

# Each is a module of flows/commands with `Settings` and `run`; `lstm-text --help` lists them in this order.
COMMANDS = (
    "train", "tune", "score", "drift", "predict", "promote", "rollback", "history", "compare", "serve", "reproduce",
    "clean", "relocate", "ui", "fetch",
)  # fmt: skip
OVERVIEW = """\
usage: lstm-text COMMAND [OPTIONS]

From a labelled file to a registered, served LSTM text classifier.

{commands}

lstm-text COMMAND --help lists the options. Exit codes: 0 done, 2 usage or missing input,
3 data refused, 4 model, registry or server, 5 a difference found, 129 hung up, 130 interrupted, 1 a bug."""


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    usable_streams()
    # At exit, Python would search all objects of MLflow, Prefect and TensorFlow for cycles: over a second.
    atexit.register(gc.freeze)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(arguments)
    except KeyboardInterrupt as stopped:
        print("lstm-text: interrupted", file=sys.stderr)
        return exit_code_of(stopped)
    except BrokenPipeError:  # `lstm-text history | head`: the reader has enough. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001  the last line of defence
        if "--debug" in arguments:
            traceback.print_exc()
        return _report(error)


def _run(arguments: list[str]) -> int:
    if sys.flags.optimize > 1:
        raise UsageError("PYTHONOPTIMIZE=2 removes texts that this command and MLflow need.", "Unset PYTHONOPTIMIZE.")
    if not arguments or arguments[0] in ("-h", "--help"):
        modules = {name: import_module(f"flows.commands.{name}") for name in COMMANDS}
        lines = [f"  {name:10}{module.Settings.__doc__.splitlines()[0]}" for name, module in modules.items()]
        print(OVERVIEW.format(commands="\n".join(lines)), flush=True)
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        problem = f"There is no command {arguments[0]!r} (commands: {', '.join(COMMANDS)})."
        raise UsageError(problem, "lstm-text --help describes them.")
    command = import_module(f"flows.commands.{arguments[0]}")
    settings = parse(command.Settings, arguments[1:])
    settings.check_inputs()
    use_local_state()
    flow = settings if isinstance(settings, FlowSettings) else None
    with command_terminal(arguments[0], verbose=flow.verbose) if flow else nullcontext():
        if settings.needs_tracking:
            check_tracking_server()
            prepare_tracking_database(make=not flow)  # A flow's is made while Prefect's server, which is slow, starts.
        return int(command.run(settings))


def _report(error: Exception) -> int:
    known = memory_error(error) or (error if isinstance(error, LstmTextError) else None)
    if known is None:
        try:
            from flows.failures import known_failure

            known = known_failure(error)
        except MemoryError as shortage:  # There is too little even for that: then it is the reason.
            known = memory_error(shortage)
    if known:
        print(f"lstm-text: {known}", file=sys.stderr)
        return known.exit_code
    bug = without_password(f"a bug: {type(error).__name__}: {error}")
    print(f"lstm-text: {bug}. Run again with --debug and report it.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
