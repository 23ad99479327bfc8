"""The promotion gate: whether a challenger may replace the champion, and why."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.promoted import PromotedModels, Promotion
from platform_assets.campaigns.training.ensemble_artifact import OOF_FILE
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, require_training_set
from platform_assets.data.catalog.business_day import instant_of
from platform_assets.foundation.artifacts import Artifact, ArtifactMissing, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    import pandas as pd

DECISION_FILE = "decision.json"
FEWEST_TO_COMPARE = 20


class NotPromoted(RuntimeError):
    """The gate refused a challenger and there is no champion to keep."""


@dataclass(frozen=True)
class Decision:
    """What the gate decided: `promoted`, `kept` (the champion stays) or `refused` (and there is no champion)."""

    outcome: str
    reason: str
    figures: Mapping[str, float]


def decide_promotion(
    name: str, ensemble: Artifact, training: Artifact, store: ArtifactStore, promoted: PromotedModels
) -> Artifact:
    """The gate's decision on an ensemble, kept as an artifact; a challenger that passes is promoted.

    Raises:
        NotPromoted: it is refused and there is no champion to keep.
        OtherTrainingSet: the ensemble was made from another training set.
    """
    require_training_set(ensemble, training)
    score_at = training.metadata["score_at"]
    champion = promoted.champion(name, date.fromisoformat(score_at))
    if champion is not None and champion.ensemble.content_hash == ensemble.ref.content_hash:
        try:
            # Asked again about the champion itself: the decision that let it through still stands.
            return store.open(champion.decision)
        except ArtifactMissing:
            # It was damaged: decided again as it was then, against the champion before.
            champion = promoted.champion(name, date.fromisoformat(score_at) - timedelta(days=1))
    recipe = Recipe(
        key=f"{name}/promoted_model",
        code=code_of("platform_assets.campaigns.promotion.gate"),
        config={"score_at": score_at},
        inputs={
            "challenger": ensemble.ref.content_hash,
            "champion": champion.ensemble.content_hash if champion else "none",
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        decided = _decide(ensemble, training, champion, store)
        (folder / DECISION_FILE).write_text(json.dumps(asdict(decided), indent=1, sort_keys=True))
        return {"outcome": decided.outcome, "reason": decided.reason, "score_at": score_at, **decided.figures}

    artifact = store.get_or_build(recipe, build)
    if artifact.metadata["outcome"] == "refused":
        raise NotPromoted(f"{name}: nothing is promoted. {artifact.metadata['reason']}")
    if artifact.metadata["outcome"] == "promoted":
        promoted.promote(
            name, Promotion(training.metadata["entity"], score_at, ensemble.ref, training.ref, artifact.ref)
        )
    return artifact


def _decide(ensemble: Artifact, training: Artifact, champion: Promotion | None, store: ArtifactStore) -> Decision:
    trained = ensemble.metadata
    figures = {"challenger_auc": trained["auc"], "challenger_auc_low": trained["auc_low"]}
    evidence = f"out-of-fold AUC {trained['auc']:.3f} ({trained['auc_low']:.3f} to {trained['auc_high']:.3f})"
    if trained["auc_low"] <= 0.5:
        reason = f"The challenger is no better than chance: {evidence}."
        return Decision("kept" if champion else "refused", reason, figures)
    if champion is None:
        return Decision("promoted", f"The first model of this campaign, better than chance: {evidence}.", figures)
    compared = _on_common_ground(ensemble, training, champion, store)
    if compared is None:
        return Decision(
            "promoted", f"It shares no comparable rows with the champion; better than chance: {evidence}.", figures
        )
    where, people, labels, ours, theirs = compared
    from platform_assets.learning.figures.intervals import differences_with_intervals

    gained = differences_with_intervals(labels, ours, theirs, people)["auc"]
    figures |= {
        "auc_over_champion": gained.value,
        "auc_over_champion_low": gained.low,
        "auc_over_champion_high": gained.high,
    }
    evidence = f"AUC {gained.value:+.3f} ({gained.low:+.3f} to {gained.high:+.3f}) against the champion on {where}"
    if gained.high < 0:
        return Decision("kept", f"The challenger is worse: {evidence}.", figures)
    return Decision("promoted", f"Not worse, and made from newer data or settings: {evidence}.", figures)


def _on_common_ground(
    ensemble: Artifact, training: Artifact, champion: Promotion, store: ArtifactStore
) -> tuple[str, Any, Any, Any, Any] | None:
    """(which rows, their people, labels, challenger's and champion's probabilities), on rows neither was fitted on; or None.

    The challenger's rows from the champion's scoring date on, the challenger out of fold and the champion as it predicts:
    everything that the champion learned from had happened by then, whereas a row a day older than one it was fitted on has
    the same label but for a day. Too few of those: the rows both predicted out of fold.
    """
    ours = _out_of_fold(ensemble)
    rows = TrainingRows.of(training)
    keys = [rows.key, "as_of"]
    theirs = _out_of_fold(store.open(champion.ensemble))
    new = (ours["as_of"] >= instant_of(date.fromisoformat(champion.score_at), rows.timezone)).to_numpy()
    bundle = load_bundle(store.open(champion.ensemble))
    if _comparable(ours["label"][new]) and set(bundle.feature_names) <= set(rows.frame.columns):
        predicted = bundle.predict(rows.frame.loc[new, list(bundle.feature_names)])
        mine = ours[new]
        return "rows since its scoring date", mine[rows.key], mine["label"], mine["probability"], predicted
    both = ours.merge(theirs[[*keys, "probability"]], on=keys, suffixes=("", "_champion"))
    if not _comparable(both["label"]):
        return None
    where = "the rows both were trained on, out of fold"
    return where, both[rows.key], both["label"], both["probability"], both["probability_champion"]


def _out_of_fold(ensemble: Artifact) -> "pd.DataFrame":
    import pyarrow.parquet as pq

    return pq.ParquetFile(ensemble.path(OOF_FILE)).read().to_pandas()


def _comparable(labels: "pd.Series") -> bool:
    return min(int((labels == 1).sum()), int((labels == 0).sum())) >= FEWEST_TO_COMPARE
