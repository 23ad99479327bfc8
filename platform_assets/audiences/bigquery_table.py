"""Audiences as tables, for those who work in BigQuery: `<stage>_audiences.<campaign>`, a slice an as-of date.

Belongs here: a table's columns and what they mean, and replacing the slice of one date. Does not belong here: choosing the
audience (`audience`), or how slices are replaced (`warehouse.bigquery.slices`).
"""
# ruff: noqa: S608 - statements are composed of names and literals, each quoted by `quoted` or made here.

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from platform_assets.artifacts import Artifact
from platform_assets.audiences.audience import FILE
from platform_assets.warehouse.bigquery.columns import fields_of
from platform_assets.warehouse.bigquery.connection import BigQuery, quoted
from platform_assets.warehouse.bigquery.slices import Layout, load_files, make_table, replace_slice

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField

MEANINGS = {
    "as_of": "The instant before which everything behind the score was known.",
    "horizon_days": "Days from as_of on that the score is about.",
    "score": "Calibrated probability.",
    "rank": "1 is the highest score.",
    "decile": "1 is the tenth with the highest scores.",
    "expected_value": "Score times the value that the campaign states; null when it states none.",
    "reasons": "What speaks for this person most, in words; for the first 10,000 of the audience.",
    "eligible": "Whether no exclusion holds.",
    "why_not": "The first exclusion that holds.",
    "selected": "Whether the person is in the audience.",
    "arm": "treat or holdout, for those in the audience.",
    "model_version": "Content hash of the ensemble.",
    "config_hash": "Hash of the campaign's resolved specification.",
}


def publish_table(
    bigquery: BigQuery, campaign: str, description: str, key: str, audience: Artifact, uri: str, as_of: datetime
) -> str:
    """Make one date's audience the slice of that date in the campaign's table: all its rows at once, or none.

    Args:
        key: the entity's key column.
        uri: gs:// URL of the audience's Parquet file.
        as_of: the instant that all its rows bear.

    Returns:
        The table's full name.

    Raises:
        LoadFailed, ColumnChanged: see `warehouse.bigquery.slices`.
    """
    import pyarrow.parquet as pq

    source = f"{campaign} audience"
    schema = fields_of(pq.read_schema(audience.path(FILE)), MEANINGS | {key: "The person."})
    aside = bigquery.name("scratch", f"audience_{audience.ref.content_hash[:32]}")
    load_files(bigquery, aside, [uri], schema, "PARQUET", source)
    name = bigquery.name("audiences", campaign)
    layout = Layout(description, schema, partitioned_by="as_of", clustered_by=(key,))
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
    found = bigquery.values(f"select count(*), bit_xor({row_hash}) from {quoted(table)} where {where}", source)
    return found[0][0], found[0][1]
