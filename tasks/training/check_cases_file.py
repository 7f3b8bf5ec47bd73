"""Check the file of cases before training, so that a wrong label is reported at once."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from lstm_model.config.data import DataConfig
from lstm_model.config.evaluation import EvaluationConfig
from lstm_model.data.cases import find_cases, read_cases
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.tracking import timed


@timed(lambda cases: cases and f"{cases} is readable")
@task(name="check-cases-file", cache_policy=NO_CACHE)
def check_cases_file(examples: StageRecord, data: DataConfig, config: EvaluationConfig) -> str | None:
    """Read the file of cases, if there is one, as `evaluate_classifier` will; raises what `read_cases` does."""
    path = find_cases(data, config)
    if path is not None:
        read_cases(path, inputs=data.inputs, labels=examples.facts["labels"], dialect=config.cases_dialect)
    return path and path.name
