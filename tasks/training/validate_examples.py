"""Raw rows -> rows that keep all rules. Bad rows stop the run, or are set aside and recorded."""

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
    _publish_rules(record.folder / "validation", "Which rules the rows keep")


@stage("examples", report=_report)
def validate_examples(folder: Path, raw: StageRecord, config: DataConfig, run: Run) -> dict[str, Any]:
    """Check the rows against the rules; write those that training may use to examples.parquet."""
    rows = pd.read_parquet(raw.file("raw.parquet"))
    if not set(wanted_columns(config)) <= set(rows):
        raise missing_columns(config, raw.facts["columns"])
    rules = row_rules(config, given_validation="split" in rows and bool((rows["split"] == "validation").any()))
    derived = derive_columns(rows, config)
    reports = folder / "validation"
    reports.mkdir()
    results = run_expectations(rows, derived, rules, config, data_docs=reports / "data_docs")
    bad = _bad_rows(rows, derived, config, rules)
    write_json(reports / "rules.json", results)
    bad.to_csv(reports / "bad_rows.csv", index=False)
    kept = rows.drop(index=bad["row"].unique() - 1).reset_index(drop=True)
    refused = state_root() / "refused" / run.run_id
    error = _table_error(results, config) or _bad_rows_error(bad, len(rows), config, listed=refused / "bad_rows.csv")
    if error is None and len(kept) < len(rows):
        again = run_expectations(kept, derive_columns(kept, config), rules, config, data_docs=None)
        error = _table_error(again, config)
    if error is not None:
        shutil.rmtree(refused, ignore_errors=True)  # From an earlier process of this run, perhaps with other rules.
        shutil.copytree(reports, refused)
        tracking.log_file(run, refused, "validation")
        _publish_rules(refused, "Why the rows were refused")
        raise error
    kept.drop(columns="problem").to_parquet(folder / "examples.parquet", index=False)
    return {
        "rows": len(kept),
        "quarantined": len(rows) - len(kept),
        "copies": int(kept.duplicated("text").sum()),
        "labels": sorted(set(kept["label"])),
        "sha256": raw.facts["sha256"],
    }


def _bad_rows(rows: pd.DataFrame, derived: pd.DataFrame, config: DataConfig, rules: list[RowRule]) -> pd.DataFrame:
    """Return all bad rows. Setting rows aside can leave a label with too few, so the rest is checked again."""
    bad = list_bad_rows(rows, derived, rules)
    while config.on_bad_rows == "quarantine":
        rest = rows.drop(index=bad["row"].unique() - 1)
        more = list_bad_rows(rest, derive_columns(rest, config), rules) if len(rest) else bad.iloc[:0]
        if more.empty:
            break
        bad = pd.concat([bad, more], ignore_index=True)
    return bad


def _table_error(results: list[dict[str, Any]], config: DataConfig) -> ContentError | None:
    """Return the error for the first broken rule on the table as a whole, or None."""
    for result in results:
        if result["table"] and not result["success"]:
            message = f"{config.path} needs {result['meaning']}. It has {result['found']}."
            return ContentError(message, result["remedy"])
    return None


def _bad_rows_error(bad: pd.DataFrame, rows: int, config: DataConfig, *, listed: Path) -> ContentError | None:
    """Return the error for bad rows that must not be set aside, or None. listed: the file that lists them."""
    count = bad["row"].nunique()
    broken = ", ".join(f"{name} ({number})" for name, number in bad["rule"].value_counts().items())
    if count and config.on_bad_rows == "stop":
        return ContentError(
            f"{config.path} has {count:,} bad rows: {broken}.",
            f"Fix the rows listed in {listed}, or set them aside with --data.on-bad-rows quarantine.",
        )
    if count > config.max_bad_fraction * rows:
        return ContentError(
            f"{config.path} has {count:,} bad rows among {rows:,} ({broken}), but at most "
            f"{config.max_bad_fraction:.1%} may be set aside (data.max_bad_fraction).",
            f"Fix the rows listed in {listed}, or raise --data.max-bad-fraction.",
        )
    return None


def _publish_rules(reports: Path, description: str) -> None:
    rules = read_json(reports / "rules.json")
    rows = [[rule["rule"], "yes" if rule["success"] else "no", rule["unexpected"], rule["meaning"]] for rule in rules]
    table = markdown_table(["rule", "kept", "rows that break it", "meaning"], rows)
    bad = pd.read_csv(reports / "bad_rows.csv", dtype=str, keep_default_na=False)
    if not bad.empty:
        shown = bad.head(SHOWN_ROWS)
        table += f"\n\n### Bad rows ({len(shown)} of {len(bad)})\n\n"
        table += markdown_table(list(bad.columns), shown.to_numpy().tolist())
    publish_markdown("validation", table, description)
