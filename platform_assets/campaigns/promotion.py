"""The promotion gate: whether a challenger may replace the champion, why, and which models are promoted.

A promoted model is good from its scoring date on: it was made from labels known by then. Scoring as of a date takes the
promoted model with the latest scoring date at or before it, so a replay of the past never uses a later model.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.artifacts import Artifact, ArtifactRef, ArtifactStore, Recipe, code_of
from platform_assets.campaigns.ensembling import OOF_FILE, load_bundle
from platform_assets.campaigns.fitting import TrainingRows, require_training_set
from platform_assets.storage import files_at

if TYPE_CHECKING:
    import pandas as pd

DECISION_FILE = "decision.json"
FEWEST_TO_COMPARE = 20


class NotPromoted(RuntimeError):
    """The gate refused a challenger and there is no champion to keep."""


class NothingPromoted(LookupError):
    """A campaign is to be scored as of a date for which no model is promoted."""


@dataclass(frozen=True)
class Promotion:
    """One promoted model.

    Attributes:
        score_at: ISO date it is good from.
        ensemble, training_set: what it is and what it was fitted on.
        decision: the gate's decision that let it through.
    """

    score_at: str
    ensemble: ArtifactRef
    training_set: ArtifactRef
    decision: ArtifactRef


@dataclass(frozen=True)
class Decision:
    """What the gate decided: `promoted`, `kept` (the champion stays) or `refused` (and there is no champion)."""

    outcome: str
    reason: str
    figures: Mapping[str, float]


class PromotedModels:
    """The promoted models of every campaign, below a folder or gs:// URL: one file a campaign, replaced whole."""

    def __init__(self, root: str | Path) -> None:
        self._files = files_at(root)

    def all(self, campaign: str) -> list[Promotion]:
        """Every promotion, oldest scoring date first."""
        stored = self._files.read(_name(campaign))
        return _promotions(stored.content) if stored else []

    def champion(self, campaign: str, as_of: date) -> Promotion | None:
        """The promoted model that is good as of a date."""
        good = [promotion for promotion in self.all(campaign) if promotion.score_at <= as_of.isoformat()]
        return good[-1] if good else None

    def require(self, campaign: str, as_of: date) -> Promotion:
        """The same.

        Raises:
            NothingPromoted: there is none.
        """
        champion = self.champion(campaign, as_of)
        if champion is None:
            earliest = next((promotion.score_at for promotion in self.all(campaign)), None)
            known = f"its first promoted model is good from {earliest} on" if earliest else "it has no promoted model"
            raise NothingPromoted(
                f"{campaign} cannot be scored as of {as_of}: {known}; materialise {campaign}/promoted_model with score_at {as_of}"
            )
        return champion

    def promote(self, campaign: str, promotion: Promotion) -> None:
        """Make `promotion` the champion from its scoring date on; another one of that date gives way."""

        def add(stored: bytes | None) -> bytes:
            others = [other for other in _promotions(stored or b"[]") if other.score_at != promotion.score_at]
            records = [asdict(record) for record in sorted([*others, promotion], key=lambda record: record.score_at)]
            return json.dumps(records, indent=1, sort_keys=True).encode()

        self._files.update(_name(campaign), add)


def _name(campaign: str) -> str:
    return f"promoted/{campaign}.json"


def _promotions(content: bytes) -> list[Promotion]:
    refs = ("ensemble", "training_set", "decision")
    records = json.loads(content)
    return [Promotion(r["score_at"], *(ArtifactRef.from_json(r[name]) for name in refs)) for r in records]


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
        # Asked again about the champion itself: the decision that let it through still stands.
        return store.open(champion.decision)
    recipe = Recipe(
        key=f"{name}/promoted_model",
        code=code_of("platform_assets.campaigns.promotion"),
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
        promoted.promote(name, Promotion(score_at, ensemble.ref, training.ref, artifact.ref))
    return artifact


def _decide(ensemble: Artifact, training: Artifact, champion: Promotion | None, store: ArtifactStore) -> Decision:
    found = ensemble.metadata
    figures = {"challenger_auc": found["auc"], "challenger_auc_low": found["auc_low"]}
    told = f"out-of-fold AUC {found['auc']:.3f} ({found['auc_low']:.3f} to {found['auc_high']:.3f})"
    if found["auc_low"] <= 0.5:
        reason = f"The challenger is no better than chance: {told}."
        return Decision("kept" if champion else "refused", reason, figures)
    if champion is None:
        return Decision("promoted", f"The first model of this campaign, better than chance: {told}.", figures)
    compared = _on_common_ground(ensemble, training, champion, store)
    if compared is None:
        return Decision(
            "promoted", f"It shares no comparable rows with the champion; better than chance: {told}.", figures
        )
    where, labels, ours, theirs = compared
    from platform_assets.learning import metrics

    gained = metrics.auc_difference(labels, ours, theirs)
    figures |= {
        "auc_over_champion": gained.difference,
        "auc_over_champion_low": gained.low,
        "auc_over_champion_high": gained.high,
    }
    told = f"AUC {gained.difference:+.3f} ({gained.low:+.3f} to {gained.high:+.3f}) against the champion on {where}"
    if gained.high < 0:
        return Decision("kept", f"The challenger is worse: {told}.", figures)
    return Decision("promoted", f"Not worse, and made from newer data or settings: {told}.", figures)


def _on_common_ground(
    ensemble: Artifact, training: Artifact, champion: Promotion, store: ArtifactStore
) -> tuple[str, Any, Any, Any] | None:
    """(which rows, labels, challenger's and champion's probabilities), on rows neither was fitted on; or None.

    The same training set: both out of fold on all rows. Otherwise: the challenger's rows that the champion was not
    fitted on, the challenger out of fold and the champion as it predicts; or the rows both predicted out of fold.
    """
    ours = _out_of_fold(ensemble)
    rows = TrainingRows.of(training)
    keys = [rows.key, "as_of"]
    theirs = _out_of_fold(store.open(champion.ensemble))
    joined = ours.merge(theirs[[*keys, "probability"]], on=keys, how="left", suffixes=("", "_champion"))
    new = joined["probability_champion"].isna().to_numpy()
    bundle = load_bundle(store.open(champion.ensemble))
    if _comparable(ours["label"][new]) and set(bundle.feature_names) <= set(rows.features):
        predicted = bundle.predict(rows.frame.loc[new, list(bundle.feature_names)])
        return "rows that are new to it", ours["label"][new].to_numpy(), ours["probability"][new].to_numpy(), predicted
    both = joined[~new]
    if not _comparable(both["label"]):
        return None
    return (
        "the rows both were trained on, out of fold",
        both["label"].to_numpy(),
        both["probability"].to_numpy(),
        both["probability_champion"].to_numpy(),
    )


def _out_of_fold(ensemble: Artifact) -> "pd.DataFrame":
    import pyarrow.parquet as pq

    return pq.ParquetFile(ensemble.path(OOF_FILE)).read().to_pandas()


def _comparable(labels: "pd.Series") -> bool:
    return min(int((labels == 1).sum()), int((labels == 0).sum())) >= FEWEST_TO_COMPARE
