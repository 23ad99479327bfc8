"""The cells of the comparison and running those that are missing, one at a time, kept as they come.

Belongs here: what a cell is, and those of the main table and of permuted labels. Does not belong here: how a contender works,
how a figure is made, experiments with people and draws of their own.

A contender's name says its CPU seconds: `ours_120`, `autogluon_120`. Names that end in `_refit` are models fitted again on
all rows in place of the folds' models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benchmarks.quality import contenders
from benchmarks.quality.contenders import Answer, Question
from benchmarks.quality.store import Store
from benchmarks.quality.tables import Table, load

# AutoGluon was level with the best known ensemble of these tables at 212 to 313 CPU seconds.
UNSTARVED = 300
EQUAL = 120
CONTENDERS = ("lightgbm", f"ours_{EQUAL}", f"ours_{EQUAL}_refit", f"autogluon_{UNSTARVED}", f"autogluon_{EQUAL}")
PERMUTED = "permuted_"
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One contender's answer to one question under one seed or draw.

    `names`: under which contender each of the answer's predictions is kept. `run` returns the persons asked about and the
    answer.
    """

    question: str
    draw: int
    names: Mapping[str, str]
    run: Callable[[], tuple[Rows, Answer]]


def run_missing(cells: Iterable[Cell], store: Store, say: Callable[[str], None]) -> None:
    """Run the cells that `store` does not have; what a failed contender said is passed on, and the others go on."""
    for cell in cells:
        if all(store.has(cell.question, cell.draw, name) for name in cell.names.values()):
            continue
        title = f"{cell.question}, draw {cell.draw}: {', '.join(cell.names.values())}"
        try:
            rows, answer = cell.run()
        except contenders.ContenderFailed as failure:
            say(f"{title}: failed. {failure}")
            continue
        for predicted, name in cell.names.items():
            costs = {
                "fit_cpu_seconds": answer.fit_cpu_seconds[predicted],
                "predict_cpu_seconds": answer.predict_cpu_seconds[predicted],
            }
            store.keep(cell.question, cell.draw, name, rows, answer.predicted[predicted], {**answer.facts, **costs})
        say(f"{title}: kept after {max(answer.fit_cpu_seconds.values()):.0f} CPU-s")


def main_cells(tables: Sequence[str], seeds: Sequence[int], who: Sequence[str] = CONTENDERS) -> Iterator[Cell]:
    """The main table's cells: seed by seed, contender by contender, over the tables."""
    for seed in seeds:
        for contender in who:
            for table in tables:
                yield _cell(table, seed, contender)


def permuted_cells(
    tables: Sequence[str], seeds: Sequence[int], contender: str = f"ours_{EQUAL}_refit"
) -> Iterator[Cell]:
    """As the main table's, with the training labels in random order: there is nothing to learn."""
    for seed in seeds:
        for table in tables:
            yield _cell(f"{PERMUTED}{table}", seed, contender)


@lru_cache(maxsize=1)
def table_of(question: str, seed: int) -> Table:
    """The table that `question` names, with permuted training labels where it says so."""
    if not question.startswith(PERMUTED):
        return load(question, seed)
    table = load(question.removeprefix(PERMUTED), seed)
    return replace(table, y=np.random.default_rng(seed).permutation(table.y))


def answer_of(contender: str, coded: Question, raw: Question, seed: int) -> Answer:
    """What `contender` answers: `coded` is the question in float columns, `raw` the same with its categories as words."""
    name, *budget = contender.removesuffix("_refit").split("_")
    if name == "lightgbm":
        return contenders.lightgbm_defaults(coded)
    if name == "ours" and budget:
        return contenders.ours(coded, float(budget[-1]), seed, contender.endswith("_refit"))
    if name == "autogluon" and budget:
        return contenders.autogluon(raw, float(budget[-1]), refit=_refitted_too(contender))
    raise ValueError(f'There is no contender "{contender}": give lightgbm, ours_<s>, ours_<s>_refit or autogluon_<s>.')


def _cell(question: str, seed: int, contender: str) -> Cell:
    def run() -> tuple[Rows, Answer]:
        table = table_of(question, seed)
        X, X_test = table.floats()
        raw = Question(table.X, table.y, table.groups, table.X_test, table.grouped, latest=table.latest)
        return table.test_rows, answer_of(contender, replace(raw, X=X, X_test=X_test), raw, seed)

    names = {contender.split("_")[0]: contender}
    if _refitted_too(contender):
        names["refitted"] = f"{contender}_refit"
    return Cell(question, seed, names, run)


def _refitted_too(contender: str) -> bool:
    """AutoGluon with time enough is asked for its refitted model besides: its own cheap inference."""
    name, *budget = contender.split("_")
    return name == "autogluon" and bool(budget) and float(budget[-1]) >= UNSTARVED
