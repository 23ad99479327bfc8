"""Whether columns that tell the date are better left out: tried on dates whose labels are known.

Belongs here: fitting with and without such columns on earlier as-of dates, and judging both by a later one. Does not
belong here: finding the columns (`ageing`), fitting anything that is kept.

Logistic regression stands in for whatever will be fitted: it is cheap, and carries on beyond the ages that it saw, which
is what an ageing column makes a model do. It is averaged over folds and calibrated as an ensemble is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import xlogy

from platform_assets.learning.combine import FittedMember, combine
from platform_assets.learning.cross_fitting import FoldedTable, ModelSettings, fit_fold
from platform_assets.learning.data_checks.leaks import MOST_ROWS, some_entities
from platform_assets.learning.ensemble import SPARED_LOG_LOSS
from platform_assets.learning.figures import metrics
from platform_assets.learning.figures.metrics import Floats
from platform_assets.learning.folds import assign_folds

STAND_IN = ModelSettings("logistic")
MOST_REPLAYS = 3
FOLDS = 3
FEWEST_ENTITIES = 30
# A gain of a standard error may be chance; a smaller one than counts elsewhere is none.
STANDARD_ERRORS = 1.0
# Two dates may be an hour less than their days apart, where clocks change.
SLACK = timedelta(hours=12)
TOO_FEW_DATES = (
    f"that takes an as-of date a horizon after another, with {FEWEST_ENTITIES} people of each label on either side"
)
NOTHING_ELSE = "there is no other column"


@dataclass(frozen=True)
class ReplayFigures:
    """How predictions of a later date came out."""

    log_loss: float
    predicted_over_actual: float
    auc: float


@dataclass(frozen=True)
class Replay:
    """A later date (`first` to `last`, ISO dates, where several lie within a horizon), predicted from earlier ones with
    the columns and without them; `rows` and `positives` are the later date's, `fitted_rows` the earlier ones'.
    """

    first: str
    last: str
    rows: int
    positives: int
    fitted_rows: int
    with_columns: ReplayFigures
    without: ReplayFigures

    def __str__(self) -> str:
        when = self.first if self.first == self.last else f"{self.first} to {self.last}"
        kept, less = self.with_columns, self.without
        return (
            f"as of {when} log loss {less.log_loss:.4f} without and {kept.log_loss:.4f} with, predicted ÷ actual "
            f"{less.predicted_over_actual:.2f} and {kept.predicted_over_actual:.2f}, AUC {less.auc:.3f} and {kept.auc:.3f}"
        )


@dataclass(frozen=True)
class AgeingChoice:
    """Whether `columns` are left out, and why.

    Attributes:
        gain: by how much the later dates' log loss is lower without them, and its standard `error`, by entities; None
            where nothing was tried.
        replays: what was tried, newest first.
        untried: why nothing was.
    """

    columns: tuple[str, ...]
    left_out: bool
    gain: float | None = None
    error: float | None = None
    replays: tuple[Replay, ...] = ()
    untried: str = ""

    @property
    def sentence(self) -> str:
        """The choice in words, with its figures."""
        names = f"Features that grow with the calendar ({', '.join(self.columns)})"
        if self.untried:
            return f"{names} are kept without a replay of past dates: {self.untried}."
        judged = "are left out: past dates came out" if self.left_out else "are kept: past dates came out no"
        return f"{names} {judged} better without them ({'; '.join(map(str, self.replays))})."


def choose_ageing(
    table: FoldedTable, as_of: pd.Series, horizon: timedelta, columns: Sequence[str], seed: int = 0
) -> AgeingChoice:
    """Leave `columns` of `table` out where that lowers the log loss of later dates by more than a standard error, and than .0003.

    `as_of` (n,) holds times in the zone in which they are dates; a row's label is known a `horizon` later. The newest
    three horizons' lengths of rows are predicted, each from the rows whose labels were known at its first time. At most
    50,000 rows are looked at, drawn by whole entities with `seed`.
    """
    if set(columns) >= set(table.X.columns):
        return AgeingChoice(tuple(columns), left_out=False, untried=NOTHING_ELSE)
    rows = some_entities(table.groups, MOST_ROWS, seed)
    groups = pd.factorize(table.groups[rows])[0]
    folds = assign_folds(groups, FOLDS, seed)
    some = FoldedTable(table.X.iloc[rows], table.y[rows].astype(np.int8), groups, folds)
    times = pd.Series(as_of).iloc[rows].reset_index(drop=True)
    periods = ((times.max() - times + SLACK) // horizon).to_numpy()
    replays: list[Replay] = []
    gains: list[Floats] = []
    people: list[npt.NDArray[np.intp]] = []
    for period in np.unique(periods):
        later = periods == period
        first = times[later].min()
        earlier = (times <= first - horizon + SLACK).to_numpy()
        if len(replays) == MOST_REPLAYS or not (_enough(some, later) and _enough(some, earlier)):
            continue
        newest = (times > times[earlier].max() - horizon).to_numpy()[earlier]
        kept = _predicted(some, earlier, newest, later, list(some.X.columns))
        less = _predicted(some, earlier, newest, later, [name for name in some.X.columns if name not in columns])
        y = some.y[later]
        dated = (first.date().isoformat(), times[later].max().date().isoformat())
        counts = (len(y), int(y.sum()), int(earlier.sum()))
        replays.append(Replay(*dated, *counts, _figures(y, kept), _figures(y, less)))
        gains.append(_losses(y, kept) - _losses(y, less))
        people.append(groups[later])
    if not replays:
        return AgeingChoice(tuple(columns), left_out=False, untried=TOO_FEW_DATES)
    gain, error = _mean_by_entity(np.concatenate(gains), np.concatenate(people))
    better = gain > max(STANDARD_ERRORS * error, SPARED_LOG_LOSS)
    return AgeingChoice(tuple(columns), better, gain, error, tuple(replays))


def _enough(table: FoldedTable, rows: npt.NDArray[np.bool_]) -> bool:
    return all(len(np.unique(table.groups[rows & (table.y == label)])) >= FEWEST_ENTITIES for label in (0, 1))


def _predicted(
    table: FoldedTable,
    earlier: npt.NDArray[np.bool_],
    newest: npt.NDArray[np.bool_],
    later: npt.NDArray[np.bool_],
    columns: list[str],
) -> Floats:
    """Probabilities of the `later` rows from the `earlier` ones, calibrated on those that are `newest` among them."""
    y, groups, X = table.y[earlier], table.groups[earlier], table.X[columns]
    seen = FoldedTable(X[earlier], y, groups, table.folds[earlier])
    fitted = [fit_fold(seen, fold, STAND_IN) for fold in range(FOLDS)]
    combined = combine({"": FittedMember.of(fitted, FOLDS)}, y, groups, latest=newest)
    mean = np.mean([part.estimator.predict_proba(X[later])[:, 1] for part in fitted], axis=0)
    return np.clip(combined.calibrator.predict(mean), 1e-9, 1 - 1e-9)


def _figures(y: npt.NDArray[Any], predicted: Floats) -> ReplayFigures:
    return ReplayFigures(
        metrics.log_loss(y, predicted), metrics.predicted_over_actual(y, predicted), metrics.auc(y, predicted)
    )


def _losses(y: npt.NDArray[Any], predicted: Floats) -> Floats:
    return np.asarray(-xlogy(y, predicted) - xlogy(1 - y, 1 - predicted), dtype=np.float64)


def _mean_by_entity(values: Floats, entities: npt.NDArray[Any]) -> tuple[float, float]:
    """The mean of rows, and its standard error where rows of an entity belong together."""
    mean = float(values.mean())
    return mean, float(np.sqrt(np.square(np.bincount(entities, values - mean)).sum()) / len(values))
