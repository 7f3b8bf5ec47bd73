"""Champions that a person changes: promote a version, with or without the gate, or roll back. No flow run."""

from lstm_model.errors import ModelError
from tasks.promotion.check_servable import Servability, find_servability
from tasks.promotion.decide_promotion import Candidate, decide
from tasks.promotion.decision_record import Decision, Kind, carry_out, decision_lock, new_decision
from tasks.registry.registered_model import CHAMPION, PREVIOUS, list_versions, read_aliases
from tasks.runs.past_run import EVALUATION, MANIFEST, PREDICTIONS, PastRun
from tasks.runtime.locks import Check
from tasks.runtime.tracking import CONFIG_FILE

# Artifacts of the run that the gate needs, and the attributes of PastRun that hold them.
NEEDED = {EVALUATION: "evaluation", PREDICTIONS: "predictions", MANIFEST: "manifest", CONFIG_FILE: "config"}


def promote_version(name: str, version: str, *, force: bool, note: str) -> Decision:
    """Make a version champion: if it passes the gate now, or with `force` if it can be served.

    The gate uses the artifacts and the rules of the version's run, and the current champion. Raises ModelError if the
    version does not exist, if it cannot be served (which is recorded), or if its run lacks what the gate needs.
    """
    past = _past_run(name, version)
    if not force and (missing := [artifact for artifact, key in NEEDED.items() if getattr(past, key, None) is None]):
        reason = f"run {past.run_id} has no {', '.join(missing)} that this release reads" if past else "its run is gone"
        raise ModelError(
            f"The gate cannot evaluate version {version} of {name}: {reason}.",
            "Train again, or promote it with --force.",
        )
    servable = find_servability(name, version, past and past.predictions)
    if force or servable.reason:
        with decision_lock(name) as still_held:
            return _without_gate("forced", name, version, past, servable, note, still_held)
    candidate = Candidate(
        name=name, version=version, servable=servable, promotion=past.config.promotion, config=past.config.evaluation,
        evaluation=past.evaluation, predictions=past.predictions, manifest=past.manifest,
    )  # fmt: skip
    return decide(candidate, run_id=past.run_id, trigger="manual", note=note)


def roll_back(name: str, *, note: str) -> Decision:
    """Make the previous champion the champion again; the current one becomes `previous`: a second call undoes it.

    Raises ModelError if there is no champion, no other version is `previous`, or it cannot be served (recorded).
    """
    with decision_lock(name) as still_held:
        aliases = read_aliases(name)
        champion, previous = aliases.get(CHAMPION), aliases.get(PREVIOUS)
        if champion is None or previous in (None, champion):
            raise ModelError(
                f"{name} cannot be rolled back: it needs a champion and another version with the alias `{PREVIOUS}` "
                f"(champion: {champion or 'none'}, previous: {previous or 'none'}).",
                f"Choose a version: lstm-text promote VERSION --reason ... {_versions(name)}",
            )
        past = _past_run(name, previous)
        servable = find_servability(name, previous, past and past.predictions)
        return _without_gate("rolled_back", name, previous, past, servable, note, still_held)


def _without_gate(
    kind: Kind, name: str, version: str, past: PastRun | None, servable: Servability, note: str, still_held: Check
) -> Decision:
    """Record and carry out what a person decided. Raises ModelError if the version cannot be served."""
    champion, reason = read_aliases(name).get(CHAMPION), note
    if servable.reason:
        kind, reason = "rejected", f"servability: {servable.reason}"
    elif champion == version:
        kind, reason = "unchanged", f"version {version} is the champion already"
    decision = new_decision(
        kind=kind, model_name=name, version=version, champion_before=champion, reason=reason, note=note,
        rules=[servable.rule], servability=servable.model_dump(mode="json"),
        run_id=past.run_id if past else None, trigger="manual",
    )  # fmt: skip
    carry_out(decision, still_held)
    if servable.reason:
        raise ModelError(
            f"{name} version {version} cannot be served: {servable.reason.rstrip('.')}.",
            f"Choose another version. The champion is still {champion or 'none'}; the refusal is recorded.",
        )
    return decision


def _past_run(name: str, version: str) -> PastRun | None:
    """Return the run that made a version, or None if it was deleted. Raises ModelError if there is no such version."""
    run_ids = {str(one.version): one.run_id for one in list_versions(name)}
    if version not in run_ids:
        raise ModelError(f"{name} has no version {version}.", _versions(name))
    past = PastRun.get(run_ids[version])
    return past if past and past.run.info.lifecycle_stage == "active" else None


def _versions(name: str) -> str:
    """Return a sentence that lists the versions with their aliases, for an error's remedy."""
    aliases = read_aliases(name)
    parts = []
    for version in sorted((str(one.version) for one in list_versions(name)), key=int):
        own = [alias for alias in sorted(aliases) if aliases[alias] == version]
        parts.append(version + (f" ({', '.join(own)})" if own else ""))
    return f"There is: {', '.join(parts)}." if parts else "It has no version: train first (lstm-text train)."
