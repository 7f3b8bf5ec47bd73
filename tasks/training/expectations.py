"""The rules as a Great Expectations suite, run once over the rows and the columns derived from them."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_model.config.data import DataConfig
from lstm_model.data.row_rules import RowRule


def run_expectations(
    rows: pd.DataFrame, derived: pd.DataFrame, rules: list[RowRule], config: DataConfig, *, data_docs: Path | None
) -> list[dict[str, Any]]:
    """Return one result per rule: rule, success, unexpected (rows), found, meaning, remedy, table.

    data_docs: where to write Great Expectations' own result and pages. Result format is SUMMARY: with COMPLETE, rows
    that all fail cost 100 times as much; the offending rows are picked with pandas instead.
    """
    # Imported here: 4 s that a cached stage does not need.
    import great_expectations as gx
    from great_expectations import expectations as gxe

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = gx.ExpectationSuite(name="examples")
    for rule in rules:
        suite.add_expectation(
            gxe.ExpectColumnValuesToBeBetween(
                column=rule.column,
                min_value=rule.low,
                max_value=rule.high,
                meta={"rule": rule.name, "meaning": rule.meaning, "stops": rule.stops},
                severity="critical" if rule.stops else "info",
            )
        )
    for table_rule in _table_rules(gxe, rows, config):
        suite.add_expectation(table_rule)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("examples")
    batch = asset.add_batch_definition_whole_dataframe("all")
    validation = context.validation_definitions.add(
        gx.ValidationDefinition(name="examples", data=batch, suite=context.suites.add(suite))
    )
    frame = pd.concat([rows[["example_id", "label"]], derived], axis=1)
    result = _run_checkpoint(gx, context, validation, frame, data_docs)
    found = {item.expectation_config.meta["rule"]: item for item in result.results}
    ordered = [*[rule.name for rule in rules], "labels_repeat", "labels_are_several"]
    return [_result(found[name]) for name in ordered]


def _table_rules(gxe: Any, rows: pd.DataFrame, config: DataConfig) -> list[Any]:
    labels = rows["label"].nunique()
    repeat = {
        "rule": "labels_repeat",
        "table": True,
        "meaning": "labels that repeat: at least two rows to a label on average",
        "found": f"{labels:,} different labels in {len(rows):,} rows",
        "remedy": "Are the text and label columns swapped? Check --data.text-column and --data.label-column.",
    }
    several = {
        "rule": "labels_are_several",
        "table": True,
        "meaning": f"between 2 and {config.max_labels:,} different labels (data.max_labels)",
        "found": f"{labels:,}" + (f" ({rows['label'].dropna().iloc[0]!r})" if labels == 1 else ""),
        "remedy": "Check --data.label-column and the data.",
    }
    return [
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(column="label", max_value=0.5, meta=repeat),
        gxe.ExpectColumnUniqueValueCountToBeBetween(
            column="label", min_value=2, max_value=config.max_labels, meta=several
        ),
    ]


def _run_checkpoint(gx: Any, context: Any, validation: Any, frame: pd.DataFrame, data_docs: Path | None) -> Any:
    actions = []
    if data_docs is not None:
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(data_docs)}
        site = {
            "class_name": "SiteBuilder",
            "store_backend": store,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
        context.add_data_docs_site("local", site)
        actions = [gx.checkpoint.UpdateDataDocsAction(name="data_docs", site_names=["local"])]
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name="examples",
            validation_definitions=[validation],
            actions=actions,
            result_format={"result_format": "SUMMARY"},
        )
    )
    outcome = checkpoint.run(batch_parameters={"dataframe": frame})
    if data_docs is not None:
        (data_docs.parent / "great_expectations.json").write_text(outcome.describe(), encoding="utf-8")
    return next(iter(outcome.run_results.values()))


def _result(item: Any) -> dict[str, Any]:
    meta = item.expectation_config.meta
    raised = (item.exception_info or {}).get("raised_exception") if isinstance(item.exception_info, dict) else False
    if raised:
        raise RuntimeError(f"Great Expectations failed on {meta['rule']}: {item.exception_info['exception_message']}")
    return {
        "rule": meta["rule"],
        "success": bool(item.success) or not meta.get("stops", True),
        "unexpected": int(item.result.get("unexpected_count", 0)),
        "found": meta.get("found", ""),
        "meaning": meta["meaning"],
        "remedy": meta.get("remedy", ""),
        "table": bool(meta.get("table")),
    }
