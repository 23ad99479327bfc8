"""The tables a person reads, computed from kept predictions and the data's labels: what is committed as figures.md.

Belongs here: which cells are set against which, and the lines printed. Does not belong here: running anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.quality import pooling, transfer
from benchmarks.quality.cells import EQUAL, PERMUTED, UNSTARVED
from benchmarks.quality.figures import Difference, Judged, differences, paired_mean, score
from benchmarks.quality.store import Store
from benchmarks.quality.tables import TABLES, Table, load

FIGURES = Path(__file__).parent / "figures.md"
OURS = (f"ours_{EQUAL}", f"ours_{EQUAL}_refit")
PEERS = (f"autogluon_{UNSTARVED}", f"autogluon_{EQUAL}", f"autogluon_{UNSTARVED}_refit", "lightgbm")


def lines(store: Store, resamples: int = 1000) -> Iterator[str]:
    """Markdown lines: every kept cell, differences, permuted labels, pooling and transfer; what was not run is left out.

    Raises ValueError when a cell's persons are not the question's.
    """
    yield "# Figures"
    yield ""
    yield "Written by `python -m benchmarks.quality table`. What they mean, and how far to trust them: README.md."
    yield ""
    yield from _cells(store)
    yield from _differences(store, resamples)
    yield from _permuted(store)
    yield from _pooling(store)
    yield from _transfer(store)


def _cells(store: Store) -> Iterator[str]:
    yield "| table, seed | contender | AUC | log loss | fit CPU-s | test rows per predicting CPU-s |"
    yield "|---|---|---|---|---|---|"
    for table, seed, contender in store.cells():
        if table in TABLES:
            y, facts = _table(table, seed).y_test, _facts(store, table, seed, contender)
            found = score(y, _predicted(store, table, seed, contender))
            yield (
                f"| {table}, {seed} | {contender} | {found['auc']:.4f} | {found['log_loss']:.4f} "
                f"| {facts['fit_cpu_seconds']:.0f} | {len(y) / facts['predict_cpu_seconds']:,.0f} |"
            )
    yield ""


def _differences(store: Store, resamples: int) -> Iterator[str]:
    """Each of ours against each peer, over the tables and seeds where both were run."""
    for ours in OURS:
        for peer in PEERS:
            both = [
                (table, seed)
                for table, seed, contender in store.cells()
                if table in TABLES and contender == ours and store.has(table, seed, peer)
            ]
            if not both:
                continue
            judged = [_judged(store, table, seed, ours, peer) for table, seed in both]
            rates = [
                _facts(store, *cell, peer)["predict_cpu_seconds"] / _facts(store, *cell, ours)["predict_cpu_seconds"]
                for cell in both
            ]
            yield f"{ours} minus {peer} ({len(both)} cells; rows per predicting CPU-s × {_range(rates)}):"
            yield ""
            yield "| table | AUC | log loss |"
            yield "|---|---|---|"
            for table, found in differences(judged, resamples).items():
                yield f"| {table} | {_signed(found['auc'])} | {_signed(found['log_loss'])} |"
            yield ""


def _permuted(store: Store) -> Iterator[str]:
    """Out of fold, against the permuted labels: the true ones of the test rows would tell a random direction's luck, since
    what predicts on these tables is nearly one-dimensional.
    """
    for question, seed, contender in store.cells():
        if question.startswith(PERMUTED):
            rows = store.read(question, seed, contender).facts["leaderboard"]
            found = next(row for row in rows if row["model"] == "ensemble")
            deviation = (found["auc"] - 0.5) / found["auc_se"]
            yield (
                f"- Permuted labels, {question.removeprefix(PERMUTED)}, seed {seed}, {contender}: out-of-fold AUC "
                f"{found['auc']:.4f} ± {found['auc_se']:.4f}, {deviation:+.1f} se from .5"
            )
    yield ""


def _pooling(store: Store) -> Iterator[str]:
    cells = [one for one in store.cells() if one[0].startswith(pooling.PREFIX)]
    for question in sorted({question for question, _, _ in cells}):
        drawn = (pooling.LIGHTGBM, pooling.NEW, pooling.POOLED)
        done = [
            draw
            for draw in sorted({draw for _, draw, _ in cells})
            if all(store.has(question, *one) for one in ((0, pooling.OLD), *((draw, name) for name in drawn)))
        ]
        if not done:
            continue
        aucs: dict[str, list[float]] = {name: [] for name in (pooling.OLD, *drawn)}
        old = store.read(question, 0, pooling.OLD)
        for draw in done:
            data, known = pooling.known_and_asked(question, draw)
            aucs[pooling.OLD].append(score(data.y[~known], old.predicted[~known])["auc"])
            for name in drawn:
                aucs[name].append(score(data.y[~known], store.read(question, draw, name).predicted)["auc"])
        yield f"{question}, {len(done)} draws: AUC " + ", ".join(
            f"{name} {np.mean(found):.4f}" for name, found in aucs.items()
        )
        yield ""
        for name in (pooling.OLD, pooling.LIGHTGBM, pooling.NEW):
            change = np.subtract(aucs[pooling.POOLED], aucs[name])
            yield f"- pooled minus {name}: {_signed(paired_mean(change, done))}"
        yield ""


def _transfer(store: Store) -> Iterator[str]:
    pairs = [(transfer.PAST, peer) for peer in (transfer.LIGHTGBM, transfer.AUTOGLUON, transfer.ALONE)]
    pairs += [(transfer.PERMUTED, peer) for peer in (transfer.LIGHTGBM, transfer.ALONE)]
    pairs += [(transfer.ALONE, transfer.LIGHTGBM)]
    for first, second in pairs:
        changes: list[float] = []
        draws: list[int] = []
        for question, draw, contender in store.cells():
            if question.startswith(transfer.PREFIX) and contender == first and store.has(question, draw, second):
                target = question.removeprefix(transfer.PREFIX)
                y = transfer.people().labels[target][transfer.deal(target, draw).asked]
                one, two = (score(y, store.read(question, draw, name).predicted) for name in (first, second))
                changes.append(one["auc"] - two["auc"])
                draws.append(draw)
        if changes:
            ahead = sum(change > 0 for change in changes)
            yield (
                f"- Transfer, {first} minus {second}: AUC {_signed(paired_mean(changes, draws))} over {len(set(draws))} "
                f"draws, ahead in {ahead} of {len(changes)}"
            )
    yield ""


def _judged(store: Store, table: str, seed: int, first: str, second: str) -> Judged:
    truth = _table(table, seed)
    one, two = (_predicted(store, table, seed, name) for name in (first, second))
    return Judged(table, seed, truth.source, truth.test_rows, truth.y_test, one, two)


def _predicted(store: Store, table: str, seed: int, contender: str) -> npt.NDArray[np.float64]:
    kept = store.read(table, seed, contender)
    if not np.array_equal(kept.rows, _table(table, seed).test_rows):
        raise ValueError(
            f"{table}, seed {seed}, {contender}: the kept predictions are for other rows than the split now tests; "
            f"the split was changed: delete the cell's files and run it again."
        )
    return kept.predicted


@lru_cache(maxsize=32)
def _table(name: str, seed: int) -> Table:
    return load(name, seed)


def _facts(store: Store, question: str, draw: int, contender: str) -> dict[str, float]:
    return dict(store.read(question, draw, contender).facts)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f}" if len(values) == 1 else f"{min(values):.1f} to {max(values):.1f}"


def _signed(change: Difference) -> str:
    interval = "no interval" if np.isnan(change.low) else f"{change.low:+.4f} to {change.high:+.4f}"
    return f"{change.mean:+.4f} ({interval})"
