"""Why a row scores high, and which features a model leans on, for any bundle.

Belongs here: contributions of features to single rows, by trees where trees weigh most and by occlusion elsewhere,
and importance over held-out rows. Does not belong here: words for features, reports. Cost is counted in predictions,
so that a caller can bound it before asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.bundle import Bundle
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.figures import metrics
from platform_assets.learning.selection import SelectedColumnsClassifier

PROBABILITY_FLOOR = 1e-12
PREDICT_AT_ONCE = 65_536
MOST_ROWS = 10_000
ENOUGH_EXPLAINED = 0.5

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to each row's log-odds, by the members that are trees.

    Attributes:
        values: (n, d) in log-odds; a row's values and one number for all rows add up to the mean log-odds of the tree
            members, weighted as the bundle weighs them and before calibration. The bundle itself averages probabilities,
            which is near but not equal.
        explained_share: weight of the members explained, 0 to 1.
    """

    values: Floats
    explained_share: float


def tree_contributions(bundle: Bundle, X: Any, max_rows: int = MOST_ROWS) -> Contributions:
    """TreeSHAP contributions (Lundberg et al. 2020) of the members whose models have a LightGBM `booster_`.

    `X` as for `Bundle.predict`. About 6,000 rows a CPU-second for a model of 130 trees of 8 leaves; every fold model
    counts. Raises ValueError beyond `max_rows` rows.
    """
    values = bundle.values(X)
    if len(values) > max_rows:
        raise ValueError(f"Contributions of {len(values)} rows were asked for, more than {max_rows}; explain a sample.")
    total, share = np.zeros(values.shape), 0.0
    for member in bundle.members:
        parts = [_contributions(model, values) for model in member.models]
        explained = [part for part in parts if part is not None]
        if len(explained) == len(parts):
            total += member.weight * np.mean(explained, axis=0)
            share += member.weight
    return Contributions(total / (share or 1.0), share)


def reasons(
    bundle: Bundle,
    X: Any,
    medians: Mapping[str, float | None],
    feature_sets: Mapping[str, Sequence[str]] | None = None,
    top: int = 3,
    max_predictions: int = 1_000_000,
) -> Names:
    """The features, or sets, that raise each row's score most (n, top), None where fewer raise it: by contributions of
    trees where trees hold at least half of the bundle's weight, by occlusion otherwise.

    Parameters and errors are those of `occlusion_reasons`; contributions are given for at most 10,000 rows.
    """
    share = sum(member.weight for member in bundle.members if all(_booster(model) for model in member.models))
    if share < ENOUGH_EXPLAINED:
        return occlusion_reasons(bundle, X, medians, feature_sets, top, max_predictions)
    contributions = tree_contributions(bundle, X).values
    sets = _positions(bundle, feature_sets)
    together = np.column_stack([contributions[:, where].sum(axis=1) for where in sets.values()])
    return _highest(together, list(sets), top)


def _booster(model: TableClassifier) -> Any:
    """The LightGBM booster behind a fitted model, or None for a model of another kind."""
    inner = model.estimator_ if isinstance(model, SelectedColumnsClassifier) else model
    return getattr(inner, "booster_", None)


def _contributions(model: TableClassifier, values: Floats) -> Floats | None:
    """Contributions of every column (n, d), in log-odds; None when the model is no trees."""
    booster = _booster(model)
    if booster is None:
        return None
    totals = np.zeros(values.shape)
    if len(values):
        seen = model.positions_ if isinstance(model, SelectedColumnsClassifier) else np.arange(values.shape[1])
        shares = booster.predict(np.ascontiguousarray(values[:, seen]), pred_contrib=True, num_threads=1)
        # The last column holds the log-odds of an average training row, the same in every row.
        totals[:, seen] = shares[:, :-1]
    return totals


def occlusion_reasons(
    bundle: Bundle,
    X: Any,
    medians: Mapping[str, float | None],
    feature_sets: Mapping[str, Sequence[str]] | None = None,
    top: int = 3,
    max_predictions: int = 1_000_000,
) -> Names:
    """The features, or sets, for which each row's log-odds drop most when they are put at their population median (n,
    top), None where fewer make them drop.

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
    for column, where in enumerate(sets.values()):
        rows = np.flatnonzero(~same[:, where].all(axis=1))
        for start in range(0, len(rows), PREDICT_AT_ONCE):
            some = rows[start : start + PREDICT_AT_ONCE]
            occluded = values[some]
            occluded[:, where] = typical[where]
            drops[some, column] = base[some] - _log_odds(bundle.predict_values(occluded))
    return _highest(drops, list(sets), top)


def _highest(raised: Floats, sets: Sequence[str], top: int) -> Names:
    """The `top` sets that raise each row most, of what every set (n, sets) raises it by."""
    order = np.argsort(-raised, axis=1, kind="stable")[:, :top]
    names = np.asarray(sets, dtype=object)[order]
    names[np.take_along_axis(raised, order, axis=1) <= 0] = None
    return names


def population_medians(X: pd.DataFrame) -> dict[str, float | None]:
    """Median of every column's values, ready for JSON; None for a column without any."""
    medians = X.median(axis=0, skipna=True)
    return {str(name): None if np.isnan(value) else float(value) for name, value in medians.items()}


def permutation_importance(
    bundle: Bundle,
    X: Any,
    y: npt.ArrayLike,
    max_rows: int = 2000,
    repeats: int = 2,
    seed: int = 0,
) -> pd.DataFrame:
    """How much worse the bundle gets when a feature's values are dealt out anew among rows (Breiman 2001).

    Returns one row a feature, most important first: `feature`, `log_loss_increase`, `auc_drop`,
    means over `repeats`. At most `max_rows` rows, drawn by `seed`, are used: rows x features x repeats
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
    for where, name in enumerate(bundle.feature_names):
        losses, areas = [], []
        for _ in range(repeats):
            dealt = values.copy()
            dealt[:, where] = values[generator.permutation(len(values))][:, where]
            predicted = bundle.predict_values(dealt)
            losses.append(metrics.log_loss(target, predicted) - base_loss)
            areas.append(base_auc - metrics.auc(target, predicted))
        found.append({"feature": name, "log_loss_increase": float(np.mean(losses)), "auc_drop": float(np.mean(areas))})
    return pd.DataFrame(found).sort_values("log_loss_increase", ascending=False, kind="stable", ignore_index=True)


def importance_over_folds(
    folds: Sequence[tuple[Bundle, Any, npt.ArrayLike]],
    max_rows: int = 2000,
    repeats: int = 2,
    seed: int = 0,
) -> pd.DataFrame:
    """How much the models lean on each feature, over folds, each judged on its own held-out rows; most important first.

    `folds` holds (bundle of the members fitted without the fold, the fold's rows, their labels). One row a feature:
    `feature`; `auc_drop` and `log_loss_increase`, permutation importance as in `permutation_importance`;
    `mean_abs_contribution`, the mean size of TreeSHAP contributions in log-odds, NaN where no member is trees; of
    each the mean over folds, and its standard deviation as `…_sd` (NaN for one fold); and `folds`, how many. Raises
    ValueError when a fold's rows hold one class.
    """
    tables = []
    for number, (bundle, X, y) in enumerate(folds):
        table = permutation_importance(bundle, X, y, max_rows, repeats, seed + number).set_index("feature")
        values = bundle.values(X)
        rows = np.sort(np.random.default_rng(seed + number).permutation(len(values))[:max_rows])
        contributions = tree_contributions(
            bundle, pd.DataFrame(values[rows], columns=list(bundle.feature_names)), max_rows
        )
        sizes = (
            np.abs(contributions.values).mean(axis=0)
            if contributions.explained_share
            else np.full(values.shape[1], np.nan)
        )
        table["mean_abs_contribution"] = pd.Series(sizes, index=list(bundle.feature_names))
        tables.append(table)
    figures = ["auc_drop", "log_loss_increase", "mean_abs_contribution"]
    over = pd.concat(tables).groupby(level=0, sort=False)[figures]
    summary = over.mean().join(over.std(), rsuffix="_sd").assign(folds=len(tables)).reset_index()
    return summary.sort_values("log_loss_increase", ascending=False, kind="stable", ignore_index=True)


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
