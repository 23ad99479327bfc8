"""Scores: every campaign of an entity as of one date, from its promoted model, in one pass over the features.

A score table has the columns (entity key, as_of, score), one row for each person the campaign asks about.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.feature_choice import chosen_groups
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.past import Past, groups_for, with_past_scores
from platform_assets.campaigns.registry.promoted import NothingPromoted, PromotedModels, Promotion
from platform_assets.campaigns.training_sets.population import people_asked
from platform_assets.campaigns.training_sets.training_set import marts_of
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.registry import GROUPS
from platform_assets.data.features.spine import Spine, instant_of
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


def score_campaigns(
    campaigns: Mapping[str, CampaignSpec],
    warehouse: Warehouse,
    store: ArtifactStore,
    promoted: PromotedModels,
    day: date,
) -> Iterator[Scored]:
    """Scores of campaigns of one entity as of `day`, in the order given; features are read once for all of them.

    Raises:
        NothingPromoted: a campaign has no model to score with as of `day`; see `require_model`.
        AsOfNotCovered: the exports do not cover `day`.
    """
    entity = warehouse.catalog.entities[next(iter(campaigns.values())).entity]
    instant = instant_of(day, entity.timezone)
    models = {name: require_model(name, spec, store, promoted, day) for name, spec in campaigns.items()}
    groups = {group for name, spec in campaigns.items() for group in groups_scored(spec, models[name], store)}
    features = feature_table(
        [GROUPS[entity.name][group] for group in sorted(groups)], Spine.of_population(entity, instant), warehouse, store
    )
    for name, spec in campaigns.items():
        yield Scored(name, _score(name, spec, models[name], features, warehouse, store, day), models[name])


def require_model(
    name: str, spec: CampaignSpec, store: ArtifactStore, promoted: PromotedModels, day: date
) -> Promotion:
    """The promoted model to score a campaign with as of `day`.

    Raises:
        NothingPromoted: there is none, or the file no longer asks for the features it looks at.
    """
    promotion = promoted.require(name, day)
    offered = {feature for group in chosen_groups(spec) for feature in GROUPS[spec.entity][group].features}
    gone = [feature for feature in store.open(promotion.training_set).metadata["features"] if feature not in offered]
    if gone:
        more = f" and {len(gone) - 4} more" if len(gone) > 4 else ""
        raise NothingPromoted(
            f"{name} cannot be scored as of {day}: its promoted model looks at {', '.join(gone[:4])}{more}, which the campaign "
            f"file no longer asks for; materialise {name}/promoted_model again, or put the feature groups back"
        )
    return promotion


def groups_scored(spec: CampaignSpec, promotion: Promotion, store: ArtifactStore) -> tuple[str, ...]:
    """Names of the feature groups that scoring with a promoted model reads: the campaign's, and its past scores'."""
    return groups_for(spec.entity, chosen_groups(spec), Past.of(store.open(promotion.training_set)).scores)


def require_made_with(promotion: Promotion, made: Artifact, day: date) -> None:
    """Return when scores or an audience come from this promoted model.

    Raises:
        OtherModel: they do not.
    """
    if made.metadata["model"] != promotion.ensemble.content_hash:
        key = made.ref.key
        raise OtherModel(
            f"{key} as of {day} come from another model than is promoted now; materialise {key} as of {day} again"
        )


def scores_recipe(
    name: str,
    spec: CampaignSpec,
    promotion: Promotion,
    features: Mapping[str, str],
    warehouse: Warehouse,
    store: ArtifactStore,
    day: date,
) -> Recipe:
    """What a campaign's scores are made from; `features`: group → content hash.

    The same whether one step scores everyone or N steps a share each (`sharding`), for the scores are the same to the
    last byte: what was scored one way is found when asked for the other. The code of both ways is therefore part of it.
    """
    from platform_assets.learning.families.registry import family_module

    instant = instant_of(day, warehouse.catalog.entities[spec.entity].timezone)
    used = groups_scored(spec, promotion, store)
    return Recipe(
        key=f"{name}/scores",
        code=code_of(SHARDING, *map(family_module, families_of(spec).values())),
        config={"as_of": day.isoformat(), "population": spec.population},
        inputs={
            "ensemble": promotion.ensemble.content_hash,
            **{f"features/{group}": content for group, content in features.items() if group in used},
            **{f"{mart} before {day}": warehouse.version_before(mart, instant) for mart in marts_of(spec, warehouse)},
        },
    )


def _score(
    name: str,
    spec: CampaignSpec,
    promotion: Promotion,
    features: FeatureTable,
    warehouse: Warehouse,
    store: ArtifactStore,
    day: date,
) -> Artifact:
    def build(folder: Path) -> dict[str, Any]:
        key = warehouse.catalog.entities[spec.entity].key
        people = asked_people(spec, warehouse, day)
        table = scored_rows(load_bundle(store.open(promotion.ensemble)), people, features.table, key, store)
        return write_scores(table, promotion.ensemble.content_hash, promotion.score_at, folder)

    recipe = scores_recipe(name, spec, promotion, features.content_hashes, warehouse, store, day)
    return store.get_or_build(recipe, build)


def asked_people(spec: CampaignSpec, warehouse: Warehouse, day: date) -> "pa.Table":
    """Whom a campaign asks about as of `day`: one column, the entity key."""
    entity = warehouse.catalog.entities[spec.entity]
    return warehouse.to_arrow(people_asked(warehouse, spec, instant_of(day, entity.timezone)))


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
