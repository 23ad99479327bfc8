"""The Dagster face of feature groups: an asset a group, a partition a business date.

Partition D holds the whole population as of the midnight that begins D in the entity's time zone. Belongs here: keys,
partitions, checks, metadata, failures. Does not belong here: computing, caching or auditing (tables.py).
"""

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from platform_assets.data.catalog.catalog import Catalog, Entity
from platform_assets.data.catalog.pointer import MartMissing, MartRefused
from platform_assets.data.engines.opening import open_warehouse
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.holdings import Groups
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import AsOfNotCovered, MartNotUsable, feature_group_table, feature_recipe
from platform_assets.data.quality import AuditFailed, Verdicts
from platform_assets.data.quality.assets import audit_check_result, audit_check_spec, audit_metadata
from platform_assets.foundation.artifacts import ArtifactStore, ArtifactUnusable

if TYPE_CHECKING:
    from platform_assets.data.engines.reading import Warehouse
    from platform_assets.environment import Environment

GROUP_NAME = "features"


def feature_assets(
    environment: "Environment", catalog: Catalog, partitions: dg.PartitionsDefinition, groups: Groups
) -> list[dg.AssetsDefinition]:
    """One asset `features/<entity>/<group>` for each group, partitioned by as-of date.

    Raises:
        CatalogError: a group names an entity or a mart that the catalog does not have.
    """
    return [
        _group_asset(group, catalog.entity(entity), environment, catalog, partitions)
        for entity, own in groups.items()
        for group in own.values()
    ]


def day_asked(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> date:
    """The as-of date of a step.

    Raises:
        dg.Failure: its run was started without one.
    """
    if not context.has_partition_key:
        raise dg.Failure(
            "this run has no as-of date, which Dagster calls a partition: `platform-assets score <campaign or entity> "
            "[--as-of DATE]` asks for one (default: the latest that the exports cover); in the UI, choose a date",
            allow_retries=False,
        )
    return date.fromisoformat(context.partition_key)


def _group_asset(
    group: FeatureGroup,
    entity: Entity,
    environment: "Environment",
    catalog: Catalog,
    partitions: dg.PartitionsDefinition,
) -> dg.AssetsDefinition:
    key = dg.AssetKey(group.key.split("/"))
    marts = [catalog.mart(name).name for name in sorted({*group.marts, entity.population})]
    columns = [
        dg.TableColumn(entity.key, catalog.mart(entity.mart).columns[entity.key].data_type, f"the {entity.name}"),
        dg.TableColumn("as_of", "timestamp", description="the instant before which everything here was known"),
        *(dg.TableColumn(name, "double", description=f.description) for name, f in group.features.items()),
    ]

    @dg.asset(
        key=key,
        group_name=GROUP_NAME,
        description=f"{group.description}, for every {entity.name} as of the beginning of the date.",
        partitions_def=partitions,
        deps=[dg.AssetKey(["marts", mart]) for mart in marts],
        check_specs=[audit_check_spec(key)],
        kinds={"duckdb", "ibis", "parquet"},
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
    )
    def features(context: dg.AssetExecutionContext) -> Iterator[Any]:
        warehouse = open_warehouse(environment, catalog, group.key)
        spine = Spine.of_population(entity, entity.instant_of(day_asked(context)))
        verdicts = Verdicts(environment.verdicts, environment.data_docs, partial(environment.page_url, "audits"))
        slot = context.partition_key
        try:
            fingerprint = feature_recipe(group, spine, warehouse).fingerprint
            artifact = feature_group_table(group, spine, warehouse, ArtifactStore(environment.artifacts))
        except AuditFailed as failed:
            verdicts.refuse(group.key, slot, fingerprint, str(failed), failed.result.metadata())
            yield audit_check_result(failed.result, key, verdicts.page(group.key, slot))
            raise dg.Failure(
                str(failed), metadata=audit_metadata(failed.result.metadata()), allow_retries=False
            ) from failed
        except (ArtifactUnusable, AsOfNotCovered, MartNotUsable, MartMissing, MartRefused) as refused:
            raise dg.Failure(str(refused), allow_retries=False) from refused
        stored = artifact.metadata
        verdicts.passed(group.key, slot, artifact.ref.fingerprint, stored["audit"])
        yield audit_check_result(stored["audit"], key, verdicts.page(group.key, slot))
        yield dg.Output(
            artifact.ref,
            data_version=dg.DataVersion(artifact.ref.content_hash),
            metadata={
                **artifact.dagster_metadata(),
                "dagster/row_count": stored["rows"],
                "as_of": stored["as_of"],
                "features": stored["features"],
                **({"remarks": "\n\n".join(stored["remarks"])} if stored.get("remarks") else {}),
                **audit_metadata(stored["audit"]),
                **warehouse.cost(),
                "dagster/column_lineage": _lineage(group, spine, warehouse),
            },
        )

    return features


def _lineage(group: FeatureGroup, spine: Spine, warehouse: "Warehouse") -> dg.TableColumnLineage:
    from platform_assets.data.features.origins import feature_origins

    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(dg.AssetKey(["marts", mart]), name) for mart, name in made_of]
            for column, made_of in feature_origins(group, spine, warehouse).items()
        }
    )
