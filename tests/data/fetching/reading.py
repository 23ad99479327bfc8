"""What a load laid down, read back through the path that every export takes."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.fetching.spec import SaasSourceSpec
from platform_assets.data.raw.discover import LoadedSource, load_source

State = dict[str, dict[str, Any]]


def load_raw(spec: SaasSourceSpec, folder: Path) -> LoadedSource:
    """Verified and published like any other export; nothing of it was set aside."""
    loaded = load_source(spec.exports(), "billing", str(folder / "exports"), FolderTables(folder / "raw"))
    assert loaded.set_aside == ()
    assert loaded.absent == {}
    return loaded


def latest(spec: SaasSourceSpec, folder: Path, kind: str) -> State:
    """Objects by id, as the newest export has them in the raw table."""
    newest = load_raw(spec, folder).tables[kind].exports[-1].export_id
    rows = duckdb.execute(
        f"select \"Item\" from read_parquet('{folder}/raw/billing/{kind}/*/*.parquet') where _export_id = ?", [newest]
    ).fetchall()
    objects = [{name: plain(value) for name, value in json.loads(item).items()} for (item,) in rows]
    by_id = {one["id"]: one for one in objects}
    assert len(by_id) == len(objects)
    return by_id


def plain(value: dict[str, Any]) -> Any:
    """A typed value as JSON has it."""
    ((kind, held),) = value.items()
    match kind:
        case "M":
            return {name: plain(one) for name, one in held.items()}
        case "L":
            return [plain(one) for one in held]
        case "N":
            return int(held) if held.lstrip("-").isdigit() else Decimal(held)
        case "NULL":
            return None
    return held
