"""Columns that tell the date: they grow as the calendar moves, whatever people do.

Belongs here: finding such columns in stacked snapshots, by how well each tells the earliest date from the latest, and
by how it moved for the same entity. Does not belong here: drift of columns that people move, dropping columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.figures import metrics

# Where nobody was seen twice, the values themselves must all but name the date.
TELLS_THE_DATE_AUC = 0.95
# Of the entities seen twice, so many must have moved by the days between.
MOVED_WITH_THE_DAYS = 0.99
FEWEST_SEEN_TWICE = 20


@dataclass(frozen=True)
class Ageing:
    """How a column moves with the as-of date.

    Attributes:
        date_auc: how well its values tell rows of the earliest date from rows of the latest, from 0.5 (not at all) to
            1.
        moved_with_days: of the entities with a value on both dates, the share whose value rose, or fell, by the days
            between; NaN when fewer than 20 have.
        ageing: whether it moved with the days for at least 99 % of entities; where too few are known twice, whether
            `date_auc` is at least 0.95. A high `date_auc` without it is drift: people, or who they are, changed.
    """

    column: str
    date_auc: float
    moved_with_days: float
    ageing: bool


def ageing_columns(
    X: pd.DataFrame | npt.NDArray[Any],
    as_of: Any,
    groups: npt.ArrayLike,
    feature_names: Sequence[str],
) -> list[Ageing]:
    """Every column's figures, those that tell the date best first; empty with fewer than two as-of dates.

    `X` (n, d) holds numbers, NaN for missing; `as_of` (n,) and `groups` (n,) say when and of whom each row is.
    Missing values rank lowest. Raises ValueError when lengths differ.
    """
    values = np.asarray(X, dtype=np.float64)
    times = pd.DatetimeIndex(pd.to_datetime(pd.Index(as_of), utc=True))
    ids = pd.factorize(np.asarray(groups))[0]
    if not len(values) == len(times) == len(ids) or values.shape[1] != len(feature_names):
        raise ValueError(
            f"The table has {values.shape[0]} rows and {values.shape[1]} columns, for {len(times)} as-of times, {len(ids)} "
            f"entity ids and {len(feature_names)} names; give one of each."
        )
    first, last = times.min(), times.max()
    if first == last:
        return []
    early, late = np.flatnonzero(times == first), np.flatnonzero(times == last)
    days = (last - first).total_seconds() / 86_400
    _, before, after = np.intersect1d(ids[early], ids[late], return_indices=True)
    is_late = np.repeat([0, 1], [len(early), len(late)])
    areas = metrics.one_column_table(values[np.concatenate([early, late])], is_late, list(feature_names))
    moved = np.abs(values[late[after]] - values[early[before]])
    judged = []
    for name, area in zip(areas["column"], areas["auc"], strict=True):
        steps = moved[:, list(feature_names).index(name)]
        steps = steps[~np.isnan(steps)]
        # A clock that counts whole days may be a day off.
        share = float((np.abs(steps - days) <= 1).mean()) if len(steps) >= FEWEST_SEEN_TWICE else float("nan")
        ageing = bool(area >= TELLS_THE_DATE_AUC if np.isnan(share) else share >= MOVED_WITH_THE_DAYS)
        judged.append(Ageing(str(name), float(area), share, ageing))
    return judged
