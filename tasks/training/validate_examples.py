"""Raw rows -> rows that Great Expectations vouches for. Bad rows stop the run, or are set aside and recorded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_model.config.data import DataConfig
from lstm_model.data.row_rules import RowRule, derive_columns, list_bad_rows, missing_columns, row_rules, wanted_columns
from lstm_model.errors import ContentError
from tasks.runtime import tracking
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.stage_store import StageRecord, read_json, stage, write_json
from tasks.runtime.state.local_state import state_root
from tasks.runtime.tracking import Run
from tasks.training.expectations import run_expectations

SHOWN_ROWS = 20


def _report(record: StageRecord, run: Run) -> None:
    facts = record.facts
    tracking.log_metrics(
        run, {"rows.valid": facts["rows"], "rows.quarantined": facts["quarantined"], "rows.duplicate": facts["copies"]}
    )
    tracking.set_tags(run, {"labels": json.dumps(facts["labels"], ensure_ascii=False)[:5_000]})
    tracking.log_file(run, record.folder / "validation", "validation")
    tracking.log_dataset(run, record.file("examples.parquet"), name=run.data_name, digest=facts["sha256"])
    publish_markdown(
        "validation",
        _markdown(read_json(record.file("validation/rules.json")), record.folder / "validation"),
        "Which rules the rows keep",
    )


@stage("examples", report=_report)
def validate_examples(folder: Path, raw: StageRecord, config: DataConfig, run: Run) -> dict[str, Any]:
    """Check the rows against the rules and keep those that may be trained on, in examples.parquet."""
    rows = pd.read_parquet(raw.file("raw.parquet"))
    reports = folder / "validation"
    reports.mkdir()
    if not set(wanted_columns(config)) <= set(rows):
        raise missing_columns(config, raw.facts["columns"])
    rules = row_rules(config, given_validation="split" in rows and bool((rows["split"] == "validation").any()))
    derived = derive_columns(rows, config)
    results = run_expectations(rows, derived, rules, config, data_docs=reports / "data_docs")
    bad = _bad_rows(rows, derived, config, rules)
    write_json(reports / "rules.json", results)
    bad.to_csv(reports / "bad_rows.csv", index=False)
    kept = rows.drop(index=bad["row"].unique() - 1).reset_index(drop=True)
    refusal = _refusal(config, results, bad, rows)
    if refusal is None and len(kept) < len(rows):
        again = run_expectations(kept, derive_columns(kept, config), rules, config, data_docs=None)
        refusal = _refusal(config, again, bad.iloc[:0], kept)
    if refusal is not None:
        raise _refuse(refusal, reports, run)
    labels = sorted(set(kept["label"]))
    copies = int(kept.duplicated("text").sum())
    kept.drop(columns="problem").to_parquet(folder / "examples.parquet", index=False)
    return {
        "rows": len(kept),
        "quarantined": len(rows) - len(kept),
        "copies": copies,
        "labels": labels,
        "sha256": raw.facts["sha256"],
    }


def _bad_rows(rows: pd.DataFrame, derived: pd.DataFrame, config: DataConfig, rules: list[RowRule]) -> pd.DataFrame:
    """Return all bad rows; setting rows aside can leave a label with too few, so the rest is looked at again."""
    found = list_bad_rows(rows, derived, rules)
    while config.on_bad_rows == "quarantine":
        rest = rows.drop(index=found["row"].unique() - 1)
        more = list_bad_rows(rest, derive_columns(rest, config), rules) if len(rest) else found.iloc[:0]
        if more.empty:
            break
        found = pd.concat([found, more], ignore_index=True)
    return found


def _refusal(
    config: DataConfig, results: list[dict[str, Any]], bad: pd.DataFrame, rows: pd.DataFrame
) -> ContentError | None:
    """Return why these rows cannot be used, or None."""
    for result in results:
        if result["table"] and not result["success"]:
            return ContentError(expected=result["meaning"], found=result["found"], remedy=result["remedy"])
    set_aside = bad["row"].nunique()
    if not set_aside:
        return None
    broken = ", ".join(f"{name} ({count})" for name, count in bad["rule"].value_counts().items())
    if config.on_bad_rows == "stop":
        remedy = "Mend the rows listed in {bad_rows}, or set them aside with --data.on-bad-rows quarantine."
        return ContentError(
            expected="rows that keep every rule", found=f"{set_aside:,} bad rows: {broken}", remedy=remedy
        )
    if set_aside > config.max_bad_fraction * len(rows):
        return ContentError(
            expected=f"at most {config.max_bad_fraction:.1%} bad rows (data.max_bad_fraction)",
            found=f"{set_aside:,} of {len(rows):,}: {broken}",
            remedy="Mend the rows listed in {bad_rows}, or raise --data.max-bad-fraction.",
        )
    return None


def _refuse(refusal: ContentError, reports: Path, run: Run) -> ContentError:
    """Keep the reports for the person who has to mend the data, and return the error that names them."""
    kept = state_root() / "refused" / run.run_id
    shutil.rmtree(kept, ignore_errors=True)  # A run that is taken up was refused before, perhaps by other rules.
    shutil.copytree(reports, kept)
    tracking.log_file(run, kept, "validation")
    publish_markdown("validation", _markdown(read_json(kept / "rules.json"), kept), "Why the rows were refused")
    remedy = refusal.remedy.replace("{bad_rows}", str(kept / "bad_rows.csv"))
    return ContentError(expected=refusal.expected, found=refusal.found, remedy=remedy)


def _markdown(results: list[dict[str, Any]], reports: Path) -> str:
    table = markdown_table(
        ["rule", "kept", "rows that break it", "meaning"],
        [[r["rule"], "yes" if r["success"] else "no", r["unexpected"], r["meaning"]] for r in results],
    )
    bad = pd.read_csv(reports / "bad_rows.csv", dtype=str, keep_default_na=False)
    if bad.empty:
        return table
    shown = bad.head(SHOWN_ROWS)
    title = f"\n\n### Bad rows ({len(shown)} of {len(bad)})\n\n"
    return table + title + markdown_table(list(bad.columns), shown.to_numpy().tolist())
