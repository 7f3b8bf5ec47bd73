"""The `lstm-text` command. Answers go to stdout, progress and errors to stderr; imports come late."""

import atexit
import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flows.settings import (
    CleanSettings,
    CommandSettings,
    CompareSettings,
    DriftSettings,
    HistorySettings,
    PredictSettings,
    PromoteSettings,
    RelocateSettings,
    ReproduceSettings,
    RollbackSettings,
    ScoreSettings,
    ServeSettings,
    TrainSettings,
    TuneSettings,
    UiSettings,
    command_named,
    overview,
    parse,
)
from lstm_model.errors import LstmTextError
from tasks.credentials import without_password
from tasks.local_state import use_local_state
from tasks.servers import check_tracking_server
from tasks.streams import usable_streams
from tasks.tracking_database import prepare_tracking_database


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    usable_streams()
    # As it ends, Python would look for cycles among all objects of MLflow, Prefect and TensorFlow: over a second.
    atexit.register(gc.freeze)
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(overview(), flush=True)
            return 0 if arguments else 2
        settings = parse(command_named(arguments[0]), arguments[1:])
        use_local_state()
        check_tracking_server()
        if not isinstance(settings, RelocateSettings):
            # Commands that start Prefect's server make it while that comes up: both take seconds.
            prepare_tracking_database(make=type(settings) not in _WITH_PREFECT)
        return _RUN[type(settings)](settings)
    except LstmTextError as error:
        if debug:
            traceback.print_exc()
        print(f"lstm-text: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("lstm-text: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `lstm-text history | head`: who reads has enough. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001  the last line of defence
        return _unexpected(error, debug=debug)


def _unexpected(error: Exception, *, debug: bool) -> int:
    from flows.failures import known_failure

    if debug:
        traceback.print_exc()
    known = known_failure(error)
    if known is not None:
        print(f"lstm-text: {known}", file=sys.stderr)
        return known.exit_code
    told = without_password(f"a bug: {type(error).__name__}: {error}")
    print(f"lstm-text: {told}. Run again with --debug and report it.", file=sys.stderr)
    return 1


def _train(settings: TrainSettings) -> int:
    from lstm_model.cases import find_cases, read_cases
    from lstm_model.reading import read_columns

    config = settings.pipeline()
    # A missing or broken file is reported at once, before anything is started.
    read_columns(config.data.path, quoting=config.data.quoting)
    if cases := find_cases(config.data, config.evaluation):
        read_cases(cases, quoting=config.evaluation.cases_quoting)

    from tasks.prefect_server import use_prefect_server

    with use_prefect_server():  # It comes up while these are imported.
        from flows.training import train_text_classifier
    outcome = train_text_classifier(
        **{name: getattr(config, name) for name in type(config).model_fields},
        trigger=settings.trigger,
        use_cache=settings.cache,
        force_retrain=settings.force_retrain,
    )
    print(f"\n{outcome.table}\n\n{outcome.rules_table}\n" if outcome.table else "")
    print(f"{outcome.model_name} version {outcome.version} {outcome.told}")
    print(f"MLflow run {outcome.run_id}")
    print(
        "\nNext:\n"
        "  make ui                                           the runs in MLflow and Prefect\n"
        "  make serve                                        the champion over HTTP\n"
        "  .venv/bin/lstm-text predict 'Striker signs'       answers in the terminal\n"
        "  .venv/bin/lstm-text score FILE --output OUT.parquet    answers for a file"
    )
    return _finish(settings, outcome.model_dump(mode="json", exclude={"table", "rules_table", "told"}))


def _tune(settings: TuneSettings) -> int:
    from lstm_model.reading import read_columns

    base = settings.pipeline()
    read_columns(base.data.path, quoting=base.data.quoting)

    from tasks.prefect_server import use_prefect_server

    with use_prefect_server():
        from flows.tuning import tune_text_classifier
        from tasks.conclude_search import check_config_output

        check_config_output(settings.output, overwrite=settings.overwrite)
    outcome = tune_text_classifier(**dict(base), tuning=settings.tuning, output=settings.output)
    print(f"\n{outcome.table}\n\n{outcome.config_path}\nMLflow run {outcome.run_id}")
    if settings.train:
        as_json = ["--json"] if settings.as_json else []
        return _train(parse(TrainSettings, ["--config", str(outcome.config_path), *as_json]))
    print(f"\nNext:\n  lstm-text train --config {outcome.config_path}")
    return _finish(settings, outcome.model_dump(mode="json", exclude={"table"}))


def _score(settings: ScoreSettings) -> int:
    from lstm_model.reading import read_columns

    read_columns(settings.input, quoting=settings.quoting)

    from tasks.prefect_server import use_prefect_server

    with use_prefect_server():
        from flows.scoring import score_texts
        from tasks.scoring_job import check_output

        check_output(settings.output, overwrite=settings.overwrite)
    outcome = score_texts(
        path=settings.input,
        output=settings.output,
        model_uri=settings.model_uri,
        text_column=settings.text_column,
        id_column=settings.id_column,
        quoting=settings.quoting,
        threshold=settings.threshold,
        abstain_label=settings.abstain_label,
        overwrite=settings.overwrite,
        resume=settings.resume,
        engine=settings.engine,
        scheduler=settings.scheduler,
        drift=None if settings.no_drift else settings.drift,
    )
    print(f"{outcome.rows:,} rows, {outcome.unscored:,} without a text, by {outcome.model_name} {outcome.version}")
    if outcome.drift:
        print(outcome.drift.line)
    print(f"{outcome.output}")
    return _finish(settings, outcome.model_dump(mode="json"))


def _drift(settings: DriftSettings) -> int:
    from lstm_model.reading import read_columns

    read_columns(settings.input, quoting=settings.quoting)
    if settings.feedback is not None:
        read_columns(settings.feedback, quoting=settings.feedback_quoting)

    from tasks.prefect_server import use_prefect_server

    with use_prefect_server():
        from flows.monitoring import watch_drift
    outcome = watch_drift(
        path=settings.input,
        model_uri=settings.model_uri,
        feedback=settings.feedback,
        text_column=settings.text_column,
        id_column=settings.id_column,
        quoting=settings.quoting,
        feedback_quoting=settings.feedback_quoting,
        drift=settings.drift,
        repeat=True,
    )
    parts = [part for part in (outcome.drift, outcome.accuracy) if part]
    for part in parts:
        print(f"{part.line}\n{part.run_url}")
    _finish(settings, outcome.model_dump(mode="json"))
    return 5 if any(part.verdict == "drifted" for part in parts) else 0


def _predict(settings: PredictSettings) -> int:
    from tasks.predict_texts import predict_texts

    options = {"top_k": settings.top_k, "threshold": settings.threshold, "abstain_label": settings.abstain_label}
    answers = predict_texts(settings.texts, settings.model_uri, **options)
    for text, answer in zip(settings.texts, answers, strict=True):
        others = zip(answer.get("top_labels", [])[1:], answer.get("top_scores", [])[1:], strict=True)
        print("\t".join([answer["label"], f"{answer['score']:.4f}", text, *(f"{o} {s:.4f}" for o, s in others)]))
    return _finish(settings, {"model_uri": settings.model_uri, "answers": answers})


def _compare(settings: CompareSettings) -> int:
    from tasks.scoring_job import check_writable

    if settings.html:
        check_writable(settings.html, overwrite=settings.overwrite)

    from tasks.compare_runs import compare_runs
    from tasks.comparison_text import comparison_text

    compared = compare_runs(settings.run_a, settings.run_b)
    print(comparison_text(compared))
    if settings.html:
        settings.html.write_text(compared.as_page(), encoding="utf-8")
        print(f"\n{settings.html}")
    return _finish(settings, compared.as_json())


def _promote(settings: PromoteSettings) -> int:
    from tasks.change_champion import promote_version

    decision = promote_version(settings.model_name, settings.version, force=settings.force, note=settings.reason)
    return _decided(settings, decision)


def _rollback(settings: RollbackSettings) -> int:
    from tasks.change_champion import roll_back

    return _decided(settings, roll_back(settings.model_name, note=settings.reason))


def _decided(settings: CommandSettings, decision: Any) -> int:
    from tasks.decide_promotion import rules_table

    champion = decision.champion_version or "none"
    print(f"{rules_table(decision.rules)}\n\n{decision.model_name} version {decision.version} {decision.told}")
    print(
        f"champion: {decision.champion_before or 'none'} -> {champion}" if decision.moves else f"champion: {champion}"
    )
    if decision.moves:
        print("A `make serve` (lstm-text serve) of the champion follows by itself; restart other servers.")
    return _finish(settings, decision.model_dump(mode="json"))


def _history(settings: HistorySettings) -> int:
    from tasks.history import history_text, read_history

    history = read_history(settings.model_name)
    print(history_text(history))
    return _finish(settings, history)


def _serve(settings: ServeSettings) -> int:
    from tasks.serve_model import serve_model

    return serve_model(
        settings.model_uri,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        poll_seconds=settings.poll_seconds,
    )


def _reproduce(settings: ReproduceSettings) -> int:
    from tasks.reproduce_run import reproduce_run

    command = [sys.executable, "-P", "-m", "flows.reproduction"]
    found = reproduce_run(settings.run, command, data_path=settings.data_path, keep=settings.keep)
    print(found.table)
    if found.state:
        print(f"The state of the rerun is in {found.state}")
    _finish(settings, found.model_dump(mode="json"))
    if difference := found.difference():
        raise difference
    return 0


def _clean(settings: CleanSettings) -> int:
    from tasks.clean_state import clean_state, size_text

    cleaned = clean_state(older_than=settings.age, experiment_name=settings.experiment_name, dry_run=settings.dry_run)
    for kind in cleaned:
        print(f"{kind.what:24}{kind.count:>7,}{size_text(kind.bytes):>12}")
    done = "would be removed" if settings.dry_run else "removed"
    print(f"{size_text(sum(kind.bytes for kind in cleaned))} {done} (last used more than {settings.older_than} ago)")
    return _finish(settings, {"dry_run": settings.dry_run, "cleaned": [asdict(kind) for kind in cleaned]})


def _relocate(settings: RelocateSettings) -> int:
    from tasks.tracking_database import relocate_state

    done = relocate_state()
    print(f"{done.locations:,} locations rewritten, from {', '.join(done.moved_from) or 'nowhere: all are here'}")
    if done.left_behind:
        print(f"{done.left_behind:,} of these have their files in the folder of before alone; copy them too")
    return _finish(settings, asdict(done))


def _ui(settings: UiSettings) -> int:
    from tasks.serving import serve_pages

    return serve_pages(mlflow_port=settings.mlflow_port, prefect_port=settings.prefect_port)


def _finish(settings: CommandSettings, answer: dict[str, Any]) -> int:
    if settings.as_json:
        print(json.dumps(answer))  # ASCII, whatever the console can show: a program reads it.
    sys.stdout.flush()
    return 0


_WITH_PREFECT = (TrainSettings, TuneSettings, ScoreSettings, DriftSettings)
_RUN: dict[type[CommandSettings], Callable[[Any], int]] = {
    TrainSettings: _train,
    TuneSettings: _tune,
    ScoreSettings: _score,
    DriftSettings: _drift,
    PredictSettings: _predict,
    PromoteSettings: _promote,
    RollbackSettings: _rollback,
    HistorySettings: _history,
    CompareSettings: _compare,
    ServeSettings: _serve,
    ReproduceSettings: _reproduce,
    CleanSettings: _clean,
    RelocateSettings: _relocate,
    UiSettings: _ui,
}


if __name__ == "__main__":
    sys.exit(main())
