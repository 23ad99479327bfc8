"""Fold ids and inner validation rows, grouped by entity.

Belongs here: deciding which rows are held out from which, by a keyed hash of the entity's id, so that the
decision is the same in every snapshot, run and machine. Does not belong here: fitting anything on the parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

MAX_FOLDS = 127


def assign_folds(groups: npt.ArrayLike | Sequence[Any], n_folds: int, seed: int) -> npt.NDArray[np.int8]:
    """Fold id, 0 to `n_folds` - 1, of every row; all rows of one entity share it.

    The id is hashed by BLAKE2b keyed with `seed`, as text: 17, "17" and np.int32(17) are the same entity.
    Fold sizes are therefore random, binomial around n / n_folds, and do not change for an entity when others
    come or go.

    Parameters: `groups` of shape (n,), integers or text, no missing ids; `n_folds` from 2 to 127; any integer
    `seed`. Raises ValueError when ids are missing or `n_folds` is out of range, TypeError when ids are
    neither integers nor text.
    """
    if not 2 <= n_folds <= MAX_FOLDS:
        raise ValueError(f"n_folds is {n_folds}; give a number from 2 to {MAX_FOLDS}.")
    return _keyed_bucket(groups, n_folds, f"fold:{seed}").astype(np.int8)


def inner_validation(
    y: npt.NDArray[np.int8],
    groups: npt.ArrayLike | None,
    fraction: float,
    seed: int,
    minimum_per_class: int = 10,
) -> npt.NDArray[np.bool_] | None:
    """Rows of a training part to hold out for early stopping, shape (n,), or None when too few would be held
    out.

    With `groups`, whole entities are held out by a hash independent of `assign_folds`; without, rows are
    drawn at random within each class. `y` is coded 0/1. None is returned when either side of the cut would
    hold fewer than `minimum_per_class` rows of either class: the figure early stopping watches would then be
    noise. Raises ValueError when `fraction` is not strictly between 0 and 0.5, or `groups` differ from `y` in
    length.
    """
    if not 0 < fraction <= 0.5:
        raise ValueError(f"validation_fraction is {fraction}; give a number above 0 and at most 0.5.")
    if groups is None:
        held_out = np.zeros(len(y), dtype=bool)
        generator = np.random.default_rng(seed)
        for label in (0, 1):
            rows = np.flatnonzero(y == label)
            held_out[generator.permutation(rows)[: round(len(rows) * fraction)]] = True
    else:
        buckets = _keyed_bucket(groups, 1000, f"inner:{seed}")
        if len(buckets) != len(y):
            raise ValueError(f"groups hold {len(buckets)} ids for {len(y)} rows; give one id a row.")
        held_out = buckets < round(1000 * fraction)
    smallest = min(int(np.sum(side & (y == label))) for side in (held_out, ~held_out) for label in (0, 1))
    return held_out if smallest >= minimum_per_class else None


def _keyed_bucket(groups: npt.ArrayLike | Sequence[Any], n_buckets: int, key: str) -> npt.NDArray[np.int64]:
    ids = pd.Series(groups)
    if ids.isna().any():
        raise ValueError(
            f"{int(ids.isna().sum())} of {len(ids)} group ids are missing; every row needs its entity's id."
        )
    codes, distinct = pd.factorize(ids)
    hashing = hashlib.blake2b(key=key.encode(), digest_size=8)
    buckets = np.empty(len(distinct), dtype=np.int64)
    for position, value in enumerate(distinct.tolist()):
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise TypeError(f"group ids are {type(value).__name__} values; give integers or text.")
        one = hashing.copy()
        one.update(str(value).encode())
        buckets[position] = int.from_bytes(one.digest(), "big") % n_buckets
    return buckets[codes]
