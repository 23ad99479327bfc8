"""Where a model is worse than on the whole: figures for each value of a column, and the worst part named.

Belongs here: cutting columns into slices and judging each against all rows, with errors that know of entities and of
how many slices were looked at. Does not belong here: which columns are worth slicing by, pages for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from platform_assets.learning.figures import metrics
from platform_assets.learning.figures.metrics import Floats

FEWEST_OF_A_CLASS = 20
BINS = 4
MISSING = "missing"


@dataclass(frozen=True)
class Compared:
    """A figure in a slice, on all rows, and slice minus whole with its interval, at a level that holds for all slices
    at once."""

    value: float
    whole: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Slice:
    """The rows with one value, or one range of values, of a column.

    `promised_auc` is what `auc` would be on average were the probabilities right. Within a slice of a column that
    ranks well there is little left to rank, and the probabilities say so: a low AUC is a fault only where they
    promise more. `ranking` compares AUC minus promised AUC; `calibration` compares logarithms of predicted over
    actual: above the whole's, the slice is promised too much.
    """

    column: str
    value: str
    rows: int
    positives: int
    predicted: float
    actual: float
    auc: float
    promised_auc: float
    ranking: Compared
    calibration: Compared


@dataclass(frozen=True)
class SliceReport:
    """All slices judged, in order of columns; `left_out` had too few rows of a class.

    `worst_ranked` is the slice whose AUC is surest to fall further short of what is promised than the whole's,
    `worst_calibrated` the one whose predicted over actual is surest to differ from the whole's: None where no slice
    is surely off.
    """

    slices: tuple[Slice, ...]
    left_out: int
    worst_ranked: Slice | None
    worst_calibrated: Slice | None


def slice_report(
    y: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    columns: pd.DataFrame,
    groups: npt.ArrayLike | None = None,
    bins: int = BINS,
    level: float = 0.95,
) -> SliceReport:
    """Figures of every slice of every column of `columns` (n rows), each compared with all rows.

    Numbers with more than `bins` values are cut at quantiles, other columns have a slice a value; missing values are
    a slice of their own. A slice with fewer than 20 rows of either class is left out and counted. Errors come from
    influence functions summed over the entities of `groups` (n,) (Obuchowski 1997), of slice and whole together, as
    they share rows. Intervals are Bonferroni's over slices and both figures: all of them hold together with
    probability `level`. Raises ValueError when lengths differ, `y` holds one class, or probabilities lie outside [0,
    1].
    """
    target, values = metrics._checked(y, probabilities, probabilities=True)
    if len(columns) != len(target):
        raise ValueError(f"The columns have {len(columns)} rows for {len(target)} labels; give one row a label.")
    codes = np.arange(len(target)) if groups is None else pd.factorize(np.asarray(groups))[0]
    if len(codes) != len(target):
        raise ValueError(f"groups hold {len(codes)} ids for {len(target)} rows; give one id a row.")
    parts = [(str(name), *part) for name in columns for part in _cut(columns[name], bins)]
    kept = [part for part in parts if _enough(target[part[2]])]
    z = float(ndtri(1 - (1 - level) / (2 * max(1, 2 * len(kept)))))
    whole = _Judged.of(target, values, np.ones(len(target), dtype=bool))
    slices = []
    for name, value, inside in kept:
        judged = _Judged.of(target, values, inside)
        slices.append(
            Slice(
                name,
                value,
                int(inside.sum()),
                int(target[inside].sum()),
                float(values[inside].mean()),
                float(target[inside].mean()),
                judged.auc,
                judged.promised,
                _compared(judged.excess, whole.excess, judged.excess_influence - whole.excess_influence, codes, z),
                _compared(judged.log_ratio, whole.log_ratio, judged.ratio_influence - whole.ratio_influence, codes, z),
            )
        )
    short = [each for each in slices if each.ranking.high < 0]
    off = [each for each in slices if each.calibration.low > 0 or each.calibration.high < 0]
    return SliceReport(
        tuple(slices),
        len(parts) - len(kept),
        min(short, key=lambda each: each.ranking.high, default=None),
        max(off, key=lambda each: max(each.calibration.low, -each.calibration.high), default=None),
    )


@dataclass(frozen=True)
class _Judged:
    """Figures of some rows, and what each row of the table moves them by: AUC less what is promised, log
    predicted/actual."""

    auc: float
    promised: float
    excess_influence: Floats
    log_ratio: float
    ratio_influence: Floats

    @property
    def excess(self) -> float:
        return self.auc - self.promised

    @classmethod
    def of(cls, y: Floats, p: Floats, inside: npt.NDArray[np.bool_]) -> _Judged:
        target, values = y[inside], p[inside]
        (area, moved), (promised, would_move) = _area(values, target), _area(values, values)
        of_excess, of_ratio = np.zeros(len(y)), np.zeros(len(y))
        of_excess[inside] = moved - would_move
        of_ratio[inside] = values / values.sum() - target / target.sum()
        return cls(area, promised, of_excess, float(np.log(values.sum() / target.sum())), of_ratio)


def _area(p: Floats, positive: Floats) -> tuple[float, Floats]:
    """AUC of ranking by `p` when row i counts as `positive`[i] of a positive row and the rest of a negative one, and
    what each row moves it by (DeLong's placements where `positive` is 0 or 1).
    """
    codes = np.unique(p, return_inverse=True)[1]
    up, down = np.bincount(codes, positive), np.bincount(codes, 1 - positive)
    m, n = up.sum(), down.sum()
    # Of the other class, the share that a row is on the right side of, ties counting half.
    above = ((np.cumsum(down) - down / 2) / n)[codes]
    below = 1 - ((np.cumsum(up) - up / 2) / m)[codes]
    area = float((positive * above).sum() / m)
    return area, positive * (above - area) / m + (1 - positive) * (below - area) / n


def _compared(value: float, whole: float, influence: Floats, codes: npt.NDArray[np.intp], z: float) -> Compared:
    reach = z * float(np.sqrt(np.square(np.bincount(codes, influence)).sum()))
    return Compared(value, whole, value - whole, value - whole - reach, value - whole + reach)


def _enough(target: Floats) -> bool:
    return min(target.sum(), len(target) - target.sum()) >= FEWEST_OF_A_CLASS


def _cut(column: pd.Series, bins: int) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """(words for the values, mask of the rows) of every slice of a column; every row is in exactly one."""
    missing = column.isna().to_numpy()
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and column.nunique() > bins:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        # A value that fills several bins is one edge.
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
        place = np.where(missing, -1, np.searchsorted(edges, values, side="left"))
        for number in np.unique(place[~missing]).tolist():
            yield _range(edges, number), place == number
    else:
        for value in sorted(column.dropna().unique().tolist(), key=str):
            yield f"{value:g}" if numeric else str(value), (column == value).fillna(False).to_numpy(dtype=bool)
    if missing.any():
        yield MISSING, missing


def _range(edges: Floats, number: int) -> str:
    if number == 0:
        return f"at most {edges[0]:g}"
    if number == len(edges):
        return f"above {edges[-1]:g}"
    return f"above {edges[number - 1]:g}, at most {edges[number]:g}"
