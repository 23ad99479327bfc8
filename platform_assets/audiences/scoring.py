"""Scores: every campaign of an entity as of one date, from its promoted model, in one pass over the features.

A score table has the columns (entity key, as_of, score), one row for each person the campaign asks about.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.artifacts import Artifact, ArtifactStore, Recipe, code_of
from platform_assets.campaigns.ensembling import load_bundle
from platform_assets.campaigns.feature_choice import chosen_groups
from platform_assets.campaigns.population import people_asked
from platform_assets.campaigns.promotion import NothingPromoted, PromotedModels, Promotion
from platform_assets.campaigns.spec import CampaignSpec
from platform_assets.campaigns.training_set import marts_of
from platform_assets.features.registry import GROUPS
from platform_assets.features.spine import Spine, instant_of
from platform_assets.features.tables import FeatureTable, feature_table
from platform_assets.warehouse.reading import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "scores.parquet"


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
    groups = sorted({group for spec in campaigns.values() for group in chosen_groups(spec)})
    features = feature_table(
        [GROUPS[entity.name][group] for group in groups], Spine.of_population(entity, instant), warehouse, store
    )
    for name, spec in campaigns.items():
        promotion = require_model(name, spec, store, promoted, day)
        yield Scored(name, _score(name, spec, promotion, features, warehouse, store, day), promotion)


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


def _score(
    name: str,
    spec: CampaignSpec,
    promotion: Promotion,
    features: FeatureTable,
    warehouse: Warehouse,
    store: ArtifactStore,
    day: date,
) -> Artifact:
    from platform_assets.learning.registry import family_module

    entity = warehouse.catalog.entities[spec.entity]
    instant = instant_of(day, entity.timezone)
    used = chosen_groups(spec)
    recipe = Recipe(
        key=f"{name}/scores",
        code=code_of("platform_assets.audiences.scoring", *map(family_module, spec.advanced.models)),
        config={"as_of": day.isoformat(), "population": spec.population},
        inputs={
            "ensemble": promotion.ensemble.content_hash,
            **{f"features/{group}": content for group, content in features.content_hashes.items() if group in used},
            **{f"{mart} before {day}": warehouse.version_before(mart, instant) for mart in marts_of(spec, warehouse)},
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        bundle = load_bundle(store.open(promotion.ensemble))
        asked = people_with_features(spec, warehouse, features.table, day)
        score = bundle.predict(asked.select(list(bundle.feature_names)))
        table = asked.select([entity.key, "as_of"]).append_column("score", pa.array(score, pa.float64()))
        pq.write_table(table, folder / FILE, compression="zstd")
        summary = (
            {"mean": float(score.mean()), "lowest": float(score.min()), "highest": float(score.max())}
            if len(score)
            else {}
        )
        return {
            "people": table.num_rows,
            "model": promotion.ensemble.content_hash,
            "model_good_from": promotion.score_at,
            **summary,
        }

    return store.get_or_build(recipe, build)


def people_with_features(spec: CampaignSpec, warehouse: Warehouse, features: "pa.Table", day: date) -> "pa.Table":
    """The rows of a population's feature table that a campaign asks about, sorted by the entity key."""
    entity = warehouse.catalog.entities[spec.entity]
    people = warehouse.to_arrow(people_asked(warehouse, spec, instant_of(day, entity.timezone)))
    people = people.cast(features.select([entity.key]).schema)
    return features.join(people, entity.key, join_type="inner").sort_by(entity.key).combine_chunks()
