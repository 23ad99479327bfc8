"""What earlier campaigns about the same people know: their models' scores as features, their labels as related tasks.

Only promoted models are asked, and only those frozen before: a score is a feature of a training set when its model was
promoted for a date at or before the earliest as-of date there, so it has seen nothing that a row must not know; labels are
a related task when they were known before the scoring date. Campaigns promoted for the same date never wait for each other.
The choice is kept with the training set, and with every bundle that looks at such scores.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from platform_assets.campaigns.declaration.feature_choice import chosen_groups
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.bundles import load_bundle_alone
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.holdings import Groups
from platform_assets.foundation.artifacts import Artifact, ArtifactRef, ArtifactStore

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_assets.learning.bundle import Bundle

PAST_FILE = "past.json"


@dataclass(frozen=True)
class PastScore:
    """One earlier model's score as a column.

    Attributes:
        column: named after campaign, date and model, so that no two models share one.
        campaign: whose promoted model it is, good from `score_at` (ISO date) on.
        features: what the model looks at.
    """

    column: str
    campaign: str
    score_at: str
    ensemble: ArtifactRef
    features: tuple[str, ...]

    @property
    def words(self) -> str:
        """What it is, for a reader."""
        return f"score of campaign {self.campaign}, model of {self.score_at}"


@dataclass(frozen=True)
class PastTask:
    """The labelled rows that another campaign's promoted model was made from."""

    campaign: str
    score_at: str
    training_set: ArtifactRef


@dataclass(frozen=True)
class Past:
    """What a training set takes from earlier campaigns: scores and tasks by campaign, and a body pre-trained on them."""

    scores: tuple[PastScore, ...] = ()
    tasks: tuple[PastTask, ...] = ()
    body: ArtifactRef | None = None

    @classmethod
    def of(cls, training: Artifact) -> "Past":
        """What is kept with a training set."""
        return TypeAdapter(cls).validate_json(Path(training.path(PAST_FILE)).read_bytes())

    @classmethod
    def of_bundle(cls, bundle: "Bundle") -> "Past":
        """What is kept with a bundle: the scores among its columns."""
        return TypeAdapter(cls).validate_python({"scores": bundle.metadata["past_scores"]})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def inputs(self) -> dict[str, str]:
        """Name → content hash of everything it refers to."""
        scores = {f"past score {score.column}": score.ensemble.content_hash for score in self.scores}
        tasks = {
            f"past labels {task.campaign} of {task.score_at}": task.training_set.content_hash for task in self.tasks
        }
        return scores | tasks | ({"pre-trained body": self.body.content_hash} if self.body else {})


def find_past(question: Question, features: Sequence[str], earliest: date, work: Workspace) -> Past:
    """What a campaign's training set may take from others, and from its own earlier models.

    Args:
        features: its own; the labels of a campaign that knows fewer are of no use.
        earliest: the business date at or before its earliest as-of time.
    """
    entity, promoted, store = question.entity.name, work.promoted, work.store
    offered = {feature for group in work.groups[entity].values() for feature in group.features}
    scores, tasks = [], []
    for campaign in promoted.campaigns():
        of_entity = [promotion for promotion in promoted.all(campaign) if promotion.entity == entity]
        frozen = [promotion for promotion in of_entity if promotion.score_at <= earliest.isoformat()]
        known = [promotion for promotion in of_entity if promotion.score_at < question.as_of.isoformat()]
        if frozen:
            chosen = frozen[-1]
            needed = store.open(chosen.ensemble).metadata["alone_features"]
            # A group that was taken out of the platform takes the models that need it along.
            if needed is not None and set(needed) <= offered:
                column = f"score_{campaign}_{chosen.score_at.replace('-', '')}_{chosen.ensemble.content_hash[:6]}"
                scores.append(PastScore(column, campaign, chosen.score_at, chosen.ensemble, tuple(needed)))
        if known and campaign != question.name:
            rows = known[-1].training_set
            about = store.open(rows).metadata
            if set(features) <= {*about["features"], *about.get("left_out", ())}:
                tasks.append(PastTask(campaign, known[-1].score_at, rows))
    return Past(tuple(scores), tuple(tasks), promoted.body(entity, earliest))


def groups_for(spec: CampaignSpec, scores: Iterable[PastScore], groups: Groups) -> dict[str, FeatureGroup]:
    """The feature groups that a campaign uses and those that past scores need, by name, sorted."""
    needed = {feature for score in scores for feature in score.features}
    of_scores = {name: group for name, group in groups[spec.entity].items() if needed & set(group.features)}
    return dict(sorted((of_scores | chosen_groups(spec, groups)).items()))


def with_past_scores(table: "pa.Table", scores: Iterable[PastScore], store: ArtifactStore) -> "pa.Table":
    """`table` with a column a past score, in log-odds; it must hold the features that their models look at."""
    import pyarrow as pa
    from scipy.special import logit

    for score in scores:
        bundle = load_bundle_alone(store.open(score.ensemble))
        missing = pa.nulls(table.num_rows, pa.float64())
        seen = {name: table[name] if name in score.features else missing for name in bundle.feature_names}
        probability = bundle.predict(pa.table(seen))
        table = table.append_column(score.column, pa.array(logit(probability.clip(1e-9, 1 - 1e-9)), pa.float64()))
    return table
