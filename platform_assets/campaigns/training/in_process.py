"""One campaign trained in this process, function after function: what its assets do step by step.

For those who need a model and no orchestration: a backtest of past dates, a benchmark, a notebook. Every part is cached as in
a run, and found by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training.ensemble_artifact import build_ensemble
from platform_assets.campaigns.training.fold_artifacts import TrainingTask, fit_fold_of, refit_of
from platform_assets.campaigns.training.out_of_fold import gather_folds
from platform_assets.campaigns.training_sets.training_set import build_training_set
from platform_assets.foundation.artifacts import Artifact


@dataclass(frozen=True)
class TrainedCampaign:
    """The artifacts of one campaign up to its ensemble; nothing is promoted."""

    training: Artifact
    folds: Mapping[str, list[Artifact]]
    models: Mapping[str, Artifact]
    ensemble: Artifact


def train_campaign(question: Question, work: Workspace) -> TrainedCampaign:
    """A campaign's training set as of its scoring date (`question_of`), models and ensemble, found or made.

    Raises as each of the steps does.
    """
    training = build_training_set(question, work)
    task = TrainingTask(question.name, question.spec, training, work.store)
    folds, models = fit_models(task)
    return TrainedCampaign(training, folds, models, build_ensemble(task, models))


def fit_models(task: TrainingTask) -> tuple[dict[str, list[Artifact]], dict[str, Artifact]]:
    """Every model of a campaign: (its folds, itself) by name."""
    advanced, folds, models = task.spec.advanced, {}, {}
    for model in families_of(task.spec):
        parts = folds[model] = [fit_fold_of(task, model, fold) for fold in range(advanced.folds)]
        refitted = refit_of(task, model, parts) if advanced.refit else None
        models[model] = gather_folds(task, model, parts, refitted)
    return folds, models
