"""Small synthetic worlds with something to learn in them, and a campaign taken through all its steps in one call."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.promotion.gate import decide_promotion
from platform_assets.campaigns.registry.promoted import PromotedModels
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training.fold_artifacts import TrainingTask
from platform_assets.campaigns.training.in_process import train_campaign
from platform_assets.campaigns.training_sets.training_set import build_training_set, question_of
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.foundation.artifacts import Artifact, ArtifactStore
from tests.data.features.conftest import CATALOG, GROUPS, START, WATERMARK, order, publish, rating

Campaigns = Mapping[str, CampaignSpec]
LAST_DAY = (WATERMARK - START).days
TREES = {"lightgbm": {"learning_rate": 0.1, "max_iterations": 60, "unvalidated_iterations": 60}}
TREES_AND_NETWORK: dict[str, dict[str, float]] = {**TREES, "network": {"max_epochs": 3, "unvalidated_epochs": 3}}
# The latest date whose 60-day label is known at the watermark.
PAST = date(1998, 5, 1)
LATEST = date(1998, 7, 1)


def customers_orders(people: int = 400, seed: int = 7) -> list[dict[str, Any]]:
    """Orders of customers who differ in how often they order: those who ordered more will order more."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for person in range(1, people + 1):
        every = 1 / draw.gammavariate(0.9, 1 / 50)
        day = draw.uniform(0, 150)
        while day < LAST_DAY:
            amount = f"{draw.uniform(5, 90):.2f}"
            rows.append(order(len(rows) + 1, person, round(day, 4), draw.randint(1, 4), amount))
            day += max(0.01, draw.expovariate(1 / every))
    return rows


def shop(folder: Path, people: int = 400, orders: Sequence[dict[str, Any]] | None = None) -> DuckDBWarehouse:
    rows = customers_orders(people) if orders is None else orders
    customers = [{"customer_id": person, "created_at": START} for person in range(1, people + 1)]
    return publish(folder, CATALOG, {"orders": rows, "customers": customers})


def viewers_ratings(people: int = 240, seed: int = 3) -> list[dict[str, Any]]:
    """Ratings of viewers of whom every third likes Sci-Fi and rates it high."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for person in range(1, people + 1):
        for _ in range(draw.randint(6, 14)):
            likes = person % 3 == 0 and draw.random() < 0.6
            genres, stars = (("Sci-Fi",), 5) if likes else (("Drama",), draw.randint(1, 5))
            rows.append(rating(len(rows) + 1, person, round(draw.uniform(0, 300), 4), stars, genres))
    return rows


def viewers(people: int) -> list[dict[str, Any]]:
    known = {"valid_from": START - timedelta(days=1), "valid_to": None}
    return [
        {"viewer_version_id": f"v{person}", "viewer_id": person, "age": 20 + person % 50, **known}
        for person in range(1, people + 1)
    ]


def cinema(folder: Path, people: int = 240) -> DuckDBWarehouse:
    return publish(folder, CATALOG, {"ratings": viewers_ratings(people), "viewers": viewers(people)})


def labelled(people: int, label: Callable[[int], int], day: float = 200) -> list[dict[str, Any]]:
    """A teacher's rows: one for each viewer from 1 to `people`, all as of one day."""
    return [{"viewer_id": n, "as_of": at(day).isoformat(), "label": int(label(n))} for n in range(1, people + 1)]


def write_teacher(teachers: Path, rows: Sequence[Mapping[str, Any]], name: str = "fans.csv") -> Path:
    """A teacher file of the given rows, in the order of their keys."""
    path = teachers / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def campaign(**changes: Any) -> CampaignSpec:
    """Customers who order again within 60 days, from one feature group and fitted fast; `changes` replace whole
    fields.
    """
    advanced = {"models": TREES, "folds": 2} | changes.pop("advanced", {})
    return CampaignSpec.model_validate(
        {
            "owner": "crm@example.com",
            "description": "Customers likely to order again within 60 days",
            "entity": "customer",
            "label": {"event": "orders", "within": "60d"},
            "audience": {"top": "10%"},
            "features": ["order_windows"],
            **changes,
            "advanced": advanced,
        }
    )


def fans(label: Mapping[str, Any] | None = None, **changes: Any) -> CampaignSpec:
    """Viewers whom a teacher file calls fans."""
    told = {"teacher": "fans.csv", "within": "28d", **(label or {})}
    stated = {"features": ["rating_windows"], "description": "Viewers who think well of Sci-Fi", **changes}
    return campaign(entity="viewer", label=told, **stated)


@dataclass(frozen=True)
class Trained:
    """Everything one pass over a campaign's steps made."""

    training: Artifact
    folds: Mapping[str, list[Artifact]]
    models: Mapping[str, Artifact]
    ensemble: Artifact
    decision: Artifact

    @property
    def steps(self) -> dict[str, Artifact]:
        """Step → what it made."""
        folds = {f"{family}/fold_{i}": part for family, parts in self.folds.items() for i, part in enumerate(parts)}
        own = {"training_set": self.training, "ensemble": self.ensemble, "decision": self.decision}
        return {**folds, **self.models, **own}

    @property
    def hits(self) -> dict[str, bool]:
        """Step → whether it was found rather than made."""
        return {step: made.hit for step, made in self.steps.items()}

    @property
    def contents(self) -> dict[str, str]:
        """Step → content hash."""
        return {step: made.ref.content_hash for step, made in self.steps.items()}


@dataclass(frozen=True)
class Workshop:
    """A warehouse, a store, promoted models and a teachers folder below one folder."""

    folder: Path
    warehouse: DuckDBWarehouse

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.folder / "artifacts")

    @property
    def promoted(self) -> PromotedModels:
        return PromotedModels(self.folder / "artifacts")

    @property
    def teachers(self) -> Path:
        return self.folder / "lake" / "teachers"

    @property
    def work(self) -> Workspace:
        return Workspace(self.warehouse, GROUPS, self.store, self.teachers, self.promoted)

    def question(self, name: str, spec: CampaignSpec, as_of: date) -> Question:
        return self.work.question(name, spec, as_of)

    def training_set(self, name: str, spec: CampaignSpec, score_at: date | None = None) -> Artifact:
        return build_training_set(question_of(name, spec, self.work, score_at), self.work)

    def task(self, name: str, spec: CampaignSpec, training: Artifact) -> TrainingTask:
        return TrainingTask(name, spec, training, self.store)

    def teach(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The rows are the teacher file of `fans`."""
        write_teacher(self.teachers, rows)

    def with_broken_orders(self) -> "Workshop":
        """An order of a negative amount arrives with the next export."""
        rows = [*customers_orders(), order(90_000, 1, 120, amount="-400")]
        return replace(self, warehouse=publish(self.folder, CATALOG, {"orders": rows}))

    def train(self, name: str, spec: CampaignSpec, score_at: date | None = None) -> Trained:
        made = train_campaign(question_of(name, spec, self.work, score_at), self.work)
        decision = decide_promotion(name, made.ensemble, made.training, self.store, self.promoted)
        return Trained(made.training, made.folds, made.models, made.ensemble, decision)


def at(day: float) -> datetime:
    return START + timedelta(days=day)
