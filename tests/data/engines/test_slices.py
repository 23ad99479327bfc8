"""What BigQuery's slices promise by themselves; loading exports into them is in test_bigquery_tables.py."""

from collections.abc import Callable

import pytest

from platform_assets.data.engines.bigquery.connection import literal, quoted
from platform_assets.data.engines.bigquery.slices import Layout, load_files, make_table, replace_slice, without_values
from platform_assets.data.exports.spec import ExportSourceSpec
from tests.data.engines.source_in_bigquery import Source
from tests.data.exports.breaking import FILMS

MakeSource = Callable[[ExportSourceSpec], Source]


@pytest.mark.parametrize(
    ("said", "repeated"),
    [
        (
            "Error while reading data, error message: Could not parse 'Eve Smith' as INT64 for field age (position 2)",
            "Could not parse '…' as INT64 for field age (position 2)",
        ),
        (
            "Error while reading data, error message: Bad character (ASCII 0) encountered: field starts with: <Eve Smith>",
            "Bad character (ASCII 0) encountered: field starts with: '…'",
        ),
        (
            "JSON parsing error in row starting at position 0: Couldn't convert value to timestamp: Could not parse \"Eve",
            "JSON parsing error in row starting at position 0: Couldn't convert value to timestamp: Could not parse '…'",
        ),
        (
            "Could not parse 'O'Neil' as DATE, nor \"O'Neil\" as TIME for field born",
            "Could not parse '…' as TIME for field born",
        ),
        ("Invalid NUMERIC value: 12.345 of Eve Smith", "Invalid NUMERIC value: '…'"),
        ("No such field: Keys.", "No such field: Keys."),
    ],
)
def test_what_bigquery_says_is_repeated_without_the_values_it_quotes(said: str, repeated: str) -> None:
    assert without_values(said) == repeated


def test_a_slice_is_replaced_and_the_others_stay(make_source: MakeSource) -> None:
    from google.cloud.bigquery import SchemaField

    bigquery = make_source(FILMS).bigquery
    schema = (SchemaField("day", "DATE"), SchemaField("id", "INT64"), SchemaField("note", "STRING"))
    name = bigquery.name("audiences", "campaign")
    table = make_table(bigquery, name, Layout("Audiences of a campaign.", schema, partitioned_by="day"), "test")
    aside = bigquery.name("scratch", "audience_aside")
    contents = {"2026-01-01": "1, 2", "2026-01-02": "3", "2026-01-01 again": "4"}
    for day, ids in contents.items():
        bigquery.run(
            f"create or replace table {quoted(aside)} as select id, 9 as other from unnest([{ids}]) as id", "test"
        )
        shared = {"day": f"date {literal(day[:10])}"}
        assert replace_slice(bigquery, table, shared, aside, (schema[1],), "test", stands=lambda: False)
    assert not replace_slice(bigquery, table, shared, None, (), "test", stands=lambda: True)
    rows = bigquery.values(f"select cast(day as string), id, note from {quoted(name)} order by id", "test")
    assert rows == [("2026-01-02", 3, None), ("2026-01-01", 4, None)]
    assert replace_slice(bigquery, table, {"day": "date '2026-01-02'"}, None, (), "test", stands=lambda: False)
    assert bigquery.values(f"select id from {quoted(name)}", "test") == [(4,)]


def test_a_table_made_by_two_at_once_has_the_columns_of_both(make_source: MakeSource) -> None:
    from google.cloud.bigquery import SchemaField

    bigquery = make_source(FILMS).bigquery
    name = bigquery.name("audiences", "widened")
    make_table(bigquery, name, Layout("One.", (SchemaField("id", "INT64"),)), "test")
    again = Layout("Other.", (SchemaField("ID", "INTEGER"), SchemaField("score", "FLOAT64", description="How sure.")))
    table = make_table(bigquery, name, again, "test")
    assert [(field.name, field.field_type) for field in table.schema] == [("id", "INTEGER"), ("score", "FLOAT")]
    assert table.schema[1].description == "How sure."


def test_a_name_by_which_other_files_would_be_loaded_too_is_refused(make_source: MakeSource) -> None:
    bigquery = make_source(FILMS).bigquery
    with pytest.raises(ValueError, match=r"holds \* cannot be loaded by name"):
        load_files(bigquery, bigquery.name("scratch", "x"), ["gs://b/*.json"], (), "NEWLINE_DELIMITED_JSON", "test")
