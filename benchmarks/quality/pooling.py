"""The same target run before: is an earlier campaign's data worth keeping when 100 new positives are known?

Belongs here: who is known and who is asked in each draw, and the cells. Does not belong here: the learning.

On CDNOW as of two dates. A draw takes customers at random, as of the date, until 100 of them are buyers: their labels are
known, all other customers are asked about. `old` learns from the two quarters before alone, `new` from the known customers
alone, `pooled` from both, stacked, a customer's rows in one fold, and calibrated on the known customers.
`lightgbm_5_folds` is what the new labels alone are worth without our search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.quality import contenders
from benchmarks.quality.cells import Cell, Rows
from benchmarks.quality.contenders import Answer, Question
from benchmarks.quality.datasets import Dataset, cdnow_as_of
from benchmarks.quality.tables import CDNOW_TRAINED_AS_OF

PREFIX = "pooling_"
POSITIVES = 100
CPU_SECONDS = 40
OLD, NEW, POOLED = (f"{what}_{CPU_SECONDS}" for what in ("old", "new", "pooled"))
LIGHTGBM = "lightgbm_5_folds"


@lru_cache(maxsize=2)
def _snapshots(question: str) -> tuple[Dataset, tuple[Dataset, ...]]:
    name = question.removeprefix(PREFIX)
    test = cdnow_as_of(name.removeprefix("cdnow_").replace("_", "-"))
    return test, tuple(cdnow_as_of(as_of) for as_of in CDNOW_TRAINED_AS_OF[name])


def known_and_asked(question: str, draw: int) -> tuple[Dataset, npt.NDArray[np.bool_]]:
    """All customers as of the question's date, and which of them are known in `draw`, (n,); the others are asked about."""
    data, _ = _snapshots(question)
    order = np.random.default_rng(draw).permutation(len(data.y))
    enough = int(np.flatnonzero(np.cumsum(data.y[order]) == POSITIVES)[0])
    known = np.zeros(len(data.y), dtype=bool)
    known[order[: enough + 1]] = True
    return data, known


def cells(draws: Sequence[int]) -> Iterator[Cell]:
    """The old model once a date, kept as draw 0 for all customers; then draw by draw the others."""
    questions = [f"{PREFIX}{table}" for table in CDNOW_TRAINED_AS_OF]
    for question in questions:
        yield _cell(question, 0, OLD)
    for draw in draws:
        for question in questions:
            for contender in (LIGHTGBM, NEW, POOLED):
                yield _cell(question, draw, contender)


def _cell(question: str, draw: int, contender: str) -> Cell:
    def run() -> tuple[Rows, Answer]:
        data, known = known_and_asked(question, draw)
        _, earlier = _snapshots(question)
        new = Dataset(data.source, data.X[known], data.y[known], data.entity[known])
        past = {OLD: list(earlier), POOLED: [*earlier, new]}.get(contender, [new])
        rows = sum(len(one.y) for one in past)
        asked = np.ones(len(known), dtype=bool) if contender == OLD else ~known
        given = Question(
            X=pd.concat([one.X for one in past], ignore_index=True),
            y=np.concatenate([one.y for one in past]),
            groups=np.concatenate([one.entity for one in past]),
            X_test=data.X[asked].reset_index(drop=True),
            grouped=len(past) > 1,
            latest=np.arange(rows) >= rows - len(past[-1].y) if len(past) > 1 else None,
        )
        if contender == LIGHTGBM:
            return data.entity[asked], contenders.lightgbm_five_folds(given)
        return data.entity[asked], contenders.ours(given, CPU_SECONDS, draw, refit=True)

    return Cell(question, draw, {"lightgbm" if contender == LIGHTGBM else "ours": contender}, run)
