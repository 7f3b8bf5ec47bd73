"""The training flow: from a labelled file to a registered, evaluated, servable classifier."""

from pathlib import Path
from typing import Literal

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import State

from flows.forms import readable
from lstm_model.config import pipeline
from tasks.promotion.check_servable import check_servable
from tasks.promotion.decide_promotion import decide_promotion
from tasks.promotion.outcome import TrainingOutcome, training_outcome, unchanged_state
from tasks.promotion.register_classifier import register_classifier
from tasks.reports.write_report import write_report
from tasks.runs.training_run import training_run
from tasks.runtime.background import in_background
from tasks.runtime.stage_store import StageRecord
from tasks.runtime.tracking import Run
from tasks.training.describe_reference import describe_reference
from tasks.training.evaluate_classifier import check_cases_file, evaluate_classifier
from tasks.training.export_classifier import export_classifier
from tasks.training.fetch_start import fetch_start
from tasks.training.fit_baseline import fit_baseline
from tasks.training.fit_ngram_models import fit_ngram_models
from tasks.training.load_examples import load_examples
from tasks.training.split_examples import split_examples
from tasks.training.tokenize_and_pad import tokenize_and_pad
from tasks.training.train_model import train_model
from tasks.training.validate_examples import validate_examples

Trigger = Literal["manual", "schedule", "drift", "feedback"]


def name_run(kind: str) -> str:
    """Return the flow run's name: its data, its kind, its scheduled start."""
    data = flow_run.parameters.get("data") or pipeline.DataConfig()
    path = data.get("path", pipeline.DataConfig().path) if isinstance(data, dict) else data.path
    return f"{Path(path).stem} {kind} {flow_run.scheduled_start_time:%Y-%m-%d %H:%M:%S}"


@flow(name="train-text-classifier", flow_run_name=lambda: name_run(flow_run.parameters.get("trigger", "manual")))
@readable
def train_text_classifier(
    data: pipeline.DataConfig = pipeline.DataConfig(),
    tokenization: pipeline.TokenizationConfig = pipeline.TokenizationConfig(),
    split: pipeline.SplitConfig = pipeline.SplitConfig(),
    model: pipeline.ModelConfig = pipeline.ModelConfig(),
    training: pipeline.TrainingConfig = pipeline.TrainingConfig(),
    ngrams: pipeline.NgramsConfig = pipeline.NgramsConfig(),
    export: pipeline.ExportConfig = pipeline.ExportConfig(),
    evaluation: pipeline.EvaluationConfig = pipeline.EvaluationConfig(),
    registration: pipeline.RegistrationConfig = pipeline.RegistrationConfig(),
    promotion: pipeline.PromotionConfig = pipeline.PromotionConfig(),
    trigger: Trigger = "manual",
    use_cache: bool = True,
    force_retrain: bool = False,
) -> TrainingOutcome | State[TrainingOutcome]:
    """Train a text classifier on a labelled file, evaluate and register it, and promote it if it passes the gate.

    Args:
        data: The labelled file and its rules for rows.
        tokenization: How text becomes token ids.
        split: How rows are divided into train, validation and test.
        model: The network.
        training: How the network is fitted to the train rows.
        ngrams: The linear models over n-grams that the network is mixed with.
        export: How the network becomes the served classifier.
        evaluation: How the classifier is evaluated.
        registration: Name of the registered model, and of the experiment.
        promotion: When the new version becomes champion.
        trigger: What started this run.
        use_cache: Reuse stages of earlier runs from the stage store; off, every stage runs again.
        force_retrain: Train on schedule even if data, config and code are those of the last decided run.
    """
    config = pipeline.PipelineConfig(
        data=data, tokenization=tokenization, split=split, model=model, training=training,
        ngrams=ngrams, export=export, evaluation=evaluation, registration=registration, promotion=promotion,
    )  # fmt: skip
    if unchanged := unchanged_state(config, trigger=trigger, force_retrain=force_retrain):
        return unchanged
    with training_run(config, trigger=trigger, use_cache=use_cache) as run:
        examples, splits, classifier, evaluated = build_and_evaluate(config, run)
        reference = describe_reference(classifier, evaluated, splits, run=run)
        version = register_classifier(classifier, evaluated, reference, splits, config.registration, run=run)
        servable = check_servable(version, evaluated, run=run)
        decision = decide_promotion(version, evaluated, splits, servable, config.promotion, config.evaluation, run=run)
        write_report(version, evaluated, decision, config, run=run)
        return training_outcome(run, examples, splits, evaluated, decision)


def build_and_evaluate(
    config: pipeline.PipelineConfig, run: Run
) -> tuple[StageRecord, StageRecord, StageRecord, StageRecord]:
    """Return examples, splits, classifier and evaluation. `lstm-text reproduce` runs this part again."""
    raw = load_examples(config.data, config.other_columns, run=run)
    examples = validate_examples(raw, config.data, run=run)
    check_cases_file(examples, config.data, config.evaluation, run=run)
    splits = split_examples(examples, config.split, run=run)
    ngrams = in_background(fit_ngram_models, splits, config.ngrams, run=run)
    linear = in_background(fit_baseline, splits, run=run, after=ngrams) if config.evaluation.baseline else None
    encoded = tokenize_and_pad(splits, config.tokens, run=run)
    start = fetch_start(config.training, config.registration, run=run)
    trained = train_model(encoded, start, config.model, config.training, run=run)
    classifier = export_classifier(
        trained, encoded, ngrams.result(), splits, config.model, config.tokens, config.export, run=run
    )
    baseline = linear and linear.result()
    evaluated = evaluate_classifier(classifier, splits, baseline, config.data, config.evaluation, run=run)
    return examples, splits, classifier, evaluated
