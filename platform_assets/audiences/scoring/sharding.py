"""Scoring in shards: a plan, N shares of an entity's people scored apart from it, and the fan-in of exactly those N.

The plan says once for all shards who is asked about and which models and features are good as of the date; whatever is
promoted or loaded meanwhile, the shards agree. A shard needs the store only, and each of its score tables is cached, so
that a lost one is made again alone. Together they are the `scores` that one step would have made, to the last byte: a
person's score does not depend on who is scored with them, and rows are sorted by the entity key.

Belongs here: plan, shares, shards, fan-in. Does not belong here: what scores are made from and how one share of people
is scored (`scoring`), or steps and assets (`score_steps`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from platform_assets.audiences.scoring.scoring import (
    FILE,
    asked_people,
    groups_of_all,
    require_model,
    scored_rows,
    scores_recipe,
    write_scores,
)
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.population import marts_read
from platform_assets.data.conditions.parsing import parse_person_condition
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import FILE as FEATURES_FILE
from platform_assets.data.features.tables import feature_group_table
from platform_assets.foundation.artifacts import Artifact, ArtifactRef, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

PLAN_FILE = "plan.json"
SHARD_FILE = "shard.json"
PEOPLE_FILE = "people.parquet"
# Of the hash that shares people out. Another one would be as good, but cached shards would be of no use any more.
SEED = 0


class ShardsRefused(ValueError):
    """Shards that are not exactly those of the plan: together they would leave people out or mix models."""


@dataclass(frozen=True)
class Planned:
    """One campaign to be scored.

    Attributes:
        scores: recipe of the whole.
        ensemble: the promoted model.
        good_from: ISO date it is good from.
        people: artifact with everyone it is asked about.
    """

    scores: Recipe
    ensemble: ArtifactRef
    good_from: str
    people: ArtifactRef


@dataclass(frozen=True)
class Plan:
    """What is scored as of one date, and into how many shares its people fall.

    Attributes:
        entity: whose people.
        key: the entity key's column.
        as_of: ISO date.
        features: group → artifact with its table, by name.
        campaigns: by name.
        content_hash: of the artifact that holds it, which is not in its file; shards and fan-in go by it.
    """

    entity: str
    key: str
    as_of: str
    shards: int
    features: Mapping[str, ArtifactRef]
    campaigns: Mapping[str, Planned]
    content_hash: str = ""

    @classmethod
    def of(cls, artifact: Artifact) -> "Plan":
        """The plan an artifact holds."""
        plan = TypeAdapter(cls).validate_json(Path(artifact.path(PLAN_FILE)).read_bytes())
        return replace(plan, content_hash=artifact.ref.content_hash)

    @property
    def name(self) -> str:
        return f"scores of {self.entity} as of {self.as_of}"


def shares(people: "npt.ArrayLike", shards: int) -> "npt.NDArray[np.int8]":
    """The shard, 0 to `shards` - 1, of every person: by a hash of the entity key, as folds are, so that who else is
    there and in which order changes nothing.
    """
    from platform_assets.learning.folds import assign_folds

    return assign_folds(people, shards, SEED)


def plan_scores(campaigns: Mapping[str, CampaignSpec], shards: int, work: Workspace, day: date) -> Artifact:
    """The plan to score campaigns of one entity as of `day`; features and people are found, or computed for it.

    Raises:
        NothingPromoted: a campaign has no model to score with as of `day`; see `require_model`.
        AsOfNotCovered: the exports do not cover `day`.
    """
    store = work.store
    models = [(one, require_model(one, work)) for one in (work.question(n, s, day) for n, s in campaigns.items())]
    entity, instant = models[0][0].entity, models[0][0].instant
    spine = Spine.of_population(entity, instant)
    features = {
        name: feature_group_table(group, spine, work.warehouse, store).ref
        for name, group in groups_of_all(models, work).items()
    }
    hashes = {group: ref.content_hash for group, ref in features.items()}
    planned = {}
    for question, promotion in models:
        recipe = scores_recipe(question, promotion, hashes, work)
        people = _people(question, work)
        planned[question.name] = Planned(recipe, promotion.ensemble, promotion.score_at, people.ref)
    content = asdict(Plan(entity.name, entity.key, day.isoformat(), shards, features, planned))
    del content["content_hash"]
    return _keep(f"scores/{entity.name}/plan", PLAN_FILE, content, store)


def score_shard(plan: Plan, shard: int, store: ArtifactStore) -> Artifact:
    """One share of the people, scored for every campaign of the plan; their features are read once for all of them.

    Its file lists a score table a campaign, each found or made; none for a campaign whose whole `scores` are there.
    """
    features = cache(lambda: _features_of_share(plan, shard, store))

    def scores(name: str, planned: Planned) -> dict[str, str] | None:
        if store.find(planned.scores.fingerprint) is not None:
            return None

        def build(folder: Path) -> dict[str, Any]:
            people = _read(store.open(planned.people).path(PEOPLE_FILE))
            table = scored_rows(load_bundle(store.open(planned.ensemble)), people, features(), plan.key, store)
            return write_scores(table, planned.ensemble.content_hash, planned.good_from, folder)

        return store.get_or_build(shard_recipe(name, planned, shard, plan.shards), build).ref.to_json()

    listed = {name: scores(name, planned) for name, planned in plan.campaigns.items()}
    content = {"plan": plan.content_hash, "shard": shard, "scores": listed}
    return _keep(f"scores/{plan.entity}/shard_{shard}", SHARD_FILE, content, store)


def shard_recipe(name: str, planned: Planned, shard: int, shards: int) -> Recipe:
    """What one share's score table of a campaign is made from: what the whole is made from, and which share it is."""
    whole = planned.scores
    config = {**whole.config, "shard": shard, "of": shards}
    return Recipe(f"{name}/scores/shard_{shard}", whole.code, config, whole.inputs)


def gather_scores(plan: Plan, shards: Sequence[Artifact], store: ArtifactStore) -> Iterator[tuple[str, Artifact]]:
    """(campaign, its scores) by name: found, or put together from exactly the plan's shards.

    Raises:
        ShardsRefused: a shard is missing, there twice, or was scored by another plan.
    """
    listings = [json.loads(Path(shard.path(SHARD_FILE)).read_text()) for shard in shards]
    foreign = sorted(listing["shard"] for listing in listings if listing["plan"] != plan.content_hash)
    if foreign:
        raise ShardsRefused(
            f"{plan.name}: shards {foreign} were scored by another plan: another date, other models, features, campaigns "
            "or number of shards; materialise the scores again"
        )
    numbers = sorted(listing["shard"] for listing in listings)
    if numbers != list(range(plan.shards)):
        raise ShardsRefused(
            f"{plan.name}: takes each of the shards 0 to {plan.shards - 1} once, and was given {numbers}; "
            "materialise the scores again"
        )
    for name, planned in plan.campaigns.items():
        yield name, _gather(name, planned, plan, [listing["scores"][name] for listing in listings], store)


def _gather(
    name: str, planned: Planned, plan: Plan, refs: Sequence[Mapping[str, str] | None], store: ArtifactStore
) -> Artifact:
    def build(folder: Path) -> dict[str, Any]:
        import pyarrow as pa

        listed = [ArtifactRef.from_json(ref) for ref in refs if ref is not None]
        if len(listed) != len(refs):
            raise ShardsRefused(
                f"{name}/scores were in the store when a shard of {plan.name} began, and are gone; "
                f"materialise {name}/scores again"
            )
        table = pa.concat_tables(_read(store.open(ref).path(FILE)) for ref in listed).sort_by(plan.key)
        return write_scores(table, planned.ensemble.content_hash, planned.good_from, folder)

    return store.get_or_build(planned.scores, build)


def _people(question: Question, work: Workspace) -> Artifact:
    """Whom a campaign asks about, asked of the warehouse once and not once a shard."""
    spec, entity, warehouse = question.spec, question.entity, work.warehouse
    catalog = warehouse.catalog
    conditions = [parse_person_condition(spec.population, catalog, spec.entity)] if spec.population else []
    recipe = Recipe(
        key=f"{question.name}/scores/people",
        code=code_of("platform_assets.campaigns.training_sets.population"),
        config={"as_of": question.as_of.isoformat(), "entity": entity.name, "population": spec.population},
        inputs={
            mart: warehouse.version_before(mart, question.instant) for mart in marts_read(catalog, entity, conditions)
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        import pyarrow.parquet as pq

        people = asked_people(question, warehouse).sort_by(entity.key)
        pq.write_table(people, folder / PEOPLE_FILE, compression="zstd")
        return {"people": people.num_rows}

    return work.store.get_or_build(recipe, build)


def _features_of_share(plan: Plan, shard: int, store: ArtifactStore) -> "pa.Table":
    """The features of one share of the population, side by side; memory holds no more than that and a batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = [plan.key, "as_of"]
    joined: pa.Table | None = None
    mine: npt.NDArray[np.bool_] | None = None
    for ref in plan.features.values():
        file = pq.ParquetFile(store.open(ref).path(FEATURES_FILE))
        if mine is None:
            mine = shares(file.read([plan.key])[plan.key].to_numpy(), plan.shards) == shard
        table = _rows(file, mine) if file.metadata.num_rows == len(mine) else None
        if joined is None:
            joined = table
            continue
        if table is None or not table.select(keys).equals(joined.select(keys)):
            raise ShardsRefused(f"{plan.name}: {ref.key} has other rows than its other features; materialise it again")
        for column in table.column_names[len(keys) :]:
            joined = joined.append_column(column, table[column])
    assert joined is not None
    return joined


def _rows(file: Any, mine: "npt.NDArray[np.bool_]") -> "pa.Table":
    import pyarrow as pa

    kept, start = [], 0
    for batch in file.iter_batches():
        kept.append(batch.filter(pa.array(mine[start : start + batch.num_rows])))
        start += batch.num_rows
    return pa.Table.from_batches(kept, file.schema_arrow)


def _read(path: str) -> "pa.Table":
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read()


def _keep(key: str, file: str, content: Mapping[str, Any], store: ArtifactStore) -> Artifact:
    """Names of what was made, small and made from nothing but themselves, so that one ref stands for all of them."""

    def build(folder: Path) -> dict[str, Any]:
        (folder / file).write_text(json.dumps(content, indent=1, sort_keys=True))
        return {}

    return store.get_or_build(Recipe(key=key, code={}, config=content), build)
