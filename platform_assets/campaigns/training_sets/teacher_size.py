"""How large a teacher file may be, found out by streaming through it before its rows are taken into memory.

Belongs here: counting rows, columns and text, and the refusal. Does not belong here: what the rows say (`teacher`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from platform_assets.environment import Limits

if TYPE_CHECKING:
    import pyarrow as pa


class TeacherTooLarge(ValueError):
    """A teacher file is larger than allowed; the sentence is to follow its name."""


def require_within(reader: str, path: str, schema: "pa.Schema", wanted: Sequence[str], limits: Limits) -> None:
    """Return when a teacher file may be read into memory.

    Args:
        reader: the SQL function that reads it, with a parameter for its path.
        schema: of all its columns.
        wanted: the columns that are read.

    Raises:
        TeacherTooLarge: it has more rows, columns or text than `limits` allow, or a column of lists or structs.
        duckdb.Error: it cannot be read.
    """
    import duckdb
    import pyarrow as pa

    if len(schema) > limits.columns:
        raise TeacherTooLarge(
            f"has {len(schema)} columns; {limits.columns} are allowed. It needs {', '.join(wanted)} alone; to keep the others, "
            f"raise PLATFORM_MAX_COLUMNS"
        )
    for name in wanted:
        if pa.types.is_nested(schema.field(name).type):
            raise TeacherTooLarge(f"{name} is a {schema.field(name).type}; it takes one value a row")
    # The text itself stays where it is: what a dictionary repeats is not copied here.
    lengths = {
        name: f'coalesce({"octet_length" if pa.types.is_binary(schema.field(name).type) else "strlen"}("{name}"), 0)'
        for name in wanted
        if pa.types.is_string(schema.field(name).type) or pa.types.is_binary(schema.field(name).type)
    }
    length = " + ".join(lengths.values()) or "0"
    with duckdb.connect() as connection:
        # A page that decompresses to more than this is an error of the file's.
        connection.execute(f"set memory_limit = '{max(limits.teacher_bytes, 256 * 1024**2)}B'")
        rows = connection.execute(f"select count(*) from {reader}", [path]).fetchall()[0][0]  # noqa: S608 - one of two constants
        if rows > limits.teacher_rows:
            raise TeacherTooLarge(
                f"has {rows} rows; {limits.teacher_rows} are allowed. Name fewer people or times, or raise "
                f"PLATFORM_MAX_TEACHER_ROWS on a machine with the memory for it"
            )
        total = connection.execute(f"select sum({length}) from {reader}", [path]).fetchall()[0][0] or 0  # noqa: S608
    if total > limits.teacher_bytes:
        raise TeacherTooLarge(
            f"holds {total} bytes of text in {', '.join(lengths)}; {limits.teacher_bytes} are allowed. Shorten them, or raise "
            f"PLATFORM_MAX_TEACHER_BYTES on a machine with the memory for it"
        )
