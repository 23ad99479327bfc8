"""The Dagster face of loading exports: one multi-asset a source, an asset a raw table.

Belongs here: keys, groups, kinds, metadata and failures. Does not belong here: any reading or writing of exports.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from platform_assets.data.engines.opening import open_engine
from platform_assets.data.engines.profiles import RawProfiles
from platform_assets.data.engines.raw_tables import RawTables
from platform_assets.data.exports.export import ExportError, LoadRefused, changes_of
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.fetching.spec import SaasExportsSpec
from platform_assets.data.raw.checks import check_results, check_specs, column_schema
from platform_assets.data.raw.comparison.history import open_histories
from platform_assets.data.raw.discover import LoadedSource, LoadedTable, load_source
from platform_assets.data.raw.known import known_exports
from platform_assets.data.raw.quarantined import NAME as QUARANTINED
from platform_assets.data.raw.quarantined import quarantined_metadata, quarantined_result, quarantined_spec
from platform_assets.data.raw.requested import requested_metadata, requested_of
from platform_assets.data.raw.transferred import transfer_metadata, with_brought
from platform_assets.data.raw.usable_exports import NAME as USABLE
from platform_assets.data.raw.usable_exports import usable_exports_result, usable_exports_spec
from platform_assets.data.transfer.bringing import bring
from platform_assets.foundation.execution.profiles import way_out
from platform_assets.foundation.storage import StorageRefused

if TYPE_CHECKING:
    from platform_assets.environment import Environment

GROUP = "raw"
_KINDS = {"aurora_snapshot": "aurora", "dynamodb": "dynamodb"}


def export_assets(
    spec: ExportSourceSpec, name: str, environment: "Environment", after: Sequence[dg.AssetKey] = ()
) -> list[dg.AssetsDefinition]:
    """The assets `raw/<name>/<table>` of a source with their checks, loaded together and selectable one by one.

    A table of which no export can be used is made all the same, empty: its check says so, and what needs no export of it
    is not held up.

    Args:
        after: the assets that make the exports, where the platform does.
    """
    keys = {table.name: dg.AssetKey(["raw", name, table.name]) for table in spec.tables}
    engine = open_engine(environment)
    raw = engine.raw

    @dg.multi_asset(
        name=f"raw_{name}",
        can_subset=True,
        op_tags=way_out("s3") if spec.origin else None,
        specs=[
            dg.AssetSpec(
                keys[table.name],
                description=f"{spec.description} Table {table.export_table} as exported, one export beside the other.",
                group_name=GROUP,
                kinds={_kind(spec), *raw.kinds, *(("s3",) if spec.origin else ())},
                deps=after,
                owners=[spec.owner],
                metadata={"export_table": table.export_table, "key": ", ".join(table.key)},
            )
            for table in spec.tables
        ],
        check_specs=[
            check
            for key in keys.values()
            for check in (usable_exports_spec(key), quarantined_spec(key), *check_specs(key))
        ],
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        checks = context.op_execution_context.selected_asset_check_keys
        checked = {check.asset_key for check in checks}
        materialized = context.selected_asset_keys
        wanted = [table for table, key in keys.items() if key in checked | materialized]
        try:
            brought = bring(spec, environment.exports)
            known = known_exports(environment, name, spec)
            loaded = load_source(spec, name, environment.exports, raw, wanted, known)
            loaded = with_brought(loaded, brought)
            requested = requested_of(spec, environment.exports)
            histories = open_histories(environment, engine, {name: spec})
            compared = {
                keys[table]: (histories.of(name, table), histories.of(name, changes_of(table)))
                for table in wanted
                if keys[table] in checked
            }
        except StorageRefused as error:
            raise dg.Failure(str(error)) from error
        except (ExportError, LoadRefused) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for table in wanted:
            if dg.AssetCheckKey(keys[table], USABLE) in checks:
                faults = [*loaded.faults(table), *requested[table].faults]
                yield usable_exports_result(keys[table], faults, loaded.tables[table].behind)
            if dg.AssetCheckKey(keys[table], QUARANTINED) in checks:
                yield quarantined_result(keys[table], name, loaded.tables[table])
            if keys[table] not in materialized:
                continue
            yield dg.MaterializeResult(
                asset_key=keys[table],
                metadata=_metadata(loaded, table, raw)
                | _columns(engine.profiles, loaded, table, spec)
                | quarantined_metadata(loaded.tables[table])
                | transfer_metadata(brought)
                | requested_metadata(requested[table].requests, requested[table].faults),
                data_version=dg.DataVersion(loaded.tables[table].data_version),
            )
        for key, (history, windows) in compared.items():
            yield from check_results(key, history, checks, windows)

    return [load]


def _kind(spec: ExportSourceSpec) -> str:
    return spec.saas.service if isinstance(spec, SaasExportsSpec) else _KINDS[spec.format]


def _columns(
    profiles: RawProfiles, loaded: LoadedSource, table: str, spec: ExportSourceSpec
) -> dict[str, dg.MetadataValue]:
    """The columns by the newest export; nothing where they were not recorded when it was loaded."""
    exports = loaded.tables[table].exports
    profile = profiles.recorded(loaded.source, table).get(exports[-1].export_id) if exports else None
    if profile is None:
        return {}
    schema = column_schema(profile, profiles.own_columns, spec.format)
    return {"dagster/column_schema": dg.MetadataValue.table_schema(schema)}


def _of_chain(table: LoadedTable) -> dict[str, dg.MetadataValue]:
    """What is known by incremental exports; nothing where there are none."""
    if not table.changes:
        return {}
    metadata: dict[str, dg.MetadataValue] = {"incremental_exports": dg.MetadataValue.int(len(table.changes))}
    if table.chain.end:
        metadata["known_until"] = dg.MetadataValue.timestamp(table.chain.end)
    if table.chain.apart:
        metadata["no_links"] = dg.MetadataValue.text("\n".join(table.chain.apart.values()))
    return metadata


def _metadata(loaded: LoadedSource, table: str, raw_tables: RawTables) -> dict[str, dg.MetadataValue]:
    exports = loaded.tables[table].exports
    location = raw_tables.location(loaded.source, table)
    new = loaded.tables[table].new
    metadata: dict[str, dg.MetadataValue] = {
        "exports": dg.MetadataValue.int(len(exports)),
        "new": dg.MetadataValue.int(new),
        "hit": dg.MetadataValue.bool(new == 0),
        "rows_of_all_exports": dg.MetadataValue.int(sum(raw.rows for raw in exports)),
    }
    if exports:
        metadata |= {
            "dagster/row_count": dg.MetadataValue.int(exports[-1].rows),
            "exported_at": dg.MetadataValue.timestamp(exports[-1].exported_at),
            "export_id": dg.MetadataValue.text(exports[-1].export_id),
        }
    metadata |= _of_chain(loaded.tables[table])
    if "bigquery" in raw_tables.kinds:
        metadata["dagster/table_name"] = dg.MetadataValue.text(location)
    else:
        metadata["folder"] = dg.MetadataValue.path(location)
    if loaded.in_progress:
        metadata["in_progress"] = dg.MetadataValue.text("\n".join(loaded.in_progress))
    if aside := [export.export_id for export in loaded.set_aside if table in export.tables]:
        metadata["set_aside"] = dg.MetadataValue.text(", ".join(aside))
    return metadata
