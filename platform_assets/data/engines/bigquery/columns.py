"""BigQuery's columns for Arrow's.

Belongs here: which of BigQuery's types holds which of Arrow's, as BigQuery's own reading of Parquet has it. Does not belong
here: any table.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery import SchemaField


class NoSuchType(ValueError):
    """A column has a type that BigQuery does not hold; the message names it."""


def fields_of(schema: "pa.Schema", descriptions: Mapping[str, str]) -> tuple["SchemaField", ...]:
    """BigQuery's columns for the columns of a Parquet file.

    Raises:
        NoSuchType: there is none for one of them.
    """
    from google.cloud.bigquery import SchemaField

    fields = []
    for field in schema:
        kind, mode = kind_of(field.type)
        if kind is None:
            raise NoSuchType(f"column {field.name} is {field.type}, which BigQuery has no type for")
        fields.append(SchemaField(field.name, kind, mode=mode, description=descriptions.get(field.name, "")))
    return tuple(fields)


def kind_of(arrow: "pa.DataType") -> tuple[str | None, str]:
    """(BigQuery's name of a type, None when it has none; mode of the column)."""
    import pyarrow as pa

    if pa.types.is_list(arrow):
        kind = None if pa.types.is_list(arrow.value_type) else kind_of(arrow.value_type)[0]
        return kind, "REPEATED"
    tests: tuple[tuple[Callable[[Any], bool], str], ...] = (
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "FLOAT"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
        (lambda kind: pa.types.is_timestamp(kind) and kind.tz is None, "DATETIME"),
        (pa.types.is_timestamp, "TIMESTAMP"),
        # NUMERIC has 29 digits before the point and 9 after it.
        (lambda kind: pa.types.is_decimal(kind) and kind.scale <= 9 and kind.precision - kind.scale <= 29, "NUMERIC"),
        (pa.types.is_decimal, "BIGNUMERIC"),
        (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), "STRING"),
        (lambda kind: pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind), "BYTES"),
    )
    return next((name for test, name in tests if test(arrow)), None), "NULLABLE"
