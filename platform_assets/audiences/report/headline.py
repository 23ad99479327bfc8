"""A report in one sentence or two: how many people, and how much better than at random they were found.

Belongs here: the words, and which rows they are about. Does not belong here: computing any figure in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lift:
    """By tenth of people (`rows`; `actual`, the rate of positives), highest scores first, on rows that `measured` names."""

    tenths: Sequence[Mapping[str, float]]
    measured: str

    @property
    def base_rate(self) -> float:
        return sum(row["rows"] * row["actual"] for row in self.tenths) / sum(row["rows"] for row in self.tenths)

    @property
    def of_top(self) -> float:
        return self.tenths[0]["actual"] / self.base_rate


def lift_of(held_out: Mapping[str, Any] | None, as_of: str, out_of_fold: Sequence[Mapping[str, float]]) -> Lift:
    """On what came true as of the report's date where that is known, else out of fold, at the dates of training."""
    if held_out:
        return Lift(held_out["calibration"], f"held out, as of {as_of}")
    return Lift(out_of_fold, "out of fold, at the dates of training")


def headline_of(audience: Mapping[str, Any], held_out: Mapping[str, Any] | None, lift: Lift) -> str:
    """The headline of a report, from the figures on it."""
    people = f"{audience['selected']:,} of {audience['people']:,} people"
    if held_out:
        return (
            f"{people}. In the top tenth {held_out['top_rate']:.1%} came true, {held_out['top_rate'] / held_out['base_rate']:.1f} "
            f"times as many as of all ({held_out['base_rate']:.1%}); ordered by {held_out['rule']['column']} alone, "
            f"{held_out['rule_top_rate']:.1%}."
        )
    return (
        f"{people}. What will come true is not known yet; out of fold the top tenth held {lift.of_top:.1f} times as many positives "
        "as all."
    )
