"""A DynamoDB table by its full and incremental exports, as rows of items: what it held, and what it holds now.

Belongs here: which exports count, and folding their decoded rows before anything is declared. Does not belong here: the
columns of items (`items`), and folding in a project (dbt's macros).
"""
# ruff: noqa: S608 - statements are composed of names and paths, each quoted by `quoted` or `literal`.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.exports.chain import Chain
from platform_assets.data.exports.dynamodb import typed_key, written_micros
from platform_assets.operations.onboarding.reading import parts
from platform_assets.operations.onboarding.reading.parts import literal

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Folded:
    """Rows of items with the export that shows them.

    Attributes:
        raw: SQL of the rows; those of the last link are what the table holds now.
        key: the attributes of the table's key, which changes tell.
    """

    raw: str
    key: tuple[str, ...]


def folded(
    engine: "duckdb.DuckDBPyConnection", table: str, chain: Chain, folders: Mapping[str, Sequence[Path]]
) -> Folded:
    """The items of a chain that ends with windows.

    Args:
        folders: export id → the Parquet parts it was decoded into.
    """
    last = chain.segments[-1]
    end = last.windows[-1]
    windows = [link.export_id for link in last.windows]
    changes = parts.parquet([path for export_id in windows for path in folders[export_id]])
    names = engine.execute(f"select json_keys(Keys) from {changes} limit 1").fetchall()
    key = tuple(names[0][0]) if names else ()
    now = f"{parts.quoted(f'now {table}')}"
    base = parts.parquet(folders[last.base.export_id])
    stamp = (
        f"{literal(end.export_id)} as _export_id, {literal(end.exported_at.isoformat())}::timestamptz as _exported_at"
    )
    if not key:
        engine.execute(f"create table {now} as select Item, {stamp} from {base}")
    else:
        written = written_micros(lambda path: f"json_extract_string(Metadata, {literal(path)})")
        engine.execute(
            f"create table {now} as with latest as (select {_key_of('Keys', key)} as item_key, NewImage as Item from {changes} "
            f"qualify row_number() over (partition by item_key order by {written}::bigint desc) = 1) "
            f"select Item, {stamp} from latest where Item is not null union all "
            f"select Item, {stamp} from (select Item, {_key_of('Item', key)} as item_key from {base}) as base "
            "anti join latest using (item_key)"
        )
    rows = [f"select * from {now}"]
    for link in chain.links:
        if link is not end and folders[link.export_id]:
            item = "Item" if link.window_start is None else "NewImage"
            source = parts.parquet(folders[link.export_id])
            rows.append(f"select {item} as Item, _export_id, _exported_at from {source} where {item} is not null")
    return Folded(f"({' union all '.join(rows)})", key)


def _key_of(holding: str, key: Sequence[str]) -> str:
    return f"[{', '.join(typed_key(name, lambda path: f'json_extract_string({holding}, {literal(path)})') for name in key)}]"
