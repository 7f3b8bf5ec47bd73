"""The tuning flow: search for settings on validation rows and write the best as a configuration for training."""

from pathlib import Path

from prefect import flow

from flows.forms import readable
from flows.training import name_run, train_text_classifier
from lstm_model.config import pipeline
from lstm_model.config.tuning import TuningConfig, check_space
from tasks.training.fetch_start import fetch_start
from tasks.training.load_examples import load_examples
from tasks.training.split_examples import split_examples
from tasks.training.tokenize_and_pad import tokenize_and_pad
from tasks.training.validate_examples import validate_examples
from tasks.tuning.best_settings import TuningOutcome, best_config, conclude_search
from tasks.tuning.study import open_search
from tasks.tuning.trials import run_trials


@flow(name="tune-text-classifier", flow_run_name=lambda: name_run("tuning"))
@readable
def tune_text_classifier(
    data: pipeline.DataConfig = pipeline.DataConfig(),
    tuning: TuningConfig = TuningConfig(),
    tokenization: pipeline.TokenizationConfig = pipeline.TokenizationConfig(),
    split: pipeline.SplitConfig = pipeline.SplitConfig(),
    model: pipeline.ModelConfig = pipeline.ModelConfig(),
    training: pipeline.TrainingConfig = pipeline.TrainingConfig(),
    ngrams: pipeline.NgramsConfig = pipeline.NgramsConfig(),
    export: pipeline.ExportConfig = pipeline.ExportConfig(),
    evaluation: pipeline.EvaluationConfig = pipeline.EvaluationConfig(),
    registration: pipeline.RegistrationConfig = pipeline.RegistrationConfig(),
    promotion: pipeline.PromotionConfig = pipeline.PromotionConfig(),
    output: Path | None = None,
    train: bool = False,
) -> TuningOutcome:
    """Search for better settings of model and training on validation rows; test rows are not used.

    Args:
        data: The labelled file and its rules for rows.
        tuning: The search space, and how long to search.
        tokenization: How text becomes token ids.
        split: How rows are divided into train, validation and test.
        model: The network that the search starts from.
        training: How the network is fitted; monitor is the metric that compares trials.
        ngrams: The linear models over n-grams that the network is mixed with.
        export: How the network becomes the served classifier; used with train.
        evaluation: How differences are evaluated.
        registration: Name of the registered model, and of the experiment.
        promotion: When the new version becomes champion; used with train.
        output: Where to write the best configuration, a YAML file. Unset: tuned/NAME.yaml in the folder of run state.
        train: Train with the best configuration afterwards, through the usual gate.
    """
    base = pipeline.PipelineConfig(
        data=data, tokenization=tokenization, split=split, model=model, training=training,
        ngrams=ngrams, export=export, evaluation=evaluation, registration=registration, promotion=promotion,
    )  # fmt: skip
    check_space(tuning, base)
    with open_search(base, tuning) as search:
        raw = load_examples(base.data, base.other_columns, run=search.run)
        examples = validate_examples(raw, base.data, run=search.run)
        splits = split_examples(examples, base.split, run=search.run)
        encoded = tokenize_and_pad(splits, base.tokens, run=search.run)
        start = fetch_start(base.training, base.registration, run=search.run)
        run_trials(search, encoded, start)
        outcome = conclude_search(search, encoded, start, output)
    if train:
        train_text_classifier(**dict(best_config(base, outcome)))
    return outcome
