"""Which models a campaign tries: those its file names, or what `models: auto` stands for.

Steps are drawn before any data are looked at, so every member that may be tried has steps of its own; what the data leave
without a use (a network for related tasks where no task is known) says so in place of a model.
"""

from typing import TYPE_CHECKING

from platform_assets.campaigns.declaration.families import FAMILY, families_of
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.past import Past
from platform_assets.foundation.artifacts import Artifact

if TYPE_CHECKING:
    from platform_assets.learning.portfolio import MemberSpec, PlannedMember

# Families that look at the scores of earlier campaigns when a campaign's file names its models (docs of `past_campaigns`).
LOOK_AT_PAST_SCORES = frozenset({"lightgbm"})


def members_of(spec: CampaignSpec, training: Artifact) -> "dict[str, PlannedMember]":
    """The members that a training set has a use for, by name."""
    from platform_assets.learning.portfolio import plan
    from platform_assets.learning.selection import ColumnSelection

    advanced, choice = spec.advanced, spec.advanced.feature_selection
    common = ColumnSelection(method=choice.method, k=choice.keep) if choice.method != "all" else None
    return plan(
        _tried(spec, training, Past.of(training)),
        float(advanced.cpu_seconds),
        advanced.folds,
        refit=advanced.refit,
        seed=advanced.seed,
        selection=common,
    )


def _tried(spec: CampaignSpec, training: Artifact, past: Past) -> "tuple[MemberSpec, ...]":
    from platform_assets.learning.families.registry import NEEDS
    from platform_assets.learning.portfolio import MemberSpec, auto_portfolio

    scores = tuple(score.column for score in past.scores)
    known = {"tasks": bool(past.tasks), "body": past.body is not None}
    if spec.advanced.models == "auto":
        summary = training.metadata
        return auto_portfolio(summary["rows"], summary["positives"], known["tasks"], known["body"], scores)
    picked = [
        MemberSpec(
            name=name,
            family=family,
            params={key: value for key, value in spec.advanced.models[name].items() if key != FAMILY},
            needs=NEEDS.get(family),
            excluded=() if family in LOOK_AT_PAST_SCORES else scores,
        )
        for name, family in families_of(spec).items()
    ]
    return tuple(one for one in picked if one.needs is None or known[one.needs])
