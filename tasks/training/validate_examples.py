"""Raw rows -> rows that keep all rules. Few bad rows are set aside and listed; many, or a rare label, stop the run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import get_run_logger

from lstm_model.config.data import DataConfig
from lstm_model.data.labels import describe_alike, find_alike, merges, shorten
from lstm_model.data.row_rules import RARE, RowRule, Sifted, derive_columns, rare_labels_error, row_rules, sift_rows
from lstm_model.data.splitting import name_splits
from lstm_model.data.text_columns import cut_texts
from lstm_model.data.texts import BLANK
from lstm_model.errors import ContentError
from tasks.runtime.artifacts import markdown_table, publish_markdown
from tasks.runtime.stage_store import StageRecord, read_json, stage, write_json
from tasks.runtime.state.local_state import state_root
from tasks.runtime.tracking import Run, log_dataset, log_file, log_metrics, set_tags
from tasks.training.expectations import run_expectations

SHOWN = ("unexpected", "meaning")
SHOWN_ROWS = 20


def _report(record: StageRecord, run: Run) -> str:
    facts, reports = record.facts, record.folder / "validation"
    counts = {"valid": "rows", "quarantined": "quarantined", "duplicate": "copies", "cut": "cut"}
    log_metrics(run, {f"rows.{name}": facts[fact] for name, fact in counts.items()})
    labels = json.dumps(facts["labels"], ensure_ascii=False)
    set_tags(run, {"labels": labels[:5_000], "data_remarks": "\n".join(facts["remarks"])[:5_000]})
    log_file(run, reports, "validation")
    log_dataset(run, record.file("examples.parquet"), name=run.data_name, digest=facts["sha256"])
    for remark in facts["remarks"]:
        get_run_logger().warning("%s", remark)
    if facts["quarantined"]:
        get_run_logger().warning("The rows set aside are listed in %s", reports / "bad_rows.csv")
    _publish_rules(reports, "Which rules the rows keep")
    return f"{facts['rows']:,} rows of {len(facts['labels'])} labels; {facts['quarantined']:,} rows set aside"


@stage("examples", report=_report)
def validate_examples(folder: Path, raw: StageRecord, config: DataConfig, run: Run) -> dict[str, Any]:
    """Check the rows against the rules; write those that training may use to examples.parquet."""
    rows, alike, merged = _read_rows(raw, config)
    given_validation = "split" in rows and bool((rows["split"] == "validation").any())
    rules = row_rules(config, given_validation=given_validation, has_times="time" in rows)
    derived = derive_columns(rows, config)
    reports = folder / "validation"
    reports.mkdir()
    results = run_expectations(rows, derived, rules, config, data_docs=reports / "data_docs")
    sifted = sift_rows(rows, derived, rules, config)
    listed = pd.concat([sifted.bad, sifted.rare], ignore_index=True)
    listed.to_csv(reports / "bad_rows.csv", index=False)
    kept = rows.drop(index=listed["row"].unique() - 1).reset_index(drop=True)
    found = {"rules": results, "remarks": [*raw.facts["remarks"], *_label_remarks(alike, merged)], "merged": merged}
    refused = state_root() / "refused" / run.run_id
    error = _table_error(results, config) or _row_error(sifted, len(rows), rules, alike, config, refused)
    if error is None and len(kept) < len(rows):
        # The rules on single rows hold by now.
        error = _table_error(run_expectations(kept, pd.DataFrame(index=kept.index), [], config, data_docs=None), config)
    if error is not None:
        write_json(reports / "rules.json", found)
        _publish_refusal(reports, refused, run)
        raise error
    cut = int((kept["text"].str.len() > config.max_characters).sum())
    kept["text"] = cut_texts(kept["text"], config.max_characters)
    kept.drop(columns="problem").to_parquet(folder / "examples.parquet", index=False)
    found["remarks"] += _row_remarks(sifted, len(rows), cut, config)
    write_json(reports / "rules.json", found)
    return {
        "rows": len(kept),
        "quarantined": len(rows) - len(kept),
        "copies": int(kept.duplicated("text").sum()),
        "cut": cut,
        "labels": sorted(set(kept["label"])),
        "inputs": list(config.inputs),
        "remarks": found["remarks"],
        "sha256": raw.facts["sha256"],
    }


def _read_rows(raw: StageRecord, config: DataConfig) -> tuple[pd.DataFrame, list[dict[str, int]], dict[str, str]]:
    """Return the rows with split values by their names here, groups of labels that look alike, and merged labels."""
    rows = pd.read_parquet(raw.file("raw.parquet"))
    if "split" in rows:
        rows["split"] = name_splits(rows["split"])
    known = config.labels or ()
    labels = rows["label"].fillna("")
    counts = labels[labels.str.strip(BLANK) != ""].value_counts()
    alike = find_alike(counts.to_dict(), known)
    merged = merges(alike, known) if config.clean_labels else {}
    rows["label"] = rows["label"].replace(merged)
    return rows, alike, merged


def _publish_refusal(reports: Path, refused: Path, run: Run) -> None:
    """Keep the reports where the stage's folder, which is removed, is not: in the state folder and in the run."""
    shutil.rmtree(refused, ignore_errors=True)  # From an earlier process of this run, perhaps with other rules.
    shutil.copytree(reports, refused)
    log_file(run, refused, "validation")
    _publish_rules(refused, "Why the rows were refused")


def _label_remarks(alike: list[dict[str, int]], merged: dict[str, str]) -> list[str]:
    """Return what a person should know about spellings of labels: a sentence, or nothing."""
    if not alike:
        return []
    groups = describe_alike(alike)
    if merged:
        return [f"Merged {len(merged):,} spellings of labels into the most frequent ones: {groups}."]
    what = "Labels that differ only in white space, case, Unicode form or number format are different classes here"
    return [f"{what}: {groups}. --data.clean-labels merges them."]


def _row_remarks(sifted: Sifted, rows: int, cut: int, config: DataConfig) -> list[str]:
    """Return a sentence for each way in which the trained rows are not those of the file."""
    remarks = []
    if count := sifted.bad["row"].nunique():
        remarks.append(f"Set aside {count:,} of {rows:,} rows: {_count_rules(sifted.bad)}.")
    if sifted.rare_labels:
        labels = shorten([f"{label!r} ({texts})" for label, (texts, _) in sifted.rare_labels.items()])
        remarks.append(f"Left out labels with too few different texts: {labels}.")
    if cut:
        remarks.append(f"Cut {cut:,} texts to {config.max_characters:,} characters (data.max_characters).")
    return remarks


def _count_rules(bad: pd.DataFrame) -> str:
    return ", ".join(f"{name} ({number})" for name, number in bad["rule"].value_counts().items())


def _table_error(results: list[dict[str, Any]], config: DataConfig) -> ContentError | None:
    """Return the error for the first broken rule on the table as a whole, or None."""
    for result in results:
        if result["table"] and not result["success"]:
            return ContentError(f"{config.path} needs {result['meaning']}. It has {result['found']}.", result["remedy"])
    return None


def _row_error(
    sifted: Sifted, rows: int, rules: list[RowRule], alike: list[dict[str, int]], config: DataConfig, refused: Path
) -> ContentError | None:
    """Return the error for rows that must not be set aside, or None. refused: the folder with the list of them."""
    bad = sifted.bad
    count, broken = bad["row"].nunique(), _count_rules(bad)
    fix = f"Fix the rows listed in {refused / 'bad_rows.csv'}, "
    if bad["rule"].isin(["id_is_unique", "id_is_given"]).any():
        fix += "pass --data.id-column none if there are no ids, "
    if count and config.on_bad_rows == "stop":
        return ContentError(
            f"{config.path} has {count:,} bad rows: {broken}.",
            f"{fix}or set them aside with --data.on-bad-rows quarantine.",
        )
    if count > config.max_bad_fraction * rows:
        return ContentError(
            f"{config.path} has {count:,} bad rows among {rows:,} ({broken}), but at most "
            f"{config.max_bad_fraction:.1%} may be set aside (data.max_bad_fraction).",
            f"{fix}or raise --data.max-bad-fraction.",
        )
    if sifted.rare_labels and not config.drop_rare_labels:
        spelled = any(label in group for group in alike for label in sifted.rare_labels)
        rule = next(rule for rule in rules if rule.name == RARE)
        return rare_labels_error(config.path, sifted.rare_labels, rule, alike=spelled and not config.clean_labels)
    return None


def _publish_rules(reports: Path, description: str) -> None:
    found = read_json(reports / "rules.json")
    rows = [[rule["rule"], "yes" if rule["success"] else "no", *map(rule.get, SHOWN)] for rule in found["rules"]]
    table = "".join(f"- {remark}\n" for remark in found["remarks"]) + "\n"
    table += markdown_table(["rule", "kept", "rows that break it", "meaning"], rows)
    bad = pd.read_csv(reports / "bad_rows.csv", dtype=str, keep_default_na=False)
    if not bad.empty:
        shown = bad.head(SHOWN_ROWS)
        table += f"\n\n### Bad rows ({len(shown)} of {len(bad)})\n\n"
        table += markdown_table(list(bad.columns), shown.to_numpy().tolist())
    publish_markdown("validation", table, description)
