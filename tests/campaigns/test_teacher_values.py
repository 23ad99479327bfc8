"""Whatever is wrong with a teacher file, no cell of it is told: not in the refusal, nor in what caused it."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.campaigns.training_sets.calendar import ImmatureLabel
from platform_assets.campaigns.training_sets.teacher import TeacherError
from tests.campaigns.test_teacher import read_teacher
from tests.campaigns.worlds import Workshop, fans

PERSON = "bob@example.com"
HEADER = "viewer_id,as_of,label"
GOOD = "1,1998-01-15T12:00:00Z,1\n2,1998-01-15T12:00:00Z,0"
CSVS: dict[str, tuple[str | bytes, str]] = {
    "a comma too many": (f"{HEADER}\n{GOOD}\n2,{PERSON},1,3,4\n", "line 4 has 5 fields where the first has 3"),
    "a comma too few": (f"{HEADER}\n{GOOD}\n{PERSON}\n", "line 4 has 1 fields where the first has 3"),
    "no header": (f"{PERSON},1998-01-15,1\n2,1998-01-15,0\n", "has no column viewer_id; it needs viewer_id, as_of, label and has none of them"),
    "another header": (f"viewer,{PERSON},label\n{GOOD}\n", 'has no column viewer_id; did you mean "viewer"?'),
    "not UTF-8": (f"{HEADER}\n{GOOD}\n{PERSON}\xe9,1998-01-15,1\n".encode("latin-1"), "cannot be read as csv: Invalid Input Error: CSV Error on Line: "),
    "a line without an end": (f"{HEADER}\n" + PERSON * 200_000 + "\n", "cannot be read as csv: Invalid Input Error: "),
    "a quote without an end": (f'{HEADER}\n1,"{PERSON},1\n2,1998-01-15,0\n', ""),
    "a key of another type": (f"{HEADER}\n{GOOD}\n{PERSON},1998-01-15,1\n", "fans.csv:4: viewer_id is empty or unreadable in 1 rows"),
    "no time": (f"{HEADER}\n{GOOD}\n1,{PERSON},1\n", "fans.csv:4: as_of is empty or unreadable in 1 rows"),
    "no label": (f"{HEADER}\n{GOOD}\n1,1998-01-16,{PERSON}\n", "fans.csv:4: label is empty or unreadable in 1 rows"),
    "no such person": (f"{HEADER}\n{GOOD}\n4917012345678,1998-01-15,1\n", "1 of 3 rows name a viewer_id that viewers does not hold"),
    "twice": (f"{HEADER}\n{GOOD}\n{GOOD}\n", "2 rows repeat a (viewer_id, as_of)"),
    "too late": (f"{HEADER}\n{GOOD}\n3,2998-01-15,1\n", "as_of of 1 rows is later than"),
    "no line": ("", "it needs viewer_id, as_of, label and has none of them"),
    "a byte that is none": (f"{HEADER}\n{PERSON}\0,1998-01-15,1\n", "fans.csv:2: viewer_id is empty or unreadable"),
}  # fmt: skip
WORTH_HIDING = (PERSON, "bob", "4917012345678")


def _people(values: Sequence[object], kind: pa.DataType) -> pa.Table:
    return pa.table({"viewer_id": pa.array(values, kind), "as_of": pa.array([datetime(1998, 1, 15)] * 2, pa.timestamp("us", "UTC")), "label": [0, 1]})  # fmt: skip


def _with(name: str, column: pa.Array) -> pa.Table:
    table = _people([1, 2], pa.int64())
    return table.set_column(table.column_names.index(name), name, column)


PARQUETS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no Parquet": (lambda path: path.write_text(PERSON * 10), "cannot be read as parquet: Invalid Input Error: No magic bytes"),
    "a broken footer": (lambda path: path.write_text(f"PAR1{PERSON * 10}PAR1"), "cannot be read as parquet: "),
    "texts for keys": (lambda path: pq.write_table(_people([PERSON, PERSON], pa.string()), path), "viewer_id is empty or unreadable in 2 rows"),
    "lists for keys": (lambda path: pq.write_table(_people([[PERSON], [PERSON]], pa.list_(pa.string())), path), "; it takes one value a row"),
    "bytes for times": (lambda path: pq.write_table(_with("as_of", pa.array([PERSON.encode()] * 2)), path), "as_of is empty or unreadable in 2 rows"),
    "structs for times": (lambda path: pq.write_table(_with("as_of", pa.array([{"at": PERSON}] * 2)), path), "; it takes one value a row"),
    "texts for labels": (lambda path: pq.write_table(_with("label", pa.array([PERSON] * 2)), path), "label is empty or unreadable in 2 rows"),
    "huge keys": (lambda path: pq.write_table(_people([4917012345678 * 10**18] * 2, pa.decimal128(38)), path), "viewer_id is empty or unreadable in 2 rows"),
    "a person for a name": (lambda path: pq.write_table(_people([1, 2], pa.int64()).rename_columns([PERSON, "as_of", "label"]), path), "has no column viewer_id"),
}  # fmt: skip


def _everything_told(refused: Callable[[], object]) -> str:
    """All that Dagster keeps of an error: its words, those of its causes, and its trace."""
    from dagster._utils.error import serializable_error_info_from_exc_info

    try:
        refused()
    except (TeacherError, ImmatureLabel):
        return serializable_error_info_from_exc_info(sys.exc_info()).to_string()
    pytest.fail("it was not refused")


def _tells_nobody(told: str) -> None:
    assert not [word for word in WORTH_HIDING if word in told], told


@pytest.mark.parametrize("wrong", CSVS)
def test_a_csv_is_refused_without_a_word_of_its_cells(shared_cinema: Workshop, tmp_path: Path, wrong: str) -> None:
    content, sentence = CSVS[wrong]
    (tmp_path / "fans.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    told = _everything_told(lambda: read_teacher(fans(), shared_cinema.warehouse, tmp_path))
    assert "fans.csv" in told
    assert sentence in told
    _tells_nobody(told)


@pytest.mark.parametrize("wrong", PARQUETS)
def test_a_parquet_is_refused_without_a_word_of_its_cells(shared_cinema: Workshop, tmp_path: Path, wrong: str) -> None:
    write, sentence = PARQUETS[wrong]
    write(tmp_path / "fans.parquet")
    spec = fans({"teacher": "fans.parquet"})
    told = _everything_told(lambda: read_teacher(spec, shared_cinema.warehouse, tmp_path))
    assert sentence in told
    _tells_nobody(told)


def test_an_engine_that_cannot_read_a_mart_tells_no_cell_of_it(shared_cinema: Workshop) -> None:
    import ibis

    from platform_assets.data.engines.reading import QueryFailed

    warehouse = shared_cinema.warehouse
    people = warehouse.memtable(pa.table({"email": [PERSON]}))

    @dg.asset
    def reads() -> None:
        warehouse.to_arrow(people.select(number=ibis._.email.cast("int64")))

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([reads], instance=instance, raise_on_error=False)
        told = "\n".join(str(entry) for entry in instance.all_logs(run.run_id))
    assert QueryFailed.__name__ in told
    assert "DuckDB could not read the marts: Conversion Error: Could not convert string … to INT64" in told
    _tells_nobody(told)
