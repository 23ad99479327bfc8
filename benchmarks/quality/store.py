"""Kept predictions: one Parquet file a cell, and what the cell cost as JSON beside it, in a folder that git ignores.

Belongs here: names, writing whole or not at all, reading. Does not belong here: labels or data (neither is ever kept),
running a cell, any figure. A cell whose JSON exists has been run and is not run again: delete the file to repeat it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

PREDICTIONS = Path(__file__).parent / "predictions"
# Half the size of what Parquet does by itself: ids ascend, and the leading bytes of probabilities are alike.
ENCODING = {"row": "DELTA_BINARY_PACKED", "predicted": "BYTE_STREAM_SPLIT"}


@dataclass(frozen=True)
class Kept:
    """One cell's predictions: `rows` (n,) persons' numbers, `predicted` (n,) probabilities, `facts` what it cost."""

    rows: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.float64]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Store:
    """A folder of cells, each known by the table or question, the seed or draw, and the contender."""

    folder: Path = PREDICTIONS

    def has(self, question: str, draw: int, contender: str) -> bool:
        return self._path(question, draw, contender, "json").exists()

    def keep(
        self,
        question: str,
        draw: int,
        contender: str,
        rows: npt.NDArray[np.int64],
        predicted: npt.ArrayLike,
        facts: Mapping[str, Any],
    ) -> None:
        """Keep a cell; the JSON is written last and makes it count."""
        self.folder.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame({"row": rows.astype("int32"), "predicted": np.asarray(predicted, dtype="float32")})
        for kind in ("parquet", "json"):
            path = self._path(question, draw, contender, kind)
            aside = path.with_suffix(".part")
            if kind == "parquet":
                frame.to_parquet(aside, index=False, compression="zstd", use_dictionary=False, column_encoding=ENCODING)
            else:
                aside.write_text(json.dumps(dict(facts), indent=1, sort_keys=True) + "\n")
            os.replace(aside, path)

    def read(self, question: str, draw: int, contender: str) -> Kept:
        """A cell that `has` knows. Raises FileNotFoundError for any other."""
        frame = pd.read_parquet(self._path(question, draw, contender, "parquet"))
        facts = json.loads(self._path(question, draw, contender, "json").read_text())
        return Kept(frame["row"].to_numpy(np.int64), frame["predicted"].to_numpy(np.float64), facts)

    def cells(self) -> list[tuple[str, int, str]]:
        """Every kept cell as (question, draw, contender), sorted."""
        names = [path.stem.split(".") for path in self.folder.glob("*.json")]
        return sorted((question, int(draw), contender) for question, draw, contender in names)

    def _path(self, question: str, draw: int, contender: str, kind: str) -> Path:
        return self.folder / f"{question}.{draw}.{contender}.{kind}"
