"""Predicting with many small trees at once, in NumPy.

Belongs here: reading the trees of a LightGBM model text and summing the leaves that rows fall into. Does not belong here:
fitting trees. It is our own because most CPU-seconds of scoring are spent in it: LightGBM predicts the same trees to within
1e-15 of a probability at a sixth of the rows a CPU-second in batches (`python -m benchmarks.libraries trees`).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_LEAVES = 16
# Masks and leaf numbers of a batch should stay in a core's second-level cache.
BATCH_CELLS = 65_536
BLOCK_ROWS = 4096
# A table of masks that several columns share has at most so many lines.
SHARED_PLACES = 256
DEFAULT_LEFT, MISSING_IS_NAN = 2, 8
Floats = npt.NDArray[np.float64]
Masks = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class _Tree:
    """One tree of a model text: inner nodes in arrays, children below zero being leaves (~child)."""

    feature: list[int]
    threshold: list[float]
    decision: list[int]
    left: list[int]
    right: list[int]
    value: list[float]


class SmallTrees:
    """The raw score of rows under a sum of trees with numeric splits and at most 16 leaves each.

    A tree's leaves are bits. Every split that sends a row right strikes out the leaves below its left side; what is left
    over for a row is the bitwise and of one mask a feature, looked up by where the value lies among that feature's
    thresholds; the lowest bit still standing is the row's leaf (QuickScorer, Lucchese et al. 2015). All trees are handled
    by one operation, so hundreds of small trees cost a few microseconds a row. Leaves are LightGBM's, missing values
    included; their sum is added in another order.
    """

    def __init__(self, text: str) -> None:
        """Read a LightGBM model text. Raises ValueError when a tree has more than 16 leaves."""
        trees = [_read_tree(part) for part in text.split("\nTree=")[1:]]
        leaves = max(len(tree.value) for tree in trees)
        if leaves > MOST_LEAVES:
            raise ValueError(f"A tree has {leaves} leaves; at most {MOST_LEAVES} fit the masks.")
        bits = 8 if leaves <= 8 else MOST_LEAVES
        self._kind: Any = np.uint8 if bits == 8 else np.uint16
        self._first = bits * np.arange(len(trees), dtype=np.int64)
        self._values = np.zeros(bits * len(trees))
        # The position of every mask's lowest bit; a row always keeps a leaf, so the mask 0 does not occur.
        every = np.arange(1 << bits)
        self._lowest = np.log2(np.maximum(every & -every, 1)).astype(np.int64)
        nodes: dict[int, list[tuple[float, bool, int, int]]] = {}
        for number, tree in enumerate(trees):
            order, struck_out = _leaves_in_order(tree)
            self._values[number * bits : number * bits + len(order)] = [tree.value[leaf] for leaf in order]
            for node, struck in struck_out.items():
                kept = (1 << bits) - 1 - struck
                missing_goes_left = _missing_goes_left(tree.decision[node], tree.threshold[node])
                nodes.setdefault(tree.feature[node], []).append((tree.threshold[node], missing_goes_left, number, kept))
        self._groups: list[_Group] = []
        # Columns of few thresholds first: several of them share one table of masks.
        for feature in sorted(nodes, key=lambda one: len({threshold for threshold, *_ in nodes[one]})):
            thresholds = sorted({threshold for threshold, *_ in nodes[feature]})
            masks: Masks = np.full((len(thresholds) + 2, len(trees)), (1 << bits) - 1, dtype=self._kind)
            for threshold, missing_goes_left, number, kept in nodes[feature]:
                # A value above the threshold goes right: places after the threshold's own, the last one being for NaN.
                place = bisect_left(thresholds, threshold)
                masks[place + 1 : -1, number] &= self._kind(kept)
                if not missing_goes_left:
                    masks[-1, number] &= self._kind(kept)
            column = (feature, np.asarray(thresholds))
            if self._groups and len(self._groups[-1].masks) * len(masks) <= SHARED_PLACES:
                last = self._groups[-1]
                joint: Masks = (last.masks[:, None] & masks[None]).reshape(-1, len(trees))
                self._groups[-1] = _Group((*last.columns, column), joint)
            else:
                self._groups.append(_Group((column,), masks))

    def __call__(self, X: Floats) -> Floats:
        """Raw scores (n,), before the sigmoid, of `X` (n, d). A row's score does not depend on the other rows."""
        scores = np.empty(len(X))
        trees = len(self._first)
        rows = max(1, BATCH_CELLS // trees)
        for block in range(0, len(X), BLOCK_ROWS):
            columns = np.ascontiguousarray(X[block : block + BLOCK_ROWS].T)
            places = [group.places(columns) for group in self._groups]
            for start in range(block, min(block + BLOCK_ROWS, len(X)), rows):
                batch = slice(start - block, min(start + rows, block + BLOCK_ROWS, len(X)) - block)
                standing = np.full((batch.stop - batch.start, trees), len(self._lowest) - 1, dtype=self._kind)
                for group, place in zip(self._groups, places, strict=True):
                    np.bitwise_and(standing, group.masks.take(place[batch], axis=0, mode="clip"), out=standing)
                leaves = self._lowest.take(standing, mode="clip")
                leaves += self._first
                scores[block + batch.start : block + batch.stop] = self._values.take(leaves, mode="clip").sum(axis=1)
        return scores


@dataclass(frozen=True)
class _Group:
    """Columns (feature, ascending thresholds) that share one table: `masks` (places, trees), a place being a number written
    with one digit a column: where its value lies among the thresholds, the last digit for a missing one.
    """

    columns: tuple[tuple[int, Floats], ...]
    masks: Masks

    def places(self, columns: Floats) -> npt.NDArray[np.intp]:
        """The line of `masks` for every row of `columns` (d, n)."""
        leaves = np.zeros(columns.shape[1], dtype=np.intp)
        for feature, thresholds in self.columns:
            values = columns[feature]
            digits = np.searchsorted(thresholds, values)
            digits[np.isnan(values)] = len(thresholds) + 1
            leaves *= len(thresholds) + 2
            leaves += digits
        return leaves


def _read_tree(part: str) -> _Tree:
    lines = dict(line.split("=", 1) for line in part.split("\n\n", 1)[0].splitlines()[1:])
    # A tree of one leaf states nothing of nodes.
    feature, decision, left, right = (
        [int(one) for one in lines.get(name, "").split()]
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    threshold, value = ([float(one) for one in lines.get(name, "").split()] for name in ("threshold", "leaf_value"))
    return _Tree(feature, threshold, decision, left, right, value)


def _leaves_in_order(tree: _Tree) -> tuple[list[int], dict[int, int]]:
    """The leaves from left to right, and for every inner node the bits of those on its left side."""
    order: list[int] = []
    struck_out: dict[int, int] = {}

    def walk(child: int) -> None:
        if child < 0:
            order.append(~child)
            return
        before = len(order)
        walk(tree.left[child])
        struck_out[child] = (1 << len(order)) - (1 << before)
        walk(tree.right[child])

    walk(0 if tree.feature else ~0)
    return order, struck_out


def _missing_goes_left(decision: int, threshold: float) -> bool:
    # Where the fit saw nothing missing, LightGBM reads a missing value as zero.
    return bool(decision & DEFAULT_LEFT) if decision & MISSING_IS_NAN else threshold >= 0
