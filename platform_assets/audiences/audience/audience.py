"""The audience of a campaign as of a date, as an artifact: choice, reasons, and what each row was made with."""

import itertools
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.audiences.audience.choice import HOLDOUT, TREAT, select_audience
from platform_assets.audiences.audience.reasons import FEATURES_LOOKED_AT, MOST_PEOPLE, reasons_in_words
from platform_assets.audiences.audience.spreadsheet import write_csv
from platform_assets.audiences.scoring.scoring import FILE as SCORES_FILE
from platform_assets.audiences.scoring.scoring import groups_scored, require_made_with
from platform_assets.campaigns.declaration.feature_choice import offered_features
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.past import Past, with_past_scores
from platform_assets.campaigns.registry.promoted import Promotion
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training.ensemble_artifact import evaluation_of
from platform_assets.campaigns.training_sets.population import exclusions, with_conditions
from platform_assets.campaigns.training_sets.training_set import versions_before
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_table
from platform_assets.foundation.artifacts import Artifact, Recipe, code_of
from platform_assets.foundation.artifacts.recipe import sha256_of

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "audience.parquet"
CSV_FILE = "audience.csv"
CURVE_POINTS = 40
# What each column of an audience means, beside the entity's key, which comes first.
MEANINGS = {
    "as_of": "The instant before which everything behind the score was known.",
    "horizon_days": "Days from as_of on that the score is about.",
    "score": "Calibrated probability.",
    "rank": "1 is the highest score.",
    "decile": "1 is the tenth with the highest scores.",
    "expected_value": "Score times the value that the campaign states; null when it states none.",
    "reasons": "What speaks for this person most, in words; for the first 10,000 of the audience.",
    "eligible": "Whether no exclusion holds.",
    "why_not": "The first exclusion that holds.",
    "selected": "Whether the person is in the audience.",
    "arm": "treat or holdout, for those in the audience.",
    "model_version": "Content hash of the ensemble.",
    "config_hash": "Hash of the campaign's resolved specification.",
}


def build_audience(question: Question, scores: Artifact, promotion: Promotion, work: Workspace) -> Artifact:
    """The audience: found, or chosen from the scores.

    `audience.parquet` holds everyone scored, best first, exactly; `audience.csv` the people to act on, as `spreadsheet`
    shows them. Columns: entity key,
    as_of, horizon_days, score, rank, decile, expected_value, reasons, eligible, why_not, selected, arm, model_version
    (content hash of the ensemble) and config_hash (of the campaign's resolved specification). Reasons are given to the
    first 10,000 people of the audience.

    Raises:
        OtherModel: the scores come from another model than `promotion`.
    """
    name, spec, entity = question.name, question.spec, question.entity
    require_made_with(promotion, scores, question.as_of)
    config_hash = sha256_of(spec.resolved())[:16]
    words = {name: feature.description for name, feature in offered_features(spec, work.groups).items()}
    recipe = Recipe(
        key=f"{name}/audience",
        code=code_of("platform_assets.audiences.audience.audience"),
        config={"as_of": question.as_of.isoformat(), "config": config_hash, "words": words},
        inputs={
            "scores": scores.ref.content_hash,
            "ensemble": promotion.ensemble.content_hash,
            **versions_before(question, work),
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        scored = pq.ParquetFile(scores.path(SCORES_FILE)).read()
        refused = _refusals(question, scored, work.warehouse)
        chosen = select_audience(name, entity.key, scored, refused, spec.audience, spec.value)
        explained = _with_reasons(chosen, question, promotion, work, words)
        constant = {
            "horizon_days": spec.horizon.days,
            "model_version": promotion.ensemble.content_hash[:16],
            "config_hash": config_hash,
        }
        for column, value in constant.items():
            explained = explained.append_column(column, pa.repeat(pa.scalar(value), explained.num_rows))
        table = explained.select([entity.key, *MEANINGS])
        pq.write_table(table, folder / FILE, compression="zstd")
        write_csv(table.filter(table["selected"]), folder / CSV_FILE)
        return {"model": promotion.ensemble.content_hash, **_summary(table, question.as_of)}

    return work.store.get_or_build(recipe, build)


def _refusals(question: Question, scored: "pa.Table", warehouse: Warehouse) -> list[str | None]:
    """For each scored row the first exclusion that holds, or None."""
    spec, entity = question.spec, question.entity
    if not spec.audience.exclude or not scored.num_rows:
        return [None] * scored.num_rows
    conditions = exclusions(spec, warehouse.catalog)
    people = warehouse.memtable(scored.select([entity.key]))
    holds = warehouse.to_arrow(with_conditions(warehouse, entity, people, question.instant, conditions)).to_pylist()
    first = {row[entity.key]: next((c.text for column, c in conditions.items() if row[column]), None) for row in holds}
    return [f"excluded: {reason}" if (reason := first[person]) else None for person in scored[entity.key].to_pylist()]


def _with_reasons(
    chosen: "pa.Table", question: Question, promotion: Promotion, work: Workspace, words: dict[str, str]
) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    entity, store = question.entity, work.store
    spine = Spine.of_population(entity, question.instant)
    groups = groups_scored(question.spec, promotion, work).values()
    features = feature_table(groups, spine, work.warehouse, store).table
    selected = pc.indices_nonzero(chosen["selected"]).slice(0, MOST_PEOPLE)
    rows = features.take(pc.index_in(chosen[entity.key].take(selected), value_set=features[entity.key]))
    reasons: list[str | None] = [None] * chosen.num_rows
    ensemble = store.open(promotion.ensemble)
    leaning = [row["feature"] for row in evaluation_of(ensemble)["importance"][:FEATURES_LOOKED_AT]]
    bundle = load_bundle(ensemble)
    past = Past.of_bundle(bundle).scores
    words = words | {score.column: score.words for score in past}
    said = reasons_in_words(bundle, with_past_scores(rows, past, store), leaning, words)
    for position, text in zip(selected.to_pylist(), said, strict=True):
        reasons[position] = text
    return chosen.append_column("reasons", pa.array(reasons, pa.string()))


def _summary(table: "pa.Table", day: date) -> dict[str, Any]:
    import pyarrow.compute as pc

    chosen = table.filter(table["selected"])
    value = pc.sum(chosen["expected_value"]).as_py()
    arms = chosen["arm"].to_pylist()
    counted = pc.value_counts(table["why_not"].drop_null()).to_pylist()
    return {
        "as_of": day.isoformat(),
        "people": table.num_rows,
        "eligible": pc.sum(table["eligible"]).as_py() or 0,
        "selected": chosen.num_rows,
        "treat": arms.count(TREAT),
        "holdout": arms.count(HOLDOUT),
        "mean_score": pc.mean(chosen["score"]).as_py(),
        "lowest_score": pc.min(chosen["score"]).as_py(),
        "expected_value": value,
        "why_not": {entry["values"]: entry["counts"] for entry in counted},
        "curve": _curve(table.filter(table["eligible"])["score"].to_pylist()),
    }


def _curve(scores: list[float]) -> list[dict[str, float]]:
    """Size of the audience against its mean score, were it cut elsewhere; `scores` are sorted, best first."""
    totals = list(itertools.accumulate(scores))
    sizes = {max(1, round(len(scores) * step / CURVE_POINTS)) for step in range(1, CURVE_POINTS + 1)}
    return [{"people": size, "mean_score": totals[size - 1] / size} for size in sorted(sizes) if scores]
