"""The card of a promoted model as an artifact: figures gathered from what the model was made of, rendered, put where people look."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from platform_assets.campaigns.declaration.feature_choice import chosen_groups
from platform_assets.campaigns.declaration.spec import CampaignSpec, EventLabel, TeacherLabel
from platform_assets.campaigns.promotion.card_page import (
    TEMPLATE,
    CardFeature,
    CardFigures,
    CardMember,
    CardPast,
    ModelCard,
    render_model_card,
)
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.past import Past
from platform_assets.campaigns.training.ensemble_artifact import evaluation_of
from platform_assets.campaigns.training_sets.ageing import choice_of, sentence_of
from platform_assets.campaigns.training_sets.inspection import inspected
from platform_assets.data.features.holdings import Groups
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of
from platform_assets.foundation.storage import files_at

if TYPE_CHECKING:
    from platform_assets.learning.bundle import Bundle
    from platform_assets.learning.figures.intervals import Estimate

PAGE_FILE = "model_card.html"
JSON_FILE = "model_card.json"
EVERYONE = "everyone whom the population holds"


@dataclass(frozen=True)
class Judged:
    """An ensemble with what it was fitted on and what the gate decided of it."""

    training: Artifact
    ensemble: Artifact
    decision: Artifact


def build_card(name: str, spec: CampaignSpec, judged: Judged, groups: Groups, environment: Environment) -> Artifact:
    """The card of an ensemble that the gate let through: found, or written. Files: `model_card.html`, `model_card.json`."""
    recipe = Recipe(
        key=f"{name}/model_card",
        code={
            **code_of("platform_assets.campaigns.promotion.card"),
            "model_card.html": hashlib.sha256(TEMPLATE.read_bytes()).hexdigest(),
        },
        config={"spec": spec.resolved(), "commit": environment.commit, "words": _words(spec, groups)},
        inputs={
            "training_set": judged.training.ref.content_hash,
            "ensemble": judged.ensemble.ref.content_hash,
            "decision": judged.decision.ref.content_hash,
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        card = card_of(name, spec, judged, groups, environment.commit)
        (folder / PAGE_FILE).write_text(render_model_card(card), encoding="utf-8")
        (folder / JSON_FILE).write_text(json.dumps(card.to_json(), indent=1, sort_keys=True, allow_nan=False))
        return {"limits": card.limits}

    return ArtifactStore(environment.artifacts).get_or_build(recipe, build)


def publish_card(name: str, score_at: str, card: Artifact, environment: Environment) -> tuple[str, str]:
    """Copies of a card's files under names that stay, one pair a scoring date; (where the page lies, its link)."""
    files = files_at(environment.reports)
    for file in (JSON_FILE, PAGE_FILE):
        place = f"{name}/model_cards/{score_at}{Path(file).suffix}"
        files.put_file(Path(card.path(file)), place)
    return files.location(place), environment.page_url("reports", place) or files.link(place)


def card_of(name: str, spec: CampaignSpec, judged: Judged, groups: Groups, commit: str | None) -> ModelCard:
    """What the card of an ensemble says."""
    from platform_assets.learning.figures.slices import SliceReport

    training, ensemble, decision = judged.training, judged.ensemble, judged.decision
    evaluation, trained = evaluation_of(ensemble), training.metadata
    bundle, past = load_bundle(ensemble), Past.of(training)
    leaks, ageing = inspected(training)
    choice = choice_of(training)
    rows = {row["model"]: row for row in evaluation["leaderboard"]}
    return ModelCard(
        campaign=name,
        owner=spec.owner,
        question=spec.description,
        entity=spec.entity,
        decision=f"{decision.metadata['outcome'].capitalize()}. {decision.metadata['reason']}",
        score_at=trained["score_at"],
        as_of=tuple(trained["as_of"]),
        horizon_days=spec.horizon.days,
        watermark=trained["watermark"],
        population=spec.population or EVERYONE,
        label=_label_in_words(spec),
        rows=trained["rows"],
        positives=trained["positives"],
        features=_features(_words(spec, groups), bundle, past, {one.column for one in ageing if one.ageing}),
        members=tuple(
            CardMember(one.name, one.family, one.weight, *(rows[one.name][what] for what in ("parameters", "device")))
            for one in bundle.members
        ),
        overall=_figures("all dates", trained["rows"], trained["positives"], evaluation["figures"]),
        by_date=tuple(
            _figures(row["when"], row["rows"], row["positives"], row["figures"]) for row in evaluation["by_time"]
        ),
        slices=TypeAdapter(SliceReport).validate_python(evaluation["slices"]),
        leaks=leaks,
        ageing=ageing,
        ageing_choice=sentence_of(choice),
        ageing_replays=choice.replays if choice else (),
        calibration_method=evaluation["calibration"]["method"],
        calibration=tuple(evaluation["calibration_table"]),
        lineage={
            "Training set": training.ref.content_hash,
            "Ensemble": ensemble.ref.content_hash,
            "Decision": decision.ref.content_hash,
            **({"Commit": commit} if commit else {}),
        },
        past=(
            *(CardPast(one.campaign, one.score_at, "score", one.ensemble.content_hash) for one in past.scores),
            *(CardPast(one.campaign, one.score_at, "task", one.training_set.content_hash) for one in past.tasks),
        ),
        not_fitted=evaluation["not_fitted"],
        rule=evaluation["over_rule"]["rule"],
        over_rule=_estimate(evaluation["over_rule"]["auc"]),
    )


def _words(spec: CampaignSpec, groups: Groups) -> dict[str, tuple[str, str]]:
    """Feature → its group and its description."""
    return {
        feature: (name, declared.description)
        for name, group in chosen_groups(spec, groups).items()
        for feature, declared in group.features.items()
    }


def _features(
    words: Mapping[str, tuple[str, str]], bundle: "Bundle", past: Past, ageing: set[str]
) -> tuple[CardFeature, ...]:
    """Every column that was offered, with the members of which a model looks at it."""
    from platform_assets.learning.selection import chosen_columns

    seen = {
        member.name: {column for model in member.models for column in (chosen_columns(model) or bundle.feature_names)}
        for member in bundle.members
    }
    groups = {**words} | {score.column: ("earlier campaigns", score.words) for score in past.scores}
    return tuple(
        CardFeature(
            column,
            *groups[column],
            tuple(name for name, columns in seen.items() if column in columns),
            column in ageing,
        )
        for column in bundle.feature_names
    )


def _label_in_words(spec: CampaignSpec) -> str:
    if isinstance(spec.label, TeacherLabel):
        return f"as teacher file {spec.label.teacher} says"
    kind = f"at least one of {spec.label.event}" if isinstance(spec.label, EventLabel) else f"no {spec.label.no_event}"
    return kind + (f" where {spec.label.where}" if spec.label.where else "")


def _figures(when: str, rows: int, positives: int, figures: Mapping[str, Any]) -> CardFigures:
    return CardFigures(when, "out of fold", rows, positives, {n: _estimate(one) for n, one in figures.items()})


def _estimate(figures: Mapping[str, float | None]) -> "Estimate":
    from platform_assets.learning.figures.intervals import Estimate

    return Estimate(**{name: float("nan") if value is None else value for name, value in figures.items()})
