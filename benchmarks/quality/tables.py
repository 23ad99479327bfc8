"""The tables of the comparison: which rows are trained on and which are tested, and what each contender is given.

Belongs here: splits by seed, and the coding of categories for a library that takes float columns. Does not belong here:
where data comes from, who learns from it.

Splits. `adult`, `credit`: 70 % of the rows, drawn by the seed, are trained on and the others tested. `census`: 50,000 rows
are drawn by the seed first. `cdnow_*`: trained on two earlier quarters, tested at the date; all customers are tested under
every seed, and the seed draws the 80 % of customers whose past may be learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.quality.datasets import Dataset, adult, cdnow_as_of, census, credit

CDNOW_TRAINED_AS_OF = {
    "cdnow_1998_01_01": ("1997-07-01", "1997-10-01"),
    "cdnow_1998_04_01": ("1997-10-01", "1998-01-01"),
}
TABLES = ("cdnow_1998_01_01", "cdnow_1998_04_01", "adult", "census", "credit")
CENSUS_ROWS = 50_000
TRAINED_PART = 0.7
CUSTOMERS_LEARNED_FROM = 0.8
ONE_HOT_LEVELS = 12


@dataclass(frozen=True)
class Table:
    """One table under one seed. `X` and `X_test` hold float columns and text columns (categories); `groups` and
    `test_rows` are the persons' numbers, unique among test rows; `grouped`: a person may have several training rows, of
    which `latest` (n,) are those of the newest as-of date.
    """

    name: str
    seed: int
    source: str
    X: pd.DataFrame
    y: npt.NDArray[np.int8]
    groups: npt.NDArray[np.int64]
    grouped: bool
    X_test: pd.DataFrame
    y_test: npt.NDArray[np.int8]
    test_rows: npt.NDArray[np.int64]
    latest: npt.NDArray[np.bool_] | None

    def floats(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Training and test columns as floats: see `Coding`."""
        coding = Coding.of(self.X)
        return coding.floats(self.X), coding.floats(self.X_test)


def load(name: str, seed: int, cache: Path | None = None) -> Table:
    """The table `name` of `TABLES` under `seed`. Raises ValueError for any other name, SampleDataError without data."""
    generator = np.random.default_rng(seed)
    if name in CDNOW_TRAINED_AS_OF:
        test = cdnow_as_of(name.removeprefix("cdnow_").replace("_", "-"), cache)
        past = [cdnow_as_of(as_of, cache) for as_of in CDNOW_TRAINED_AS_OF[name]]
        customers = np.unique(np.concatenate([one.entity for one in past]))
        learned_from = generator.permutation(customers)[: round(len(customers) * CUSTOMERS_LEARNED_FROM)]
        return _stacked(name, seed, [_rows(one, np.isin(one.entity, learned_from)) for one in past], test)
    made = {"adult": adult, "credit": credit, "census": census}.get(name)
    if made is None:
        raise ValueError(f'There is no table "{name}". Tables: {", ".join(TABLES)}.')
    data = made(cache)
    drawn = generator.permutation(len(data.y))[: CENSUS_ROWS if name == "census" else None]
    cut = round(len(drawn) * TRAINED_PART)
    return _stacked(name, seed, [_rows(data, np.sort(drawn[:cut]))], _rows(data, np.sort(drawn[cut:])))


def _rows(data: Dataset, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Dataset:
    return Dataset(data.source, data.X.loc[rows].reset_index(drop=True), data.y[rows], data.entity[rows])


def _stacked(name: str, seed: int, past: list[Dataset], test: Dataset) -> Table:
    return Table(
        name=name,
        seed=seed,
        source=test.source,
        X=pd.concat([one.X for one in past], ignore_index=True),
        y=np.concatenate([one.y for one in past]),
        groups=np.concatenate([one.entity for one in past]),
        grouped=len(past) > 1,
        X_test=test.X,
        y_test=test.y,
        test_rows=test.entity,
        latest=np.repeat([one is past[-1] for one in past], [len(one.y) for one in past]) if len(past) > 1 else None,
    )


@dataclass(frozen=True)
class Coding:
    """Text columns as floats, learned from training rows without their labels.

    Up to 12 levels: a 0/1 column a level (one in all for two levels). More: the level's rank by how many training rows
    have it, 0 for the most frequent, ties by name. A level not seen in training is all zeros, or a missing rank.
    """

    levels: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, X: pd.DataFrame) -> Coding:
        found = {}
        for name in X.select_dtypes("object"):
            counts = X[name].value_counts()
            found[str(name)] = tuple(sorted(counts.index, key=lambda level: (-counts[level], level)))
        return cls(found)

    def floats(self, X: pd.DataFrame) -> pd.DataFrame:
        columns: dict[str, pd.Series] = {}
        for name in X.columns:
            levels = self.levels.get(name)
            if levels is None:
                columns[name] = X[name].astype("float64")
            elif len(levels) > ONE_HOT_LEVELS:
                columns[name] = X[name].map({level: float(rank) for rank, level in enumerate(levels)}).astype("float64")
            else:
                for level in levels[:1] if len(levels) == 2 else levels:
                    columns[f"{name}={level}"] = X[name].eq(level).astype("float64")
        return pd.DataFrame(columns)
