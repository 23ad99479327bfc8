"""A campaign trained once and taken on to its audience and report, shared by the tests that only read them."""

from dataclasses import dataclass
from datetime import date

import pytest

from platform_assets.audiences.audience.audience import build_audience
from platform_assets.audiences.report.figures import build_report
from platform_assets.audiences.scoring.scoring import score_campaigns
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.promoted import Promotion
from platform_assets.foundation.artifacts import Artifact
from tests.campaigns.conftest import AGAIN, own_shop, shared_shop, trained
from tests.campaigns.worlds import LATEST, PAST, Trained, Workshop

__all__ = ["own_shop", "shared_shop", "trained"]


@dataclass(frozen=True)
class Made:
    """What a campaign came to as of one date."""

    scores: Artifact
    promotion: Promotion
    audience: Artifact
    report: Artifact


def audience_of(workshop: Workshop, spec: CampaignSpec, day: date, name: str = "again") -> Artifact:
    [scored] = score_campaigns({name: spec}, workshop.work, day)
    return build_audience(workshop.question(name, spec, day), scored.scores, scored.promotion, workshop.work)


def make(workshop: Workshop, spec: CampaignSpec, day: date, name: str = "again") -> Made:
    [scored] = score_campaigns({name: spec}, workshop.work, day)
    audience = audience_of(workshop, spec, day, name)
    report = build_report(workshop.question(name, spec, day), audience, scored.promotion, workshop.work)
    return Made(scored.scores, scored.promotion, audience, report)


@pytest.fixture(scope="session")
def past(shared_shop: Workshop, trained: Trained) -> Made:
    """As of PAST: what came true is known."""
    return make(shared_shop, AGAIN, PAST)


@pytest.fixture(scope="session")
def latest(shared_shop: Workshop, trained: Trained) -> Made:
    """As of LATEST, from the model of PAST: what will come true is not known yet."""
    return make(shared_shop, AGAIN, LATEST)
