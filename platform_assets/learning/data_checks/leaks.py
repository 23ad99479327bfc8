"""Columns that know the answer, or whom they are about: found before a model is fitted on them.

Belongs here: rules that look at features, labels and entity ids, and say what they saw. Does not belong here: whether
an event was known in time (that is kept out where features are built), drift between dates (`ageing`).

A rule refuses where no clean table could look like this by chance, and warns where a person has to decide.
`tests/learning/leak_rates.py` measures how often: of 300 simulated clean tables 6 had a warning and none a refusal, of
300 more, of the same people as of three dates, none a refusal; of 42 tables of real orders (CDNOW) none had either.
Of 60 planted leaks of each of five kinds it named 60, 60, 58, 60 and 49. A real column that does decide the label from
some value on (capital gains in the census of incomes) is warned about, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import gammaln
from scipy.stats import spearmanr

from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.registry import make_estimator
from platform_assets.learning.figures import metrics
from platform_assets.learning.figures.metrics import Floats
from platform_assets.learning.folds import assign_folds

TARGET, ID, SUSPICIOUS, SURVIVOR = "target in features", "id in features", "suspicious column", "survivor filter"
MOST_ROWS = 50_000
ROWS_TO_FIT = 20_000
# A column that decides the label by chance, among all columns, less often than this.
CHANCE = 1e-6
FEWEST_IDS = 50
NEARLY_ALL_DISTINCT = 0.98
EVENLY_SPREAD = 0.05
# A column is suspicious alone from here on, ...
NEARLY_PERFECT_AUC = 0.97
# ... or when it leaves less than this share of the ranking errors that all others together leave.
SHARE_OF_ERRORS = 0.5
WORTH_A_LOOK_AUC = 0.9
SAME_RANKS = 0.95
QUICK_TREES: Mapping[str, Any] = {"learning_rate": 0.1, "extra_trees": False}
QUICK_ROUNDS = 60
# Standard errors by which a certain range must stand out from its neighbours.
CERTAINLY = 3.0
FEWEST_IN_RANGE = 30
NEIGHBOURS = 500
RANGE_EDGES = 60


class EntitiesAcrossFolds(ValueError):
    """Rows of one entity lie in more than one fold; the message names some."""


@dataclass(frozen=True)
class Finding:
    """What a rule saw in a column: `refuse` where the table should not be trained on as it is, `warn` where a person
    has to look. `sentence` says what was seen and what to do.
    """

    rule: str
    severity: Literal["refuse", "warn"]
    column: str
    sentence: str


def require_entities_apart(groups: npt.ArrayLike, fold_ids: npt.ArrayLike) -> None:
    """Raise EntitiesAcrossFolds unless all rows of an entity share a fold; both (n,)."""
    table = pd.DataFrame({"entity": np.asarray(groups), "fold": np.asarray(fold_ids)}).drop_duplicates()
    across = table["entity"][table["entity"].duplicated()].unique()
    if len(across):
        some = ", ".join(map(str, across[:3]))
        raise EntitiesAcrossFolds(
            f"{len(across)} entities have rows in more than one fold ({some}{', …' if len(across) > 3 else ''}): what is "
            "learned of them in one is tested in another. Assign folds by entity with assign_folds."
        )


def find_leaks(
    X: pd.DataFrame | npt.NDArray[Any],
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    feature_names: Sequence[str],
    key: str,
    seed: int = 0,
) -> list[Finding]:
    """What looks like a leak, refusals first, at most one finding a column.

    At most 50,000 rows are looked at, drawn by whole entities with `seed`.

    Parameters: `X` (n, d), numbers with NaN for missing or text, columns as in `feature_names`; `y` (n,) coded 0/1;
    `groups` (n,) entity ids; `key` the name of the entity's key. Raises ValueError when lengths differ or `y` has one
    class.
    """
    table = pd.DataFrame(X if isinstance(X, pd.DataFrame) else np.asarray(X))
    target, ids = np.asarray(y), np.asarray(groups)
    if not len(table) == len(target) == len(ids) or table.shape[1] != len(feature_names):
        raise ValueError(
            f"The table has {table.shape[0]} rows and {table.shape[1]} columns, for {len(target)} labels, {len(ids)} entity "
            f"ids and {len(feature_names)} names; give one of each."
        )
    if set(np.unique(target)) != {0, 1}:
        raise ValueError("Labels must be 0 or 1, and both must occur.")
    rows = some_entities(ids, MOST_ROWS, seed)
    target, ids = target[rows].astype(np.float64), ids[rows]
    columns = {name: _numbers(table.iloc[rows, i]) for i, name in enumerate(map(str, feature_names))}
    text = {name for i, name in enumerate(map(str, feature_names)) if not _is_number(table.iloc[:, i])}
    findings = [*_targets(columns, target, _one_each(ids, seed)), *_ids(columns, text, ids, key)]
    refused = {finding.column for finding in findings if finding.severity == "refuse"}
    clean = {name: values for name, values in columns.items() if name not in refused}
    findings += _suspicious(clean, target, ids, seed)
    named = {finding.column for finding in findings}
    findings += _survivors({name: values for name, values in clean.items() if name not in named}, target)
    return sorted(findings, key=lambda finding: finding.severity)


def some_entities(ids: npt.NDArray[Any], most: int, seed: int) -> npt.NDArray[np.intp]:
    """Positions of at most so many rows, drawn by whole entities; of all where there are no more."""
    if len(ids) <= most:
        return np.arange(len(ids))
    codes, distinct = pd.factorize(ids)
    shuffled = np.random.default_rng(seed).permutation(len(distinct))
    kept = np.cumsum(np.bincount(codes)[shuffled]) <= most
    return np.flatnonzero(np.isin(codes, shuffled[kept]))


def _one_each(ids: npt.NDArray[Any], seed: int) -> npt.NDArray[np.intp]:
    """A row of every entity, drawn."""
    drawn = np.random.default_rng(seed).permutation(len(ids))
    return drawn[np.unique(ids[drawn], return_index=True)[1]]


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _numbers(column: pd.Series) -> Floats:
    if _is_number(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    codes = pd.factorize(column, sort=True)[0].astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _targets(columns: dict[str, Floats], target: Floats, one_each: npt.NDArray[np.intp]) -> Iterator[Finding]:
    """Columns of which the label is a function in all rows, where chance could not have made it one among `one_each`.

    Labels that are constant on each of k values can be dealt out in 2^k ways, a threshold in about 4 (n + 1), of the
    n-choose-positives ways to deal out labels at all. n are entities, not rows: whoever keeps a value from date to date
    may well keep the label, and says nothing about the others who have it.
    """
    n, m = len(one_each), target[one_each].sum()
    ways = float(gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1))
    for name, values in columns.items():
        codes, _ = pd.factorize(values, sort=True, use_na_sentinel=False)
        size, positives = np.bincount(codes), np.bincount(codes, target)
        if ((positives > 0) & (positives < size)).any():
            continue
        labels = positives > 0
        # Missing values sort last; a threshold may hold with them first, too.
        steps = min(int(np.sum(np.diff(order) != 0)) for order in (labels.astype(int), np.roll(labels, 1).astype(int)))
        log_ways = np.log(4.0 * (n + 1)) if steps == 1 else len(np.unique(codes[one_each])) * np.log(2.0)
        if log_ways + np.log(len(columns)) - ways >= np.log(CHANCE):
            continue
        how = "a threshold on it separates the labels" if steps == 1 else "each of its values goes with one label only"
        yield Finding(
            TARGET,
            "refuse",
            name,
            f'"{name}" decides the label in all {len(target):,} rows looked at: {how}. It is the label, or follows from it. '
            "Leave it out, or make it from what was known at the as-of time.",
        )


def _ids(columns: dict[str, Floats], text: set[str], ids: npt.NDArray[Any], key: str) -> Iterator[Finding]:
    people = pd.factorize(ids)[0]
    n, entities = len(people), int(people.max()) + 1
    for name, values in columns.items():
        if name == key:
            reason = f"it is the key of the entity, of which there are {entities:,}"
            yield _identifying(name, "refuse", reason)
            continue
        codes, distinct = pd.factorize(values)
        if (codes < 0).any() or len(distinct) < FEWEST_IDS:
            continue
        whole = name in text or bool((values == np.round(values)).all())
        one_to_one = len(distinct) == entities and len(np.unique(people * n + codes)) == entities
        if one_to_one and (n >= 1.5 * entities or _same_order(values, ids)):
            reason = f"its {len(distinct):,} values stand for the {entities:,} entities one to one"
            dealt_out = (
                name in text or _same_order(values, ids) or _evenly_spread(values) or _kept_apart(values, people)
            )
            yield _identifying(name, "refuse" if whole and dealt_out else "warn", reason)
        elif len(distinct) >= NEARLY_ALL_DISTINCT * n and whole and (name in text or _evenly_spread(values)):
            reason = f"{len(distinct):,} of {n:,} rows have a value of their own, spread like a sequence or a hash"
            yield _identifying(name, "refuse" if name in text else "warn", reason)


def _identifying(name: str, severity: Literal["refuse", "warn"], reason: str) -> Finding:
    return Finding(
        ID,
        severity,
        name,
        f'"{name}" says who a row is about, not what they are like: {reason}. Leave it out; a model that knows people by name '
        "says nothing about others.",
    )


def _same_order(values: Floats, ids: npt.NDArray[Any]) -> bool:
    """Whether the values rise, or fall, exactly as the ids do."""
    steps = np.diff(values[np.argsort(ids, kind="stable")])
    return bool((steps > 0).all() or (steps < 0).all())


def _evenly_spread(values: Floats) -> bool:
    """Whether values fill their range evenly (Kolmogorov's distance), as sequences and hashes do and amounts do not."""
    ordered = np.sort(values)
    place = (ordered - ordered[0]) / (ordered[-1] - ordered[0])
    return bool(np.abs(place - np.linspace(0, 1, len(place))).max() < EVENLY_SPREAD)


def _kept_apart(values: Floats, people: npt.NDArray[np.intp]) -> bool:
    """Whether whole values, one for each entity, lie so close together that chance would have made some of them equal.

    Of values that fall as they may, half as many pairs are equal as are some small step apart; none at all is, by
    chance, with e to the power of minus that.
    """
    steps = np.diff(np.sort(values[np.unique(people, return_index=True)[1]]))
    return bool(np.unique(steps, return_counts=True)[1].max() / 2 > -np.log(CHANCE))


def _suspicious(columns: dict[str, Floats], target: Floats, ids: npt.NDArray[Any], seed: int) -> Iterator[Finding]:
    """Columns nearly perfect alone, or far ahead of a model of all others; strongest first, until one is neither.

    A strong column is no leak: recency alone often ranks at .8. A leak is strong where everything else is weak.
    """
    rows = some_entities(ids, ROWS_TO_FIT, seed)
    target, halves = target[rows], assign_folds(pd.factorize(ids[rows])[0], 2, seed)
    if min(np.bincount(2 * halves + target.astype(int), minlength=4)) < 10:
        return
    others = {name: values[rows] for name, values in columns.items()}
    alone = {name: _auc_alone(values, target, halves) for name, values in others.items()}
    for name, area in sorted(alone.items(), key=lambda item: -item[1]):
        if area < WORTH_A_LOOK_AUC:
            return
        rest = {other: values for other, values in others.items() if not _alike(values, others[name])}
        without = _auc_of_model(rest, target, halves, seed) if rest else 0.5
        if area < NEARLY_PERFECT_AUC and 1 - area >= SHARE_OF_ERRORS * (1 - without):
            return
        del others[name]
        yield Finding(
            SUSPICIOUS,
            "warn",
            name,
            f'"{name}" alone ranks people with an AUC of {area:.3f}; all columns unlike it together reach {without:.3f}. '
            "Check that it was known at the as-of time and is no consequence of what is predicted; if both hold, keep it.",
        )


def _auc_alone(values: Floats, target: Floats, halves: npt.NDArray[np.int8]) -> float:
    """The better of ranking by the column, and by the rate of positives in its bins as seen in the other half of
    entities."""
    straight = float(metrics.one_column_table(values[:, None], target)["auc"][0])
    edges = (
        np.unique(np.nanquantile(values, np.linspace(0, 1, 33)[1:-1])) if not np.isnan(values).all() else np.empty(0)
    )
    bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
    scores = np.empty(len(values))
    for half in (0, 1):
        seen = halves != half
        size = np.bincount(bins[seen], minlength=len(edges) + 2)
        rate = (np.bincount(bins[seen], target[seen], len(edges) + 2) + target.mean()) / (size + 1)
        scores[~seen] = rate[bins[~seen]]
    # Rates of two halves are two scales: each half is ranked by itself.
    binned = float(np.mean([metrics.auc(target[halves == half], scores[halves == half]) for half in (0, 1)]))
    return max(straight, binned)


def _auc_of_model(columns: dict[str, Floats], target: Floats, halves: npt.NDArray[np.int8], seed: int) -> float:
    """Mean AUC over two halves of a small boosted model fitted on the other half."""
    table = np.column_stack(list(columns.values()))
    areas = []
    for half in (0, 1):
        model = make_estimator("lightgbm", QUICK_TREES, seed)
        model.fit(table[halves != half], target[halves != half], fitting=Fitting(rounds=QUICK_ROUNDS))
        areas.append(metrics.auc(target[halves == half], model.positive_probability(table[halves == half])))
    return float(np.mean(areas))


def _alike(one: Floats, two: Floats) -> bool:
    """Whether two columns order rows nearly alike, up or down: they may be the same fact in other words."""
    known = ~np.isnan(one) & ~np.isnan(two)
    if known.sum() < 2:
        return False
    first, second = one[known], two[known]
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return False
    return bool(abs(spearmanr(first, second).statistic) >= SAME_RANKS)


def _survivors(columns: dict[str, Floats], target: Floats) -> Iterator[Finding]:
    """Columns with a range where the label is all but certain, and right beside it is not.

    A clean cause works by degrees, so that neighbours are alike; where rows were filtered by what came later, the
    label is certain up to a limit and ordinary beyond.
    """
    base_rate = float(target.mean())
    for name, values in columns.items():
        for words, inside, beside in _ranges(values, target):
            if _certain(inside, beside, base_rate):
                yield Finding(
                    SURVIVOR,
                    "warn",
                    name,
                    f'Of {len(inside):,} rows with "{name}" {words}, {inside.mean():.1%} are positive; of the {len(beside):,} '
                    f"rows beside them, {beside.mean():.1%}. A count that decides the label often means that rows were kept "
                    "for what happened later. Find out how they were chosen, and leave such people out of the population.",
                )
                break


def _ranges(values: Floats, target: Floats) -> Iterator[tuple[str, Floats, Floats]]:
    """(words, labels inside, labels beside) of the missing values and of ranges from either end, widest first.

    Beside a range lie as many rows as it holds, from 30 to 500, and whatever shares the last one's value.
    """
    missing = np.isnan(values)
    yield "missing", target[missing], target[~missing]
    for words, sign in (("at most", 1.0), ("at least", -1.0)):
        order = np.argsort(sign * values, kind="stable")[: int((~missing).sum())]
        rising, labels = sign * values[order], target[order]
        ends = np.flatnonzero(np.diff(rising)) + 1
        if len(ends) > RANGE_EDGES:
            # Small ranges matter most: edges are evenly spaced in their logarithm.
            ends = ends[np.unique(np.geomspace(1, len(ends), RANGE_EDGES).astype(int) - 1)]
        for end in ends[::-1]:
            last = min(len(rising), end + max(FEWEST_IN_RANGE, min(end, NEIGHBOURS))) - 1
            upto = int(np.searchsorted(rising, rising[last], "right"))
            yield f"{words} {sign * rising[end - 1]:g}", labels[:end], labels[end:upto]


def _certain(inside: Floats, beside: Floats, base_rate: float) -> bool:
    """Whether one label is all but certain inside, and not beside.

    For the rarer label: its share inside is at least 9/10 and surely above 3/4, and beside surely below half of that;
    surely is by 3 standard errors. The commoner label is nearly certain in many clean ranges: there must be no
    exception where, at a twentieth of the exceptions seen beside, more than 7 would be expected.
    """
    if len(inside) < FEWEST_IN_RANGE or len(beside) < FEWEST_IN_RANGE:
        return False
    rare = 1 if base_rate <= 0.5 else 0
    share_inside, share_beside = (float((side == rare).mean()) for side in (inside, beside))
    if share_inside == 0:
        return len(inside) * _wilson(share_beside, len(beside), -1) / 20 > 7
    surely = share_inside >= 0.9 and _wilson(share_inside, len(inside), -1) > 0.75
    return surely and _wilson(share_beside, len(beside), +1) < share_inside / 2


def _wilson(share: float, n: int, side: int) -> float:
    """Wilson's bound of a share, below (-1) or above (+1)."""
    z = CERTAINLY
    reach = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float((share + z * z / (2 * n) + side * reach) / (1 + z * z / n))
