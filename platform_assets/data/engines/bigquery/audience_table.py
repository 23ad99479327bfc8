"""Audiences as tables, for those who work in BigQuery: `<stage>_audiences.<campaign>`, a slice an as-of date.

Belongs here: the table, and replacing the slice of one date. Does not belong here: which columns an audience has and what
they mean (`audiences.audience`), or how slices are replaced (`slices`).
"""
# ruff: noqa: S608 - statements are composed of names and literals, each quoted by `quoted` or made here.

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.bigquery.columns import fields_of
from platform_assets.data.engines.bigquery.connection import BigQuery, quoted
from platform_assets.data.engines.bigquery.slices import Layout, load_files, make_table, replace_slice
from platform_assets.data.engines.engine import AudienceTable

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField


def publish_table(bigquery: BigQuery, audience: AudienceTable, file: Path, uri: str, as_of: datetime) -> str:
    """Make one date's audience the slice of that date in the campaign's table: all its rows at once, or none.

    Args:
        file: the audience as Parquet.
        uri: gs:// URL of the same file.
        as_of: the instant that all its rows bear.

    Returns:
        The table's full name.

    Raises:
        LoadFailed, ColumnChanged: see `slices`.
    """
    import pyarrow.parquet as pq

    source = f"{audience.campaign} audience"
    schema = fields_of(pq.read_schema(file), audience.columns)
    aside = bigquery.name("scratch", f"audience_{hashlib.sha256(file.read_bytes()).hexdigest()[:32]}")
    load_files(bigquery, aside, [uri], schema, "PARQUET", source)
    name = bigquery.name("audiences", audience.campaign)
    layout = Layout(audience.description, schema, partitioned_by="as_of", clustered_by=(next(iter(audience.columns)),))
    table = make_table(bigquery, name, layout, source)
    shared = {"as_of": f"timestamp '{as_of.astimezone(UTC).isoformat(sep=' ')}'"}

    def stands() -> bool:
        where = f"as_of = {shared['as_of']}"
        rows = [_content(bigquery, of, where, schema, source) for of in (name, aside)]
        return rows[0] == rows[1]

    replace_slice(bigquery, table, shared, aside, schema, source, stands)
    return name


def _content(
    bigquery: BigQuery, table: str, where: str, schema: "tuple[SchemaField, ...]", source: str
) -> tuple[int, int | None]:
    """Row count and a hash of the rows that does not depend on their order."""
    columns = ", ".join(f"{quoted(field.name)} as {quoted(field.name)}" for field in schema)
    text = f"to_json_string(struct({columns}))"
    row_hash = f"cast(concat('0x', substr(to_hex(md5({text})), 1, 15)) as int64)"
    rows = bigquery.values(f"select count(*), bit_xor({row_hash}) from {quoted(table)} where {where}", source)
    return rows[0][0], rows[0][1]
