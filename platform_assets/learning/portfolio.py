"""What `models: auto` means: which members are tried on a table, and what share of the CPU budget each may spend.

Belongs here: names, families, parameters and shares. Does not belong here: fitting, choosing among what was fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from platform_assets.learning.cross_fitting import ModelSettings
    from platform_assets.learning.selection import ColumnSelection

# A refit sees half as many rows again as a fold leaves to fit on beside its validation part, for some more rounds.
REFIT_FOLDS = 2.0
# Twice the leaves bear twice the interactions, where the rarer class has rows enough to tell them from chance.
DEEP: Mapping[str, Any] = {"num_leaves": 16, "lambda_l2": 0.1}
DEEP_ROWS = 1000
# Splits at random thresholds: worse alone where thresholds matter, and wrong about other rows.
EXTRA: Mapping[str, Any] = {
    "extra_trees": True,
    "learning_rate": 0.1,
    "max_bin": 63,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
}


class NothingFitted(RuntimeError):
    """None of the members could be fitted; the message says why for each."""


@dataclass(frozen=True)
class MemberSpec:
    """One model to try.

    Attributes:
        name: its name in leaderboards and weights; letters, digits and underscores.
        family: a name in the registry.
        params: parameters over the family's defaults.
        share: how much of the CPU budget it gets, against the other members' shares.
        needs: what it is of no use without.
        excluded: columns it does not see.
    """

    name: str
    family: str
    params: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    needs: Literal["tasks", "body"] | None = None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedMember:
    """One model as it is fitted on one table.

    Attributes:
        needs: what its fits are given beside the rows.
        fit_seconds: CPU-seconds that each fold's fit may spend.
        refit_seconds: the same for its fit on all rows.
    """

    model: ModelSettings
    needs: Literal["tasks", "body"] | None
    fit_seconds: float
    refit_seconds: float


def auto_portfolio(
    n_rows: int, n_positives: int, tasks: bool = False, body: bool = False, past_scores: Sequence[str] = ()
) -> tuple[MemberSpec, ...]:
    """The members worth trying on a table of `n_rows` rows with `n_positives` positives; those that keep closest to their
    share of a budget come first.

    `tasks`: labels of related tasks are known; `body`: a pre-trained body is there; `past_scores`: columns that hold other
    campaigns' scores. A member without them is then tried too: out-of-fold selection drops what does not help.
    """
    members = [MemberSpec("lightgbm", "lightgbm", share=2.0)]
    if past_scores:
        blind = tuple(past_scores)
        members.append(MemberSpec("lightgbm_without_past_scores", "lightgbm", share=2.0, excluded=blind))
    members.append(MemberSpec("logistic", "logistic", share=0.1))
    if min(n_positives, n_rows - n_positives) >= DEEP_ROWS:
        members.append(MemberSpec("lightgbm_deep", "lightgbm", DEEP, share=2.0))
    members.append(MemberSpec("lightgbm_extra", "lightgbm", EXTRA, share=1.0))
    if body:
        members.append(MemberSpec("transfer", "transfer", share=4.0, needs="body"))
    if tasks:
        members.append(MemberSpec("multitask", "multitask", share=4.0, needs="tasks"))
    members.append(MemberSpec("network", "network", share=4.0))
    return tuple(members)


def plan(
    members: Sequence[MemberSpec],
    cpu_seconds: float,
    n_folds: int,
    *,
    refit: bool = False,
    seed: int = 0,
    selection: ColumnSelection | None = None,
) -> dict[str, PlannedMember]:
    """The members by name, with the CPU-seconds that each fit may spend when all share `cpu_seconds` over their folds.

    The rule is the same whether one process fits everything or a pod fits a fold. With `refit` every member sets aside
    what its one fit on all rows will take. `selection` holds for every member, beside the columns that it does not see.
    Raises ValueError when two members have one name.
    """
    # Imported here: the names of a portfolio are asked for where nothing heavy may load.
    from platform_assets.learning.cross_fitting import ModelSettings
    from platform_assets.learning.selection import ColumnSelection

    names = [member.name for member in members]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f'Of the members to try, two are called "{repeated[0]}"; give each a name of its own.')
    shares = sum(member.share for member in members)

    def planned(member: MemberSpec) -> PlannedMember:
        chosen = (selection or ColumnSelection()).without(member.excluded) if member.excluded else selection
        total = cpu_seconds * member.share / shares
        return PlannedMember(
            ModelSettings(member.family, member.params, seed, chosen),
            member.needs,
            fit_seconds=total / (n_folds + (REFIT_FOLDS if refit else 0.0)),
            refit_seconds=REFIT_FOLDS * total / (n_folds + REFIT_FOLDS),
        )

    return {member.name: planned(member) for member in members}
