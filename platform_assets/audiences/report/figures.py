"""The report of a campaign as of a date, as an artifact: figures gathered, measured where labels are known, rendered."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

from platform_assets.audiences.report.charts import lift_chart
from platform_assets.audiences.report.files import FIGURES_FILE, FILE, PICTURE_FILE
from platform_assets.audiences.report.headline import headline_of, lift_of
from platform_assets.audiences.report.measurement import enough, held_out_labels, measure
from platform_assets.audiences.report.page import TEMPLATE, render_report
from platform_assets.audiences.scoring.scoring import groups_scored, require_made_with
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.past import Past, with_past_scores
from platform_assets.campaigns.registry.promoted import Promotion
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training.ensemble_artifact import evaluation_of
from platform_assets.campaigns.training_sets.training_rows import TrainingRows
from platform_assets.campaigns.training_sets.training_set import LabelledRows, join_features, marts_of
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.tables import FeatureTable, feature_table
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of

SHOWN_FEATURES = 12


def build_report(question: Question, audience: Artifact, promotion: Promotion, work: Workspace) -> Artifact:
    """The report: `report.html` for people, `lift.svg` of its lift, `figures.json` with the same figures for programs.

    Its metadata says what came true, under `held_out`, once enough labels from its date on are known; null before; and the
    report in a sentence or two, under `headline`.

    Raises:
        OtherModel: the audience comes from another model than `promotion`.
    """
    name, spec, day = question.name, question.spec, question.as_of
    warehouse, store = work.warehouse, work.store
    require_made_with(promotion, audience, day)
    labels = held_out_labels(question, work)
    groups = groups_scored(spec, promotion, work).values()
    words = {name: feature.description for group in groups for name, feature in group.features.items()}
    features = [feature_table(groups, spine, warehouse, store) for spine in labels.spines] if labels else []
    training = store.open(promotion.training_set)
    ensemble = store.open(promotion.ensemble)
    decision = store.open(promotion.decision)
    recipe = Recipe(
        key=f"{name}/report",
        code={
            **code_of("platform_assets.audiences.report.figures"),
            "report.html": hashlib.sha256(TEMPLATE.read_bytes()).hexdigest(),
        },
        config={"as_of": day.isoformat(), "spec": spec.resolved(), "words": words},
        inputs={
            "audience": audience.ref.content_hash,
            "ensemble": ensemble.ref.content_hash,
            "decision": decision.ref.content_hash,
            "training_set": training.ref.content_hash,
            **(labels.inputs if labels else {}),
            **{f"held out: {group}": content for table in features for group, content in table.content_hashes.items()},
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        held_out = _measured(question, labels, features, promotion, store)
        evaluation = evaluation_of(ensemble)
        said = words | {score.column: score.words for score in Past.of(training).scores}
        by_time = [{**row, "part": "out of fold"} for row in evaluation["by_time"]]
        if held_out:
            by_time.append(_held_out_row(held_out, day))
        lift = lift_of(held_out, day.isoformat(), evaluation["calibration_table"])
        headline = headline_of(audience.metadata, held_out, lift)
        figures = {
            "headline": headline,
            "campaign": {
                "name": name,
                "description": spec.description,
                "owner": spec.owner,
                "horizon_days": spec.horizon.days,
            },
            "audience": audience.metadata,
            "training": training.metadata,
            "leaderboard": evaluation["leaderboard"],
            "by_time": by_time,
            "importance": [{**row, "words": said[row["feature"]]} for row in evaluation["importance"][:SHOWN_FEATURES]],
            "promotion": {"decision": decision.metadata["outcome"].capitalize(), "reason": decision.metadata["reason"]},
            "lineage": {
                "Model version": ensemble.ref.content_hash,
                "Training set": training.ref.content_hash,
                **{f"Mart {mart}": _mart_version(warehouse, mart) for mart in marts_of(spec, work.holdings)},
            },
            "held_out": held_out,
        }
        (folder / FILE).write_text(render_report(figures), encoding="utf-8")
        (folder / FIGURES_FILE).write_text(json.dumps(figures, indent=1, sort_keys=True, allow_nan=False))
        (folder / PICTURE_FILE).write_text(lift_chart(lift.tenths, lift.base_rate, lift.measured), encoding="utf-8")
        told = held_out and {key: value for key, value in held_out.items() if not isinstance(value, list)}
        return {"held_out": told, "headline": headline}

    return store.get_or_build(recipe, build)


def _measured(
    question: Question,
    labels: LabelledRows | None,
    features: list[FeatureTable],
    promotion: Promotion,
    store: ArtifactStore,
) -> dict[str, Any] | None:
    if labels is None:
        return None
    table = labels.read()
    if not enough(table):
        return None
    key, training = question.entity.key, store.open(promotion.training_set)
    bundle = load_bundle(store.open(promotion.ensemble))
    past = Past.of_bundle(bundle).scores
    known = [with_past_scores(of_spine.table, past, store) for of_spine in features]
    held_out = join_features(key, bundle.feature_names, table, known).to_pandas()
    return measure(bundle, TrainingRows.of(training).frame, held_out, bundle.feature_names, key)


def _held_out_row(held_out: dict[str, Any], day: date) -> dict[str, Any]:
    return {
        "when": day.isoformat(),
        "part": "held out",
        "rows": held_out["rows"],
        "positives": held_out["positives"],
        "auc": held_out["auc"]["value"],
        "predicted": held_out["predicted_over_actual"] * held_out["base_rate"],
        "actual": held_out["base_rate"],
    }


def _mart_version(warehouse: Warehouse, mart: str) -> str:
    published = warehouse.published(mart)
    return f"{published.version}, exports cover everything before {published.watermark.isoformat()}"
