"""Pre-trained bodies: for each entity, what networks learned from the labels of every promoted campaign, on a cadence of its own.

A body is known by the latest scoring date among the models whose labels it learned from; a training set may start from a
body that was known by its earliest as-of date, so the body has seen no label that is to be predicted.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from platform_assets.campaigns.registry.promoted import KeptBody, PromotedModels
from platform_assets.campaigns.training_sets.training_rows import related_task, rows_hash
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.holdings import Groups
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of

PRETRAINING = "platform_assets.learning.families.networks.body"
SEED = 0


class NothingToLearnFrom(LookupError):
    """No campaign of an entity is promoted yet."""


def pretrain(entity: str, groups: Groups, promoted: PromotedModels, store: ArtifactStore) -> Artifact:
    """The body of an entity over the labels of all its promoted campaigns: found, or trained; and kept for campaigns to use.

    Raises:
        NothingToLearnFrom: none is promoted.
    """
    newest = {name: promoted.all(name)[-1] for name in promoted.campaigns()}
    learned = {name: promotion for name, promotion in newest.items() if promotion.entity == entity}
    if not learned:
        raise NothingToLearnFrom(f"no campaign of {entity} is promoted yet, so there is nothing to pre-train a body on")
    training = {name: store.open(promotion.training_set) for name, promotion in learned.items()}
    columns = _columns(groups[entity].values(), list(training.values()))
    recipe = Recipe(
        key=f"bodies/{entity}",
        code=code_of(PRETRAINING),
        config={"columns": columns, "seed": SEED},
        inputs={name: rows_hash(rows) for name, rows in training.items()},
    )
    checkpoint = store.checkpoint(recipe)

    def build(folder: Path) -> dict[str, Any]:
        from platform_assets.learning.families.fitting import Fitting
        from platform_assets.learning.families.networks.body import pretrain_body

        tasks = [related_task(name, rows, columns) for name, rows in training.items()]
        pretrain_body(tasks, columns, folder, seed=SEED, fitting=Fitting(checkpoints=checkpoint))
        return {"campaigns": sorted(training), "rows": sum(len(task.y) for task in tasks), "columns": len(columns)}

    artifact = store.get_or_build(recipe, build)
    checkpoint.clear()
    promoted.keep_body(entity, KeptBody(max(promotion.score_at for promotion in learned.values()), artifact.ref))
    return artifact


def _columns(groups: Iterable[FeatureGroup], training: Sequence[Artifact]) -> list[str]:
    """Every feature that a training set has and the platform still offers, in the order of groups."""
    known = {feature for rows in training for feature in rows.metadata["features"]}
    return [name for group in groups for name in group.features if name in known]
