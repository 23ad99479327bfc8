"""Whatever an engine says of a value, the value is not repeated; what helps is."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from platform_assets.data.quality.unquoting import reason_of, without_values

PERSON = "bob@example.com"
# Quotes and line breaks in a value end what a simple pattern takes for it.
VALUES = (
    PERSON,
    f"O'{PERSON}",
    f'a "{PERSON}"',
    f"two\nlines {PERSON}",
    f"to INT32 when casting from source column {PERSON}",
)
SAID = {
    "cast(value as int)": "Could not convert string … to INT32 when casting from source column value",
    "cast(value as date)": "invalid date field format … when casting from source column value",
    "cast(value as timestamptz)": "invalid timestamp field format",
    "cast(value as decimal(5, 2))": "Could not convert string … to DECIMAL(5,2)",
    "cast(value as int[])": "Type VARCHAR with value … to the destination type INTEGER[]",
    "strptime(value, '%Y')": "Could not parse string",
    "json_extract(value, '$.x')": "Malformed JSON at byte",
    "error(value)": "Invalid Input Error: …",
    "timezone(value, now())": "Not implemented Error: …",
    "from_base64(value)": "Conversion Error: ",
    "regexp_matches(value, value || '[')": "Invalid Input Error: …",
}


def _said(query: str, **tables: pa.Table) -> str:
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(query).fetchall()
    return str(caught.value)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("expression", SAID)
def test_of_a_value_that_duckdb_cannot_read_only_the_kind_the_type_and_the_column_are_told(
    expression: str, value: str
) -> None:
    said = _said(f"select {expression} from people", people=pa.table({"value": [value]}))
    in_dbt = f"Runtime Error in model people (models/people.sql)\n  {said}\n  compiled code at target/people.sql"
    for clean in (without_values(said), without_values(in_dbt)):
        assert SAID[expression] in clean
        assert "bob" not in clean
        assert "example" not in clean
    assert without_values(in_dbt).startswith("Runtime Error in model people (models/people.sql)\n  ")
    assert without_values(in_dbt).endswith("\n  compiled code at target/people.sql")


def test_numbers_are_values_too() -> None:
    numbers = pa.table({"phone": [491701234567]})
    for expression in ("cast(phone as int)", "phone * 99999999"):
        clean = without_values(_said(f"select {expression} from people", people=numbers))
        assert "INT64" in clean
        assert "491701234567" not in clean


@pytest.mark.parametrize(
    "message",
    [
        'Binder Error: Referenced column "amont" not found in FROM clause!\nCandidate bindings: "amount"',
        "Catalog Error: Table with name ordrs does not exist!",
        'IO Error: Could not set lock on file "dbt.duckdb": Conflicting lock is held in python (PID 12).',
        "Encountered an error:\nCompilation Error\n  Model 'model.a.orders' depends on a node named 'ordrs' which was not found",
        "Database Error in model orders (models/orders.sql)\n  Unrecognized name: amont; Did you mean 'amount'? at [3:8]",
        "Invalid Input Error: attribute price holds a number that 2 decimals cannot hold exactly; read it with dynamodb_number_text",
    ],
)
def test_what_is_said_of_names_files_and_the_project_is_repeated_word_for_word(message: str) -> None:
    assert without_values(message) == message


@pytest.mark.parametrize(
    ("message", "clean"),
    [
        (f"Bad int64 value: {PERSON}", "Bad int64 value: …"),
        (f"Invalid timestamp: 'O'{PERSON}\nx'", "Invalid timestamp: …"),
        ("Division by zero: 491701234567 / 0", "Division by zero: …"),
        (
            f'Database Error in model people (models/people.sql)\n  Failed to cast "{PERSON}"\n  compiled code at x.sql',
            "Database Error in model people (models/people.sql)\n  Failed to cast '…'\n  compiled code at x.sql",
        ),
    ],
)
def test_of_what_bigquery_says_the_values_are_blotted_out(message: str, clean: str) -> None:
    assert without_values(message) == clean


def test_of_a_reader_s_error_the_first_line_is_told_without_what_it_quotes(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid) as caught:
        pa.array([PERSON]).cast(pa.int64())
    assert reason_of(caught.value) == "Failed to parse string: …"
    (tmp_path / "part.parquet").write_text(PERSON)
    said = _said(f"from read_parquet('{tmp_path / 'part.parquet'}')")
    assert (
        reason_of(duckdb.InvalidInputException(said))
        == f"Invalid Input Error: No magic bytes found at end of file '{tmp_path / 'part.parquet'}'"
    )
