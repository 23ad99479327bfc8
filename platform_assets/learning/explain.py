"""Why a row scores high, and which features a model leans on, for any bundle.

Belongs here: occlusion reasons of single rows and permutation importance over a sample. Does not belong here:
words for features, reports. Cost is counted in predictions, so that a caller can bound it before asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning import metrics
from platform_assets.learning.bundle import Bundle
from platform_assets.learning.families.estimator import Floats

PROBABILITY_FLOOR = 1e-12
PREDICT_AT_ONCE = 65_536


@dataclass(frozen=True)
class Reasons:
    """The features (or sets) that raise each row most: `names` (n, top), None where fewer raise it; `drops`
    (n, top) in log-odds, 0 there; `predictions`, the number of rows the bundle had to predict.
    """

    names: npt.NDArray[np.object_]
    drops: Floats
    predictions: int


def occlusion_reasons(
    bundle: Bundle,
    X: Any,
    medians: Mapping[str, float | None],
    feature_sets: Mapping[str, Sequence[str]] | None = None,
    top: int = 3,
    max_predictions: int = 1_000_000,
) -> Reasons:
    """How far each row's log-odds drop when a feature, or a set of features together, is put at its
    population median.

    `X` as for `Bundle.predict`; `medians` as `population_medians` returns them; `feature_sets` names the sets
    to occlude, by default every feature alone. Features that move together hide behind each other alone:
    occlude them as a set. A row whose value is the median already costs nothing, so the cost is at most rows
    x sets predictions. Raises ValueError when that bound exceeds `max_predictions`, or a set names a feature
    the bundle does not have.
    """
    values = bundle.values(X)
    sets = _positions(bundle, feature_sets)
    bound = len(values) * (len(sets) + 1)
    if bound > max_predictions:
        raise ValueError(
            f"Reasons for {len(values)} rows by {len(sets)} feature sets may need {bound} predictions, "
            f"more than {max_predictions}: explain fewer rows, or raise max_predictions."
        )
    absent = [name for name in bundle.feature_names if name not in medians]
    if absent:
        raise ValueError(f"There is no median for {', '.join(absent)}; take medians over a table of the same columns.")
    # None becomes NaN: a column without any value stays missing.
    typical = np.asarray([medians[name] for name in bundle.feature_names], dtype=np.float64)
    base = _log_odds(bundle.predict_values(values))
    drops = np.zeros((len(values), len(sets)))
    same = (values == typical) | (np.isnan(values) & np.isnan(typical))
    jobs = [(column, np.flatnonzero(~same[:, where].all(axis=1)), where) for column, where in enumerate(sets.values())]
    cost = len(values)
    for column, rows, where in jobs:
        for start in range(0, len(rows), PREDICT_AT_ONCE):
            some = rows[start : start + PREDICT_AT_ONCE]
            occluded = values[some]
            occluded[:, where] = typical[where]
            drops[some, column] = base[some] - _log_odds(bundle.predict_values(occluded))
            cost += len(some)
    kept = min(top, len(sets))
    order = np.argsort(-drops, axis=1, kind="stable")[:, :kept]
    highest = np.take_along_axis(drops, order, axis=1)
    names = np.asarray(list(sets), dtype=object)[order]
    names[highest <= 0] = None
    return Reasons(names, np.where(highest > 0, highest, 0.0), cost)


def population_medians(X: pd.DataFrame) -> dict[str, float | None]:
    """Median of every column's values, ready for JSON; None for a column without any."""
    medians = X.median(axis=0, skipna=True)
    return {str(name): None if np.isnan(value) else float(value) for name, value in medians.items()}


def permutation_importance(
    bundle: Bundle,
    X: Any,
    y: npt.ArrayLike,
    feature_sets: Mapping[str, Sequence[str]] | None = None,
    max_rows: int = 2000,
    repeats: int = 2,
    seed: int = 0,
) -> pd.DataFrame:
    """How much worse the bundle gets when a feature's values are dealt out anew among rows (Breiman 2001).

    Returns one row a feature (or set), most important first: `feature`, `log_loss_increase`, `auc_drop`,
    means over `repeats`. At most `max_rows` rows, drawn by `seed`, are used: rows x sets x repeats
    predictions. On rows the bundle was fitted on the figures flatter what it over-fitted. Raises ValueError
    when `y` has one class on the rows used.
    """
    values, target = bundle.values(X), np.asarray(y)
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(values))[:max_rows])
    values, target = values[rows], target[rows]
    base = bundle.predict_values(values)
    base_loss, base_auc = metrics.log_loss(target, base), metrics.auc(target, base)
    found = []
    for name, where in _positions(bundle, feature_sets).items():
        losses, areas = [], []
        for _ in range(repeats):
            dealt = values.copy()
            dealt[:, where] = values[generator.permutation(len(values))][:, where]
            predicted = bundle.predict_values(dealt)
            losses.append(metrics.log_loss(target, predicted) - base_loss)
            areas.append(base_auc - metrics.auc(target, predicted))
        found.append({"feature": name, "log_loss_increase": float(np.mean(losses)), "auc_drop": float(np.mean(areas))})
    return pd.DataFrame(found).sort_values("log_loss_increase", ascending=False, kind="stable", ignore_index=True)


def _positions(bundle: Bundle, feature_sets: Mapping[str, Sequence[str]] | None) -> dict[str, list[int]]:
    place = {name: position for position, name in enumerate(bundle.feature_names)}
    wanted = {name: [name] for name in bundle.feature_names} if feature_sets is None else feature_sets
    unknown = sorted({name for names in wanted.values() for name in names if name not in place})
    if unknown:
        raise ValueError(f"The bundle has no feature {', '.join(unknown)}.")
    return {name: [place[each] for each in names] for name, names in wanted.items()}


def _log_odds(probabilities: Floats) -> Floats:
    kept = np.clip(probabilities, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return np.log(kept) - np.log1p(-kept)
