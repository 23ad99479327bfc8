"""What marts and entities there are, as the dbt project declares them under `config.meta.platform`.

Belongs here: marts and entities out of dbt's manifest, and refusing what does not fit together in them. Does not belong here:
the keys of one declaration (`declaration`), data, versions, connections. Definitions load this module.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.catalog.column import Column, column_of
from platform_assets.data.catalog.declaration import (
    DECLARED_AT,
    SCD2_COLUMNS,
    AnyDeclaration,
    CatalogError,
    EntityDeclaration,
    History,
    Kind,
    declaration_of,
    nearest,
)

MARTS_FOLDER = "marts"
T = TypeVar("T")


class ManifestMissing(FileNotFoundError):
    """dbt's manifest is not there yet; the message holds the command that makes it."""


@dataclass(frozen=True)
class Mart:
    """One published table.

    Attributes:
        name: the dbt model's name.
        kind: `entity` (people), `event` (what they did, when), or `dimension` (what it was done to).
        entity: the entity it describes (entity marts) or whose people act in it (event marts).
        key: the column that is unique per row.
        entity_key: the column that names the person; on a slowly changing entity mart it differs from `key`.
        event_time: the timestamptz column of an event mart.
        history: `immutable` (a row never changes) or `scd2` (one row per version, `valid_from`/`valid_to`).
        arrival_lag: how long after its event time a row may still arrive.
        columns: name → its type and role, in the contract's order.
        descriptions: name → what the column means.
        description: what one row is.
        sources: the raw tables it is made from, sorted.
        require_partition_filter: whether BigQuery refuses queries on it that name no time span; for large event marts.
    """

    name: str
    kind: Kind
    entity: str | None
    key: str
    entity_key: str | None
    event_time: str | None
    history: History | None
    arrival_lag: timedelta
    columns: Mapping[str, Column]
    descriptions: dict[str, str]
    description: str
    sources: tuple[tuple[str, str], ...]
    require_partition_filter: bool = False


@dataclass(frozen=True)
class Entity:
    """The people that campaigns are about.

    Attributes:
        name: e.g. `customer`.
        mart: the entity mart.
        key: the column that names a person, in the entity mart and in its event marts.
        timezone: IANA name of the time zone of their business dates.
        population: an event mart; a person is in the population as of D with an event strictly before D.
    """

    name: str
    mart: str
    key: str
    timezone: str
    population: str

    def instant_of(self, day: date) -> datetime:
        """The UTC instant that a business date of theirs stands for."""
        return instant_of(day, self.timezone)


@dataclass(frozen=True)
class Catalog:
    """All entities and marts, by name."""

    entities: dict[str, Entity]
    marts: dict[str, Mart]

    @classmethod
    def from_manifest(cls, path: Path) -> "Catalog":
        """Read the marts of dbt's `manifest.json`.

        Raises:
            ManifestMissing: there is no such file.
            CatalogError: a mart lacks its declaration, or declares something that cannot be worked with.
        """
        return cls.from_nodes(read_manifest(path))

    @classmethod
    def from_nodes(cls, manifest: Mapping[str, Any]) -> "Catalog":
        """The same, from a manifest already read."""
        nodes = manifest["nodes"]
        models = sorted((node for node in nodes.values() if is_mart(node)), key=lambda node: str(node["name"]))
        declared = {str(node["name"]): declaration_of(node) for node in models}
        marts = {
            node["name"]: _mart(node, declared[node["name"]], _upstream_sources(node, manifest)) for node in models
        }
        entities: dict[str, Entity] = {}
        for name, declaration in declared.items():
            if not isinstance(declaration, EntityDeclaration):
                continue
            entity = _entity(marts[name], declaration, marts)
            if entity.name in entities:
                raise CatalogError(
                    f"mart {name}: entity {entity.name!r} is already declared by mart "
                    f"{entities[entity.name].mart}; an entity is declared once"
                )
            entities[entity.name] = entity
        for mart in marts.values():
            if mart.entity is not None and mart.entity not in entities:
                raise CatalogError(
                    f"mart {mart.name}: no entity mart declares entity {mart.entity!r}{nearest(mart.entity, entities)}"
                )
        return cls(entities=entities, marts=marts)

    def mart(self, name: str) -> Mart:
        """The mart of that name.

        Raises:
            CatalogError: there is none; offers the nearest name.
        """
        return _named("mart", name, self.marts)

    def entity(self, name: str) -> Entity:
        """The entity of that name.

        Raises:
            CatalogError: there is none; offers the nearest name.
        """
        return _named("entity", name, self.entities)


def _named(kind: str, name: str, there: Mapping[str, T]) -> T:
    if name not in there:
        raise CatalogError(f"there is no {kind} {name!r}{nearest(name, there)}; there are {', '.join(there)}")
    return there[name]


def read_manifest(path: Path) -> dict[str, Any]:
    """dbt's manifest.

    Raises:
        ManifestMissing: there is no such file, or it is damaged; says which command makes it.
    """
    try:
        return cast(dict[str, Any], json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError) as error:
        gone = isinstance(error, FileNotFoundError)
        why = "is not there: dbt has not parsed its project yet" if gone else "is damaged: it is not readable JSON"
        raise ManifestMissing(f"{path} {why}. Run `platform-assets manifest`") from error


def is_mart(node: Mapping[str, Any]) -> bool:
    """Whether a manifest node is a model in the project's marts folder."""
    return node["resource_type"] == "model" and MARTS_FOLDER in node["fqn"][1:-1]


def _mart(node: Mapping[str, Any], declared: AnyDeclaration, sources: tuple[tuple[str, str], ...]) -> Mart:
    name = node["name"]
    untyped = [column["name"] for column in node["columns"].values() if not column["data_type"]]
    if not node["columns"] or untyped:
        raise CatalogError(
            f"mart {name}: give every column a data_type; missing on {', '.join(untyped) or 'all of them'}"
        )
    columns = {column["name"]: column_of(name, column) for column in node["columns"].values()}
    optional = ("entity", "entity_key", "event_time", "history")
    stated: dict[str, Any] = {**dict.fromkeys(optional), **declared.model_dump()}
    if stated["history"] == "scd2" and not set(SCD2_COLUMNS) <= set(columns):
        missing = [column for column in SCD2_COLUMNS if column not in columns]
        raise CatalogError(f"mart {name}: history scd2 needs the columns {' and '.join(SCD2_COLUMNS)}; no {missing[0]}")
    if declared.kind == "entity" and stated["entity_key"] is None:
        if declared.history == "scd2":
            raise CatalogError(
                f"mart {name}: with history scd2 a person has several rows; name the person's column in "
                f"{DECLARED_AT}.entity_key"
            )
        stated["entity_key"] = declared.key
    for key in ("key", "entity_key", "event_time"):
        if stated[key] is not None and stated[key] not in columns:
            raise CatalogError(
                f"mart {name}: {DECLARED_AT}.{key} names column {stated[key]!r}, which it does not have"
                f"{nearest(stated[key], columns)}"
            )
    return Mart(
        name=name,
        columns=columns,
        descriptions={column["name"]: column["description"] for column in node["columns"].values()},
        description=node["description"],
        sources=sources,
        **{key: value for key, value in stated.items() if key not in ("population", "timezone")},
    )


def _entity(mart: Mart, declared: EntityDeclaration, marts: Mapping[str, Mart]) -> Entity:
    population = declared.population
    if population not in marts or marts[population].kind != "event" or marts[population].entity != mart.entity:
        events = [m.name for m in marts.values() if m.kind == "event" and m.entity == mart.entity]
        raise CatalogError(
            f"mart {mart.name}: {DECLARED_AT}.population names {population!r}, which is not an event mart of "
            f"entity {mart.entity}; those are {', '.join(events) or 'none yet'}"
        )
    key = cast(str, mart.entity_key)
    odd = [m.name for m in marts.values() if m.kind == "event" and m.entity == mart.entity and m.entity_key != key]
    if odd:
        raise CatalogError(
            f"mart {odd[0]}: names entity {mart.entity} by another column than mart {mart.name} does; "
            f"rename it to {key}"
        )
    return Entity(
        name=cast(str, mart.entity), mart=mart.name, key=key, timezone=declared.timezone, population=population
    )


def _upstream_sources(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    upstream: set[str] = set()
    waiting = list(node["depends_on"]["nodes"])
    while waiting:
        if (unique_id := waiting.pop()) not in upstream:
            upstream.add(unique_id)
            waiting.extend(manifest["nodes"].get(unique_id, {}).get("depends_on", {}).get("nodes", ()))
    sources = (manifest["sources"][unique_id] for unique_id in upstream & manifest["sources"].keys())
    return tuple(sorted((source["source_name"], source["name"]) for source in sources))
