"""Figures made of kept predictions: AUC and log loss, and their paired differences with intervals.

Belongs here: the bootstrap. Does not belong here: reading cells, loading data, printing.

The bootstrap draws persons, not rows of one table: a person drawn twice counts twice under every seed, in every table of the
same source and for both contenders, so that overlapping test sets are not taken for independent ones. Where a table has
several seeds, these are drawn again too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
METRICS = ("auc", "log_loss")


@dataclass(frozen=True)
class Judged:
    """One test set under one seed: `rows` (n,) persons, `y` (n,) 0/1, `first` and `second` (n,) two contenders' scores."""

    table: str
    seed: int
    source: str
    rows: npt.NDArray[np.int64]
    y: npt.NDArray[np.int8]
    first: Floats
    second: Floats


@dataclass(frozen=True)
class Difference:
    """Mean of first minus second, and the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float


def weighted_auc(
    y: npt.NDArray[np.int8], order: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], w: Floats
) -> float:
    """AUC with row weights, for scores whose ascending `order` and the `ends` of their runs of ties (see `ranked`) are
    known.
    """
    positive, ordered = (y == 1)[order], w[order]
    lost = np.concatenate([[0.0], np.cumsum(np.where(positive, 0.0, ordered))[ends]])
    won = np.concatenate([[0.0], np.cumsum(np.where(positive, ordered, 0.0))[ends]])
    pairs = np.diff(won) * (lost[:-1] + lost[1:]) / 2
    return float(pairs.sum() / (lost[-1] * won[-1]))


def ranked(scores: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ascending order of `scores` (n,) and the position at which each run of tied scores ends."""
    order = np.argsort(scores, kind="stable")
    return order, np.flatnonzero(np.append(np.diff(scores[order]) > 0, True))


def log_losses(y: npt.NDArray[np.int8], p: Floats) -> Floats:
    """Log loss of every row, (n,); probabilities are kept 1e-7 away from 0 and 1, as float32 keeps them."""
    kept = np.clip(p, 1e-7, 1 - 1e-7)
    return -np.where(y == 1, np.log(kept), np.log1p(-kept))


def score(y: npt.NDArray[np.int8], p: Floats) -> dict[str, float]:
    """AUC and mean log loss of probabilities `p` (n,)."""
    return {"auc": weighted_auc(y, *ranked(p), np.ones(len(y))), "log_loss": float(log_losses(y, p).mean())}


def differences(judged: Sequence[Judged], resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, Difference]]:
    """First minus second by table and, under `mean`, over all tables: {table: {"auc", "log_loss": Difference}}.

    A table's figure is the mean over its seeds. Intervals are 95 %, by percentiles.
    """
    generator = np.random.default_rng(seed)
    tables = sorted({one.table for one in judged})
    sources = sorted({one.source for one in judged})
    people = {name: np.unique(np.concatenate([o.rows for o in judged if o.source == name])) for name in sources}
    positions = [np.searchsorted(people[one.source], one.rows) for one in judged]
    orders = [(ranked(one.first), ranked(one.second)) for one in judged]
    losses = [log_losses(one.y, one.first) - log_losses(one.y, one.second) for one in judged]

    def measured(weights: Mapping[str, Floats]) -> Floats:
        """Differences (number of judged, 2) when a person counts `weights[source]` times."""
        found = np.empty((len(judged), 2))
        for number, one in enumerate(judged):
            w = weights[one.source][positions[number]]
            first, second = (weighted_auc(one.y, *order, w) for order in orders[number])
            found[number] = first - second, np.average(losses[number], weights=w)
        return found

    def by_table(found: Floats, chosen: Mapping[str, npt.NDArray[np.int64]]) -> Floats:
        """(tables + 1, 2): each table's mean over the chosen seeds, and last the mean of tables."""
        means = np.array([found[chosen[table]].mean(axis=0) for table in tables])
        return np.vstack([means, means.mean(axis=0)])

    numbers = {table: np.flatnonzero([one.table == table for one in judged]) for table in tables}
    point = by_table(measured({name: np.ones(len(ids)) for name, ids in people.items()}), numbers)
    drawn = np.empty((resamples, len(tables) + 1, 2))
    for resample in range(resamples):
        weights = {
            name: np.bincount(generator.integers(0, len(ids), len(ids)), minlength=len(ids)).astype(float)
            for name, ids in people.items()
        }
        chosen = {table: generator.choice(ids, len(ids)) for table, ids in numbers.items()}
        drawn[resample] = by_table(measured(weights), chosen)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        table: {
            metric: Difference(float(point[row, column]), float(low[row, column]), float(high[row, column]))
            for column, metric in enumerate(METRICS)
        }
        for row, table in enumerate([*tables, "mean"])
    }


def paired_mean(values: npt.ArrayLike, clusters: npt.ArrayLike, resamples: int = 10_000, seed: int = 0) -> Difference:
    """Mean of paired differences (n,) with a 95 % interval from drawing whole `clusters` (n,) again: the draws of an
    experiment, whose people are shared by its questions. One cluster alone has no interval: its bounds are NaN.
    """
    given, labels = np.asarray(values, dtype=float), np.asarray(clusters)
    names = np.unique(labels)
    sums = np.array([given[labels == name].sum() for name in names])
    sizes = np.array([(labels == name).sum() for name in names])
    drawn = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975]) if len(names) > 1 else (np.nan, np.nan)
    return Difference(float(given.mean()), float(low), float(high))
