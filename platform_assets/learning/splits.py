"""Splits of labelled rows into train and test parts that keep what happened later, and who, apart.

Belongs here: splitters with scikit-learn's `split` shape, by entity and by time. Does not belong here: the fold ids
that the members of an ensemble share (`folds`), fitting anything on the parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.folds import assign_folds

Rows = npt.NDArray[np.intp]


class EntitySplit:
    """K folds in which all rows of an entity share a side, with the fold ids of `folds.assign_folds`."""

    def __init__(self, n_folds: int = 5, seed: int = 0) -> None:
        self.n_folds = n_folds
        self.seed = seed

    def split(self, X: Any, y: Any = None, groups: npt.ArrayLike | None = None) -> Iterator[tuple[Rows, Rows]]:
        """Positions (train, test) of each fold that holds a row; `groups` (n,) are entity ids.

        Raises ValueError when `groups` are absent or fewer than the rows of `X`.
        """
        folds = assign_folds(_one_a_row(X, groups), self.n_folds, self.seed)
        for fold in np.unique(folds):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

    def get_n_splits(self, X: Any, y: Any = None, groups: npt.ArrayLike | None = None) -> int:
        """How many pairs `split` yields."""
        return sum(1 for _ in self.split(X, y, groups))


class PurgedTimeSplit:
    """Train on what was known, test on what came next: forward splits in time, purged (López de Prado 2018, ch. 7).

    The label of a row as of t is decided within (t, t + `horizon`] and known `gap` later. For each cut c, the test
    rows are those as of c or later and before the next cut; the train rows are the earlier ones with t + `horizon` +
    `gap` <= c. Rows between, whose label window reaches into the test period, are in neither part. Cuts without a
    train row yield nothing.

    Parameters:
        times: as-of time of each row (n,), with or without a time zone.
        horizon, gap: not negative.
        cuts: where test periods begin, ascending; by default every distinct time, so that each as-of date is tested
            alone.
        n_folds: given, each cut yields that many splits, and an entity's rows are in one part only: fold k is tested,
            at the cut, by what the others showed before. Without, an entity may be learned from early and tested
            late, as happens when a model is used.
        seed: of the folds.
    """

    def __init__(
        self,
        times: Any,
        horizon: timedelta,
        gap: timedelta = timedelta(0),
        cuts: Any = None,
        n_folds: int | None = None,
        seed: int = 0,
    ) -> None:
        if horizon < timedelta(0) or gap < timedelta(0):
            raise ValueError(f"horizon is {horizon} and gap {gap}; give none below zero.")
        self.times = _instants(times)
        self.horizon = horizon
        self.gap = gap
        self.cuts = np.unique(self.times) if cuts is None else _instants(cuts)
        if (np.diff(self.cuts) <= np.timedelta64(0)).any():
            raise ValueError("cuts must be ascending, each once.")
        self.n_folds = n_folds
        self.seed = seed

    def split(self, X: Any, y: Any = None, groups: npt.ArrayLike | None = None) -> Iterator[tuple[Rows, Rows]]:
        """Positions (train, test), earliest cut first, then by fold; a pair with an empty part is left out.

        `groups` (n,) are entity ids, needed with `n_folds` only. Raises ValueError when `X` or `groups` have another
        number of rows than `times`.
        """
        if len(X) != len(self.times):
            raise ValueError(f"The table has {len(X)} rows and times {len(self.times)}; give one time a row.")
        known = self.times + np.timedelta64(self.horizon + self.gap)
        ends = np.append(self.cuts[1:], np.datetime64("NaT"))
        apart = self.n_folds is not None
        folds = (
            np.zeros(len(X)) if self.n_folds is None else assign_folds(_one_a_row(X, groups), self.n_folds, self.seed)
        )
        for cut, end in zip(self.cuts, ends, strict=True):
            before = (known <= cut) & (self.times < cut)
            # The last test period has no end.
            during = (self.times >= cut) & (np.isnat(end) | (self.times < end))
            for fold in np.unique(folds):
                inside = folds == fold
                train, test = np.flatnonzero(before & ~inside if apart else before), np.flatnonzero(during & inside)
                if len(train) and len(test):
                    yield train, test

    def get_n_splits(self, X: Any, y: Any = None, groups: npt.ArrayLike | None = None) -> int:
        """How many pairs `split` yields."""
        return sum(1 for _ in self.split(X, y, groups))


def _instants(times: Any) -> npt.NDArray[np.datetime64]:
    """Times as UTC instants, so that they compare whatever zone they were written in."""
    return np.asarray(pd.DatetimeIndex(pd.to_datetime(pd.Index(times), utc=True)).tz_localize(None).as_unit("us"))


def _one_a_row(X: Any, groups: npt.ArrayLike | None) -> npt.ArrayLike:
    if groups is None:
        raise ValueError("Splitting by entity needs groups, the entity id of each row.")
    if len(np.asarray(groups)) != len(X):
        raise ValueError(f"groups hold {len(np.asarray(groups))} ids for {len(X)} rows; give one id a row.")
    return groups
