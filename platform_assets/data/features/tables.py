"""Feature tables: made once for what they depend on, audited before anyone can read them.

A table is cached under the code of its group, its spine, its rules, and the versions of the mart rows that
lie before the spine's last as-of: yesterday's rows do not remake last year. Belongs here: caching, auditing,
joining. Does not belong here: what is computed (groups/, windows.py, point_in_time.py: their code is in the
fingerprint, this file's is not).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.derived.groups import DerivedGroup
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.spine import Spine
from platform_assets.data.quality import Bounds, Columns, Key, Monotone, NullShare, RowCount, Rule, audit
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from platform_assets.data.engines.reading import Warehouse

FILE = "features.parquet"
POINT_IN_TIME = "platform_assets.data.features.point_in_time"


class AsOfNotCovered(ValueError):
    """An as-of lies after what the exports cover; features there would lack events."""


class MartNotUsable(ValueError):
    """A group names a mart that cannot be read point in time; the message says what to do."""


@dataclass(frozen=True)
class FeatureTable:
    """Several groups on one spine.

    Attributes:
        table: the entity's key, `as_of`, then every feature (float64), sorted by key and as_of.
        artifacts: group name → the artifact its columns come from.
    """

    table: "pa.Table"
    artifacts: Mapping[str, Artifact]

    @property
    def content_hashes(self) -> dict[str, str]:
        """Group name → content hash, for the recipe of what is made from this table."""
        return {name: artifact.ref.content_hash for name, artifact in self.artifacts.items()}


def feature_group_table(group: FeatureGroup, spine: Spine, warehouse: "Warehouse", store: ArtifactStore) -> Artifact:
    """The group's features at every spine row: found in the store, or built, audited and then published.

    Its file `features.parquet` has the entity's key, `as_of` and the features (float64), sorted by key and as_of.
    Its metadata: rows, as_of, features, audit; of a derived group remarks too.

    Raises:
        AsOfNotCovered: the marts' watermark lies before the spine's last as-of.
        MartMissing, MartRefused: a mart cannot be read.
        MartNotUsable: the group reads a mart that holds no past.
        AuditFailed: the table broke a critical rule; nothing was published.
    """
    recipe = feature_recipe(group, spine, warehouse)

    def build(folder: Path) -> dict[str, Any]:
        import pyarrow.parquet as pq

        table = compute_features(group, spine, warehouse)
        rules = audit_rules(group, spine.entity.key, spine.rows(warehouse).num_rows)
        result = audit(table, rules, name=group.key, personal=[spine.entity.key]).raise_if_failed()
        pq.write_table(table, folder / FILE, compression="zstd")
        return {
            "rows": table.num_rows,
            "as_of": "own as-of per row" if spine.single_as_of is None else spine.single_as_of.isoformat(),
            "features": len(group.features),
            "audit": result.metadata(),
            **({"remarks": group.remarks(spine.max_as_of, table)} if isinstance(group, DerivedGroup) else {}),
        }

    return store.get_or_build(recipe, build)


def feature_table(
    groups: Iterable[FeatureGroup], spine: Spine, warehouse: "Warehouse", store: ArtifactStore
) -> FeatureTable:
    """All features of several groups side by side.

    Raises as `feature_group_table` does, and ValueError without a group.
    """
    artifacts = {group.name: feature_group_table(group, spine, warehouse, store) for group in groups}
    tables = {name: _stored(artifact) for name, artifact in artifacts.items()}
    return FeatureTable(_side_by_side(spine, tables), artifacts)


def glance(groups: Iterable[FeatureGroup], spine: Spine, warehouse: "Warehouse", store: ArtifactStore) -> "pa.Table":
    """The same columns for a first look: what is in the store is read, the rest is computed, not audited, not kept."""
    tables = {}
    for group in groups:
        stored = store.find(feature_recipe(group, spine, warehouse).fingerprint)
        tables[group.name] = _stored(stored) if stored else compute_features(group, spine, warehouse)
    return _side_by_side(spine, tables)


def _stored(artifact: Artifact) -> "pa.Table":
    import pyarrow.parquet as pq

    # One path, never a dataset: folders named x=y above it are not partitions.
    return pq.ParquetFile(artifact.path(FILE)).read()


def _side_by_side(spine: Spine, tables: "Mapping[str, pa.Table]") -> "pa.Table":
    keys = [spine.entity.key, "as_of"]
    joined: pa.Table | None = None
    for name, table in tables.items():
        if joined is None:
            joined = table
            continue
        if not table.select(keys).equals(joined.select(keys)):
            raise ValueError(
                f"features/{spine.entity.name}/{name} has other rows than {', '.join(tables)}; materialise it again"
            )
        for column in table.column_names[len(keys) :]:
            joined = joined.append_column(column, table[column])
    if joined is None:
        raise ValueError(f"no feature group of {spine.entity.name} was asked for; name at least one")
    return joined


def feature_recipe(group: FeatureGroup, spine: Spine, warehouse: "Warehouse") -> Recipe:
    """Everything a group's table on a spine depends on.

    Raises as `feature_group_table` does, but for AuditFailed.
    """
    if group.entity != spine.entity.name:
        raise ValueError(
            f"{group.key} describes {group.entity}, the spine holds {spine.entity.name}; ask for one of its groups"
        )
    marts = sorted({*group.marts, *spine.marts})
    watermark = warehouse.watermark(*marts)
    if watermark < spine.max_as_of:
        raise AsOfNotCovered(
            f"{group.key} as of {spine.max_as_of.isoformat()}: the exports behind {', '.join(marts)} cover everything "
            f"before {watermark.isoformat()} only; load a later export, or ask for an earlier as-of"
        )
    declared = {name: warehouse.catalog.mart(name) for name in marts}
    return Recipe(
        key=group.key,
        code=code_of(group.module, POINT_IN_TIME),
        config={
            "spine": spine.content_id,
            "features": {name: asdict(feature) for name, feature in group.features.items()},
            "rules": [rule.to_json() for rule in audit_rules(group, spine.entity.key)],
            "marts": {
                name: [mart.entity_key, mart.event_time, mart.history, mart.arrival_lag.total_seconds()]
                for name, mart in declared.items()
            },
            "engine": warehouse.engine,
            **({"declaration": group.declaration} if isinstance(group, DerivedGroup) else {}),
        },
        inputs={
            f"marts/{name}": warehouse.version_before(name, spine.max_as_of - mart.arrival_lag)
            for name, mart in declared.items()
        },
    )


def audit_rules(group: FeatureGroup, key: str, rows: int | None = None) -> list[Rule]:
    """What a group's table must satisfy, from the group's own declaration; `rows`: how many the spine has."""
    rules: list[Rule] = [
        Columns((key, "as_of", *group.features), dict.fromkeys(group.features, "double")),
        Key((key, "as_of")),
    ]
    if rows is not None:
        rules.append(RowCount(exactly=rows))
    for name, feature in group.features.items():
        rules.append(Bounds(name, feature.minimum, feature.maximum))
        if not feature.nullable:
            rules.append(NullShare(name))
    return [*rules, *(Monotone(along) for along in group.monotone)]


def compute_features(group: FeatureGroup, spine: Spine, warehouse: "Warehouse") -> "pa.Table":
    """The group's table at the spine, neither cached nor audited.

    Raises as `feature_expression` does.
    """
    return warehouse.to_arrow(feature_expression(group, spine, warehouse))


def feature_expression(group: FeatureGroup, spine: Spine, warehouse: "Warehouse") -> "ir.Table":
    """What computes the group's table at the spine.

    Raises:
        MartMissing, MartRefused, MartNotUsable: a mart cannot be read.
    """
    from platform_assets.data.features.point_in_time import finished
    from platform_assets.data.features.windows import AsOfRows

    asked = AsOfRows(spine.in_engine(warehouse), spine.entity.key, spine.single_as_of)
    marts = {name: _known(name, group, asked, spine, warehouse) for name in group.marts}
    return finished(group.build(marts, asked), spine.entity.key, list(group.features))


def _known(name: str, group: FeatureGroup, asked: Any, spine: Spine, warehouse: "Warehouse") -> Any:
    """What the spine's rows may know of a mart; never a row from after the last as-of."""
    from platform_assets.data.features.point_in_time import valid_versions
    from platform_assets.data.features.windows import Events

    mart, table = warehouse.catalog.mart(name), warehouse.table(name)
    if mart.event_time is not None:
        if mart.entity != group.entity or mart.entity_key is None:
            raise MartNotUsable(
                f"{group.key}: mart {name} holds events of {mart.entity}, not of {group.entity}; use another mart"
            )
        return Events(table, mart.entity_key, mart.event_time, mart.arrival_lag).before(spine.max_as_of)
    if mart.history == "immutable":
        return table
    if mart.entity == group.entity and mart.entity_key is not None:
        return valid_versions(table, mart.entity_key, mart.arrival_lag, asked)
    raise MartNotUsable(
        f"{group.key}: mart {name} changes over time and has no person to join it by; add its columns, as they were at "
        f"the event, to the event mart in dbt and read that"
    )
