"""Scores: every campaign of an entity as of one date, from its promoted model, in one pass over the features.

A score table has the columns (entity key, as_of, score), one row for each person the campaign asks about.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.feature_choice import offered_features
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.past import Past, groups_for, with_past_scores
from platform_assets.campaigns.registry.promoted import NothingPromoted, Promotion
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.population import people_asked
from platform_assets.campaigns.training_sets.training_set import versions_before
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import FeatureTable, feature_table
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_assets.learning.bundle import Bundle

FILE = "scores.parquet"
SHARDING = "platform_assets.audiences.scoring.sharding"


class OtherModel(ValueError):
    """Scores or an audience come from another model than the promoted one they are to be used with."""


@dataclass(frozen=True)
class Scored:
    """One campaign's scores and the promoted model they come from."""

    campaign: str
    scores: Artifact
    promotion: Promotion


def score_campaigns(campaigns: Mapping[str, CampaignSpec], work: Workspace, day: date) -> Iterator[Scored]:
    """Scores of campaigns of one entity as of `day`, in the order given; features are read once for all of them.

    Raises:
        NothingPromoted: a campaign has no model to score with as of `day`; see `require_model`.
        AsOfNotCovered: the exports do not cover `day`.
    """
    questions = [work.question(name, spec, day) for name, spec in campaigns.items()]
    models = [require_model(question, work) for question in questions]
    used = groups_of_all(zip(questions, models, strict=True), work)
    entity, instant = questions[0].entity, questions[0].instant
    features = feature_table(used.values(), Spine.of_population(entity, instant), work.warehouse, work.store)
    for question, promotion in zip(questions, models, strict=True):
        yield Scored(question.name, _score(question, promotion, features, work), promotion)


def require_model(question: Question, work: Workspace) -> Promotion:
    """The promoted model to score a campaign with.

    Raises:
        NothingPromoted: there is none, or the file no longer asks for the features it looks at.
    """
    name, spec, day = question.name, question.spec, question.as_of
    promotion = work.promoted.require(name, day)
    offered = offered_features(spec, work.groups)
    gone = [
        feature for feature in work.store.open(promotion.training_set).metadata["features"] if feature not in offered
    ]
    if gone:
        more = f" and {len(gone) - 4} more" if len(gone) > 4 else ""
        raise NothingPromoted(
            f"{name} cannot be scored as of {day}: its promoted model looks at {', '.join(gone[:4])}{more}, which the campaign "
            f"file no longer asks for; materialise {name}/promoted_model again, or put the feature groups back"
        )
    return promotion


def groups_scored(spec: CampaignSpec, promotion: Promotion, work: Workspace) -> dict[str, FeatureGroup]:
    """The feature groups that scoring with a promoted model reads, by name: the campaign's, and its past scores'."""
    return groups_for(spec, Past.of(work.store.open(promotion.training_set)).scores, work.groups)


def groups_of_all(models: Iterable[tuple[Question, Promotion]], work: Workspace) -> dict[str, FeatureGroup]:
    """The same for several campaigns of one entity, each once, sorted by name."""
    used: dict[str, FeatureGroup] = {}
    for question, promotion in models:
        used |= groups_scored(question.spec, promotion, work)
    return dict(sorted(used.items()))


def require_made_with(promotion: Promotion, artifact: Artifact, day: date) -> None:
    """Return when scores or an audience come from this promoted model.

    Raises:
        OtherModel: they do not.
    """
    if artifact.metadata["model"] != promotion.ensemble.content_hash:
        key = artifact.ref.key
        raise OtherModel(
            f"{key} as of {day} come from another model than is promoted now; materialise {key} as of {day} again"
        )


def scores_recipe(question: Question, promotion: Promotion, features: Mapping[str, str], work: Workspace) -> Recipe:
    """What a campaign's scores are made from; `features`: group → content hash.

    The same whether one step scores everyone or N steps a share each (`sharding`), for the scores are the same to the
    last byte: what was scored one way is found when asked for the other. The code of both ways is therefore part of it.
    """
    from platform_assets.learning.families.registry import family_module

    spec = question.spec
    used = groups_scored(spec, promotion, work)
    return Recipe(
        key=f"{question.name}/scores",
        code=code_of(SHARDING, *map(family_module, families_of(spec).values())),
        config={"as_of": question.as_of.isoformat(), "population": spec.population},
        inputs={
            "ensemble": promotion.ensemble.content_hash,
            **{f"features/{group}": content for group, content in features.items() if group in used},
            **versions_before(question, work),
        },
    )


def _score(question: Question, promotion: Promotion, features: FeatureTable, work: Workspace) -> Artifact:
    def build(folder: Path) -> dict[str, Any]:
        people = asked_people(question, work.warehouse)
        bundle = load_bundle(work.store.open(promotion.ensemble))
        table = scored_rows(bundle, people, features.table, question.entity.key, work.store)
        return write_scores(table, promotion.ensemble.content_hash, promotion.score_at, folder)

    return work.store.get_or_build(scores_recipe(question, promotion, features.content_hashes, work), build)


def asked_people(question: Question, warehouse: Warehouse) -> "pa.Table":
    """Whom a campaign asks about: one column, the entity key."""
    return warehouse.to_arrow(people_asked(warehouse, question.spec, question.instant))


def scored_rows(
    bundle: "Bundle", people: "pa.Table", features: "pa.Table", key: str, store: ArtifactStore
) -> "pa.Table":
    """The score table of those rows of `features` that belong to `people`, sorted by the entity key."""
    import pyarrow as pa

    people = people.cast(features.select([key]).schema)
    asked = features.join(people, key, join_type="inner").sort_by(key).combine_chunks()
    known = with_past_scores(asked, Past.of_bundle(bundle).scores, store)
    score = bundle.predict(known.select(list(bundle.feature_names)))
    return asked.select([key, "as_of"]).append_column("score", pa.array(score, pa.float64()))


def write_scores(table: "pa.Table", model: str, good_from: str, folder: Path) -> dict[str, Any]:
    """Write a score table; returns its metadata. Equal tables make equal bytes, in however many chunks they come."""
    import pyarrow.parquet as pq

    table = table.combine_chunks()
    pq.write_table(table, folder / FILE, compression="zstd")
    score = table["score"].to_numpy()
    summary = (
        {"mean": float(score.mean()), "lowest": float(score.min()), "highest": float(score.max())} if len(score) else {}
    )
    return {"people": table.num_rows, "model": model, "model_good_from": good_from, **summary}
