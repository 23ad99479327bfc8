"""The Dagster face of loading exports: one multi-asset a source, an asset a raw table.

Belongs here: keys, groups, kinds, metadata and failures. Does not belong here: any reading or writing of exports.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from platform_assets.data.engines.opening import open_engine
from platform_assets.data.engines.profiles import RawProfiles
from platform_assets.data.engines.raw_tables import RawTables
from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.checks import check_results, check_specs, column_schema
from platform_assets.data.raw.discover import LoadedSource, load_source
from platform_assets.data.raw.history import open_histories

if TYPE_CHECKING:
    from platform_assets.environment import Environment

GROUP = "raw"
_KINDS = {"aurora_snapshot": "aurora", "dynamodb_full": "dynamodb"}


def export_assets(spec: ExportSourceSpec, name: str, environment: "Environment") -> list[dg.AssetsDefinition]:
    """The assets `raw/<name>/<table>` of a source, loaded together and selectable one by one."""
    keys = {table.name: dg.AssetKey(["raw", name, table.name]) for table in spec.tables}
    engine = open_engine(environment)
    raw = engine.raw

    @dg.multi_asset(
        name=f"raw_{name}",
        can_subset=True,
        specs=[
            dg.AssetSpec(
                keys[table.name],
                description=f"{spec.description} Table {table.export_table} as exported, one export beside the other.",
                group_name=GROUP,
                kinds={_KINDS[spec.format], *raw.kinds},
                owners=[spec.owner],
                metadata={"export_table": table.export_table, "key": ", ".join(table.key)},
            )
            for table in spec.tables
        ],
        check_specs=[check for key in keys.values() for check in check_specs(key)],
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        wanted = [table for table, key in keys.items() if key in context.selected_asset_keys]
        checks = context.op_execution_context.selected_asset_check_keys
        checked = {table: key for table, key in keys.items() if any(check.asset_key == key for check in checks)}
        try:
            loaded = load_source(spec, name, environment.exports, raw, wanted)
            histories = open_histories(environment, engine, {name: spec})
            compared = {key: histories.of(name, table) for table, key in checked.items()}
        except ExportError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for table in wanted:
            yield dg.MaterializeResult(
                asset_key=keys[table],
                metadata=_metadata(loaded, table, raw) | _columns(engine.profiles, loaded, table),
                data_version=dg.DataVersion(loaded.tables[table].data_version),
            )
        for key, history in compared.items():
            yield from check_results(key, history, checks)

    return [load]


def _columns(profiles: RawProfiles, loaded: LoadedSource, table: str) -> dict[str, dg.MetadataValue]:
    """The newest export's columns; nothing where they were not recorded when it was loaded."""
    newest = loaded.tables[table].exports[-1]
    profile = profiles.recorded(newest.source, table).get(newest.export_id)
    return {} if profile is None else {"dagster/column_schema": dg.MetadataValue.table_schema(column_schema(profile))}


def _metadata(loaded: LoadedSource, table: str, raw_tables: RawTables) -> dict[str, dg.MetadataValue]:
    exports = loaded.tables[table].exports
    newest = exports[-1]
    location = raw_tables.location(newest.source, table)
    new = loaded.tables[table].new
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(newest.rows),
        "exports": dg.MetadataValue.int(len(exports)),
        "new": dg.MetadataValue.int(new),
        "hit": dg.MetadataValue.bool(new == 0),
        "rows_of_all_exports": dg.MetadataValue.int(sum(raw.rows for raw in exports)),
        "exported_at": dg.MetadataValue.timestamp(newest.exported_at),
        "export_id": dg.MetadataValue.text(newest.export_id),
    }
    if "bigquery" in raw_tables.kinds:
        metadata["dagster/table_name"] = dg.MetadataValue.text(location)
    else:
        metadata["folder"] = dg.MetadataValue.path(location)
    if loaded.in_progress:
        metadata["in_progress"] = dg.MetadataValue.text("\n".join(loaded.in_progress))
    return metadata
