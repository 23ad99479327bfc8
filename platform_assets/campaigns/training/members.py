"""Which models a campaign tries: those its file names, or what `models: auto` stands for.

Steps are drawn before any data are looked at, so every member that may be tried has steps of its own; what the data leave
without a use (a network for related tasks where no task is known) says so in place of a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.families import FAMILY, families_of
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.past import Past
from platform_assets.foundation.artifacts import Artifact

if TYPE_CHECKING:
    from platform_assets.learning.portfolio import MemberSpec
    from platform_assets.learning.selection import FeatureSelection

# Families that look at the scores of earlier campaigns when a campaign's file names its models (docs of `past_campaigns`).
LOOK_AT_PAST_SCORES = frozenset({"lightgbm"})


@dataclass(frozen=True)
class Member:
    """One model of a campaign as it is fitted on one training set.

    Attributes:
        fit_seconds: CPU-seconds that each fold's fit may spend.
        refit_seconds: the same for its fit on all rows.
    """

    name: str
    family: str
    params: Mapping[str, Any]
    selection: "FeatureSelection | None"
    uses_tasks: bool
    uses_body: bool
    fit_seconds: float
    refit_seconds: float

    @property
    def excluded(self) -> tuple[str, ...]:
        """Columns it never sees."""
        return self.selection.excluded if self.selection else ()

    @property
    def settings(self) -> dict[str, Any]:
        """What its fits depend on beside rows, fold and seed; JSON."""
        selection = self.selection.to_json() if self.selection else None
        return {"family": self.family, "parameters": dict(self.params), "selection": selection}


def members_of(spec: CampaignSpec, training: Artifact) -> dict[str, Member]:
    """The members that a training set has a use for, by name."""
    from platform_assets.learning.portfolio import fit_seconds, refit_seconds
    from platform_assets.learning.selection import FeatureSelection

    past = Past.of(training)
    members = _tried(spec, training, past)
    advanced, choice = spec.advanced, spec.advanced.feature_selection
    common = FeatureSelection(method=choice.method, k=choice.keep) if choice.method != "all" else None
    budget, folds = float(advanced.cpu_seconds), advanced.folds
    return {
        one.name: Member(
            name=one.name,
            family=one.family,
            params=one.params,
            selection=one.selection(common),
            uses_tasks=one.needs == "tasks",
            uses_body=one.needs == "body",
            fit_seconds=fit_seconds(budget, one, members, folds, advanced.refit),
            refit_seconds=refit_seconds(budget, one, members, folds),
        )
        for one in members
    }


def _tried(spec: CampaignSpec, training: Artifact, past: Past) -> "tuple[MemberSpec, ...]":
    from platform_assets.learning.families.registry import NEEDS
    from platform_assets.learning.portfolio import MemberSpec, auto_portfolio

    scores = tuple(score.column for score in past.scores)
    known = {"tasks": bool(past.tasks), "body": past.body is not None}
    if spec.advanced.models == "auto":
        found = training.metadata
        return auto_portfolio(found["rows"], found["positives"], known["tasks"], known["body"], scores)
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
