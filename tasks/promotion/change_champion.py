"""Champions changed by a person: promote a version, with or without the gate, and go back. No flow, no Prefect run."""

from collections.abc import Callable

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from lstm_model.errors import ModelError
from lstm_model.evaluation.evaluation import resampling_of
from tasks.promotion.apply_gate import Candidate, servability_rule
from tasks.promotion.check_servable import COMPARED_ROWS, Servability, find_servability
from tasks.promotion.decide_promotion import decide
from tasks.promotion.decision_lock import decision_lock
from tasks.promotion.decision_record import Decision, Kind, carry_out, new_decision
from tasks.registry.aliases import CHAMPION, PREVIOUS, list_versions, read_aliases
from tasks.runs.past_run import EVALUATION, MANIFEST, PREDICTIONS, PastRun
from tasks.runtime.retries import mlflow_client
from tasks.runtime.tracking import CONFIG_FILE

TRIGGER = "manual"


def promote_version(name: str, version: str, *, force: bool, note: str) -> Decision:
    """Make a version champion: if the gate lets it pass now, or with `force` if only it can be served.

    The gate judges by what the version's run holds, by the rules of that run, against the champion of this moment.
    Raises ModelError where there is no such version, where it cannot be served (which is recorded), or where its run
    does not hold what the gate needs.
    """
    read_aliases(name)
    found = _find_version(name, version)
    run_id = _living_run(found)
    past = PastRun.find(run_id) if run_id else None
    if not force and (past is None or (missing := _missing(past))):
        raise ModelError(
            expected=f"what the gate needs in the MLflow run of version {version}",
            found=f"no {', '.join(missing)} that this release reads in run {run_id}" if past else "no run",
            remedy="It cannot be judged again: train again, or promote it with --force.",
        )
    servable = _find_servability(name, version, past)
    if force or servable.reason:
        with decision_lock(name) as still_held:
            return _without_gate("forced", name, version, still_held, run_id=run_id, servable=servable, note=note)
    assert past and past.config and past.evaluation and past.predictions is not None and past.manifest is not None
    candidate = Candidate(
        name=name,
        version=version,
        evaluation=past.evaluation,
        predictions=past.predictions,
        manifest=past.manifest,
        servable=servable,
        promotion=past.config.promotion,
        resampling=resampling_of(past.config.evaluation),
    )
    return decide(candidate, run_id=run_id, trigger=TRIGGER, note=note)


def _missing(past: PastRun) -> list[str]:
    """Return which artifacts that the gate needs the run does not hold, or holds as an early release wrote them."""
    held = {
        EVALUATION: past.evaluation,
        PREDICTIONS: past.predictions,
        MANIFEST: past.manifest,
        CONFIG_FILE: past.config,
    }
    return [name for name, content in held.items() if content is None]


def roll_back(name: str, *, note: str) -> Decision:
    """Make the previous champion the champion again; the present one becomes `previous`, so twice is back.

    Raises ModelError where there is no champion, no other previous one, or where that cannot be served (recorded).
    """
    with decision_lock(name) as still_held:
        aliases = read_aliases(name)
        champion, target = aliases.get(CHAMPION), aliases.get(PREVIOUS)
        if champion is None or target in (None, champion):
            raise ModelError(
                expected=f"{name} to have a champion, and another version with the alias `{PREVIOUS}`",
                found=f"champion: {champion or 'none'}, previous: {target or 'none'}",
                remedy=f"Choose a version: lstm-text promote VERSION --reason ... {_versions(name)}",
            )
        run_id = _living_run(_find_version(name, str(target)))
        servable = _find_servability(name, str(target), PastRun.find(run_id) if run_id else None)
        return _without_gate("rolled_back", name, str(target), still_held, run_id=run_id, servable=servable, note=note)


def _without_gate(
    kind: Kind,
    name: str,
    version: str,
    still_held: Callable[[], None],
    *,
    run_id: str | None,
    servable: Servability,
    note: str,
) -> Decision:
    """Record and carry out what a person decided, under the lock. A version that cannot be served is refused."""
    champion = read_aliases(name).get(CHAMPION)
    rule = servability_rule(servable)
    if servable.reason:
        kind, reason = "rejected", f"servability: {servable.reason}"
    elif champion == version:
        kind, reason = "unchanged", f"version {version} is the champion already"
    else:
        reason = note
    decision = new_decision(
        kind=kind,
        model_name=name,
        version=version,
        champion_before=champion,
        reason=reason,
        note=note,
        rules=[rule],
        servability=servable.model_dump(mode="json"),
        run_id=run_id,
        trigger=TRIGGER,
    )
    carry_out(decision, still_held)
    if servable.reason:
        raise ModelError(
            expected=f"{name} version {version} to be servable",
            found=servable.reason,
            remedy=f"Choose another version. The champion is {champion or 'none'} as before; the refusal is recorded.",
        )
    return decision


def _find_servability(name: str, version: str, past: PastRun | None) -> Servability:
    expected = past.predictions if past else None
    return find_servability(name, version, None if expected is None else expected.head(COMPARED_ROWS))


def _find_version(name: str, version: str) -> ModelVersion:
    found = next((one for one in list_versions(name) if str(one.version) == version), None)
    if found is None:
        raise ModelError(expected=f"version {version} of {name}", found="no such version", remedy=_versions(name))
    return found


def _versions(name: str) -> str:
    """Return a sentence that lists the versions there are, with their aliases."""
    aliases = read_aliases(name)
    parts = []
    for version in sorted((str(one.version) for one in list_versions(name)), key=int):
        carried = [alias for alias in sorted(aliases) if aliases[alias] == version]
        parts.append(version + (f" ({', '.join(carried)})" if carried else ""))
    return f"There is: {', '.join(parts)}." if parts else "It has no version: train first (lstm-text train)."


def _living_run(version: ModelVersion) -> str | None:
    """Return the run that made the version, or None where it is gone: its records then are the version's tags alone."""
    try:
        run = mlflow_client().get_run(version.run_id) if version.run_id else None
    except MlflowException:
        return None
    return run.info.run_id if run and run.info.lifecycle_stage == "active" else None
