"""One campaign trained in this process, function after function: what its assets do step by step.

For those who need a model and no orchestration: a backtest of past dates, a benchmark, a notebook. Every part is cached as in
a run, and found by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training.ensembling import build_ensemble
from platform_assets.campaigns.training.fitting import fit_fold_of, refit_of
from platform_assets.campaigns.training.gathering import gather_folds
from platform_assets.campaigns.training_sets.training_set import build_training_set
from platform_assets.foundation.artifacts import Artifact, ArtifactStore


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
    name, spec, store = question.name, question.spec, work.store
    training = build_training_set(question, work)
    folds, models = fit_models(name, spec, training, store)
    return TrainedCampaign(training, folds, models, build_ensemble(name, spec, models, training, store))


def fit_models(
    name: str, spec: CampaignSpec, training: Artifact, store: ArtifactStore
) -> tuple[dict[str, list[Artifact]], dict[str, Artifact]]:
    """Every model of a campaign on a training set: (its folds, itself) by name."""
    count = spec.advanced.folds
    folds = {
        model: [fit_fold_of(name, spec, model, fold, training, store) for fold in range(count)]
        for model in families_of(spec)
    }
    refits = {
        model: refit_of(name, spec, model, parts, training, store) if spec.advanced.refit else None
        for model, parts in folds.items()
    }
    return folds, {
        model: gather_folds(name, model, count, parts, refits[model], training, store) for model, parts in folds.items()
    }
