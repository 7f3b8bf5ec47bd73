"""The rules as a Great Expectations suite, run over the rows and the columns derived from them."""

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

    data_docs: where to write Great Expectations' result and pages. `list_bad_rows` picks the bad rows: with result
    format COMPLETE instead of the default SUMMARY, rows that all fail take 100 times as long.
    """
    # Imported here: it takes 4 s, and a cached stage does not need it.
    import great_expectations as gx
    from great_expectations import expectations as gxe

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    expectations = [
        gxe.ExpectColumnValuesToBeBetween(
            column=rule.column,
            min_value=rule.low,
            max_value=rule.high,
            meta={"rule": rule.name, "meaning": rule.meaning, "stops": rule.stops},
            severity="critical" if rule.stops else "info",
        )
        for rule in rules
    ]
    expectations += _table_rules(gxe, rows, config)
    frame = pd.concat([rows[["example_id", "label"]], derived], axis=1)
    result = _run_checkpoint(gx, context, expectations, frame, data_docs)
    items = {item.expectation_config.meta["rule"]: item for item in result.results}
    return [_result(items[expectation.meta["rule"]]) for expectation in expectations]


def _table_rules(gxe: Any, rows: pd.DataFrame, config: DataConfig) -> list[Any]:
    labels = rows["label"].nunique()
    repeat = {
        "rule": "labels_repeat",
        "table": True,
        "meaning": "labels that repeat: at least two rows per label on average",
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


def _run_checkpoint(gx: Any, context: Any, expectations: list[Any], frame: pd.DataFrame, data_docs: Path | None) -> Any:
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("examples")
    suite = context.suites.add(gx.ExpectationSuite(name="examples", expectations=expectations))
    batch = asset.add_batch_definition_whole_dataframe("all")
    validation = context.validation_definitions.add(gx.ValidationDefinition(name="examples", data=batch, suite=suite))
    actions = []
    if data_docs is not None:
        site = {
            "class_name": "SiteBuilder",
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(data_docs)},
        }
        context.add_data_docs_site("local", site)
        actions = [gx.checkpoint.UpdateDataDocsAction(name="data_docs", site_names=["local"])]
    checkpoint = gx.Checkpoint(name="examples", validation_definitions=[validation], actions=actions)
    outcome = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame})
    if data_docs is not None:
        (data_docs.parent / "great_expectations.json").write_text(outcome.describe(), encoding="utf-8")
    return next(iter(outcome.run_results.values()))


def _result(item: Any) -> dict[str, Any]:
    meta = item.expectation_config.meta
    failure = item.exception_info
    if isinstance(failure, dict) and failure.get("raised_exception"):
        raise RuntimeError(f"Great Expectations failed on rule {meta['rule']}: {failure['exception_message']}")
    return {
        "rule": meta["rule"],
        "success": bool(item.success) or not meta.get("stops", True),
        "unexpected": int(item.result.get("unexpected_count", 0)),
        "found": meta.get("found", ""),
        "meaning": meta["meaning"],
        "remedy": meta.get("remedy", ""),
        "table": bool(meta.get("table")),
    }
