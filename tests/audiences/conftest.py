"""A campaign trained once and taken on to its audience and report, shared by the tests that only read them."""

from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.audiences.assets import audience_assets
from platform_assets.audiences.audience.audience import build_audience
from platform_assets.audiences.report.figures import build_report
from platform_assets.audiences.scoring.assets import score_assets
from platform_assets.audiences.scoring.scoring import score_campaigns
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.promoted import Promotion
from platform_assets.data.features.assets import feature_assets
from platform_assets.environment import local_environment
from platform_assets.foundation.artifacts import Artifact
from tests.campaigns.conftest import AGAIN, own_cinema, own_shop, shared_cinema, shared_shop, trained
from tests.campaigns.running import environment_of, run
from tests.campaigns.worlds import LATEST, PAST, Campaigns, Trained, Workshop
from tests.data.features.conftest import CATALOG, GROUPS, HOLDINGS

__all__ = ["own_cinema", "own_shop", "shared_cinema", "shared_shop", "trained"]
DAILY = dg.DailyPartitionsDefinition(start_date="1997-06-01", end_date="1999-01-01")


@dataclass(frozen=True)
class Made:
    """What a campaign came to as of one date."""

    scores: Artifact
    promotion: Promotion
    audience: Artifact
    report: Artifact


def make(workshop: Workshop, spec: CampaignSpec, day: date, name: str = "again") -> Made:
    [scored] = score_campaigns({name: spec}, workshop.work, day)
    audience = build_audience(workshop.question(name, spec, day), scored.scores, scored.promotion, workshop.work)
    report = build_report(workshop.question(name, spec, day), audience, scored.promotion, workshop.work)
    return Made(scored.scores, scored.promotion, audience, report)


def assets_of(folder: Path, campaigns: Campaigns, shards: int = 1) -> list[dg.AssetsDefinition]:
    """Scores, audiences and reports of the campaigns, as a platform in this folder has them."""
    environment = local_environment(folder, scoring_shards=shards)
    audiences = [audience_assets(name, spec, environment, HOLDINGS, DAILY) for name, spec in campaigns.items()]
    return [*score_assets(campaigns, environment, HOLDINGS, DAILY), *chain.from_iterable(audiences)]


def with_failed_features(workshop: Workshop) -> tuple[Workshop, dg.ExecuteInProcessResult]:
    """The workshop after a broken order failed the audit of features as of PAST, and the run in which it did."""
    broken = workshop.with_broken_orders()
    windows = {"customer": {"order_windows": GROUPS["customer"]["order_windows"]}}
    assets = feature_assets(environment_of(broken), CATALOG, DAILY, windows)
    return broken, run(broken, assets, partition=PAST.isoformat())


@pytest.fixture(scope="session")
def past(shared_shop: Workshop, trained: Trained) -> Made:
    """As of PAST: what came true is known."""
    return make(shared_shop, AGAIN, PAST)


@pytest.fixture(scope="session")
def latest(shared_shop: Workshop, trained: Trained) -> Made:
    """As of LATEST, from the model of PAST: what will come true is not known yet."""
    return make(shared_shop, AGAIN, LATEST)
