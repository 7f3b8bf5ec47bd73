"""The tuning flow: settings searched for on validation rows; the best become a configuration to train with."""

from pathlib import Path

from prefect import flow

from flows.forms import readable
from flows.training import name_run, train_text_classifier
from lstm_model.config import (
    DataConfig,
    EvaluationConfig,
    ExportConfig,
    ModelConfig,
    PipelineConfig,
    PromotionConfig,
    RegistrationConfig,
    SplitConfig,
    TokenizationConfig,
    TrainingConfig,
    TuningConfig,
)
from lstm_model.search_space import check_space
from tasks.conclude_search import TuningOutcome, best_config, conclude_search
from tasks.fetch_start import fetch_start
from tasks.load_examples import load_examples
from tasks.notifications import tell_failure
from tasks.run_trials import run_trials
from tasks.search import open_search
from tasks.split_examples import split_examples
from tasks.tokenize_and_pad import tokenize_and_pad
from tasks.validate_examples import validate_examples


@flow(
    name="tune-text-classifier",
    flow_run_name=lambda: name_run("tuning"),
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
@readable
def tune_text_classifier(
    data: DataConfig = DataConfig(),
    tuning: TuningConfig = TuningConfig(),
    tokenization: TokenizationConfig = TokenizationConfig(),
    split: SplitConfig = SplitConfig(),
    model: ModelConfig = ModelConfig(),
    training: TrainingConfig = TrainingConfig(),
    export: ExportConfig = ExportConfig(),
    evaluation: EvaluationConfig = EvaluationConfig(),
    registration: RegistrationConfig = RegistrationConfig(),
    promotion: PromotionConfig = PromotionConfig(),
    output: Path | None = None,
    train: bool = False,
) -> TuningOutcome:
    """Search for better settings of model and training, judged on validation rows; test rows are not looked at.

    Args:
        data: The labelled file and what is accepted as a row.
        tuning: What is tried, and for how long.
        tokenization: How text becomes token ids.
        split: How rows are shared out between train, validation and test.
        model: The network that the search starts from.
        training: How the network is fitted; monitor says by which figure trials are compared.
        export: How the network becomes the classifier that is served; used with train.
        evaluation: How differences are judged.
        registration: Name of the registered model, and of the experiment.
        promotion: When the new version becomes champion; used with train.
        output: Where the best configuration goes, a YAML file. Unset: tuned/NAME.yaml in the folder of run state.
        train: Train with the best configuration right after, through the usual gate.
    """
    base = PipelineConfig(
        data=data, tokenization=tokenization, split=split, model=model, training=training,
        export=export, evaluation=evaluation, registration=registration, promotion=promotion,
    )  # fmt: skip
    check_space(tuning, base)
    with open_search(base, tuning) as search:
        raw = load_examples(base.data, base.evaluation.slice_column, run=search.run)
        examples = validate_examples(raw, base.data, run=search.run)
        splits = split_examples(examples, base.split, run=search.run)
        encoded = tokenize_and_pad(examples, splits, base.tokenization, run=search.run)
        start = fetch_start(base.training, base.registration, run=search.run)
        run_trials(search, encoded, start)
        outcome = conclude_search(search, encoded, start, output)
    if train:
        train_text_classifier(**dict(best_config(base, outcome)))
    return outcome
