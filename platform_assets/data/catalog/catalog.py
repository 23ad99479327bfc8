"""What marts and entities there are, as the dbt project declares them under `config.meta.platform`.

Belongs here: reading those declarations out of dbt's manifest and refusing the ones that cannot be worked
with. Does not belong here: data, versions, connections. Only the standard library is imported: definitions
load this module.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from platform_assets.data.catalog.business_day import instant_of

Kind = Literal["entity", "event", "dimension"]
History = Literal["immutable", "scd2"]

DECLARED_AT = "config.meta.platform"
META_KEYS = (
    "kind",
    "entity",
    "key",
    "entity_key",
    "event_time",
    "timezone",
    "population",
    "history",
    "arrival_lag",
    "require_partition_filter",
)
REQUIRED_KEYS = {
    "entity": ("entity", "key", "population"),
    "event": ("entity", "key", "entity_key", "event_time"),
    "dimension": ("key",),
}
MEANINGLESS_KEYS = {
    "entity": ("event_time", "require_partition_filter"),
    "event": ("history", "population", "timezone"),
    "dimension": ("entity", "entity_key", "event_time", "population", "timezone", "require_partition_filter"),
}
SCD2_COLUMNS = ("valid_from", "valid_to")
MARTS_FOLDER = "marts"
_LAG_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class CatalogError(ValueError):
    """A mart's declaration cannot be worked with; the message names the model and the key."""


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
        columns: name → type, in the contract's order.
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
    columns: dict[str, str]
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
        declared = {node["name"]: _declaration(node) for node in models}
        marts = {
            node["name"]: _mart(node, declared[node["name"]], _upstream_sources(node, manifest)) for node in models
        }
        entities: dict[str, Entity] = {}
        for name, mart in marts.items():
            if mart.kind != "entity":
                continue
            entity = _entity(mart, declared[name], marts)
            if entity.name in entities:
                raise CatalogError(
                    f"mart {name}: entity {entity.name!r} is already declared by mart "
                    f"{entities[entity.name].mart}; an entity is declared once"
                )
            entities[entity.name] = entity
        for mart in marts.values():
            if mart.entity is not None and mart.entity not in entities:
                raise CatalogError(
                    f"mart {mart.name}: no entity mart declares entity {mart.entity!r}{_nearest(mart.entity, entities)}"
                )
        return cls(entities=entities, marts=marts)

    def mart(self, name: str) -> Mart:
        """The mart of that name.

        Raises:
            CatalogError: there is none; offers the nearest name.
        """
        if name not in self.marts:
            raise CatalogError(
                f"there is no mart {name!r}{_nearest(name, self.marts)}; there are {', '.join(self.marts)}"
            )
        return self.marts[name]

    def entity(self, name: str) -> Entity:
        """The entity of that name.

        Raises:
            CatalogError: there is none; offers the nearest name.
        """
        if name not in self.entities:
            raise CatalogError(
                f"there is no entity {name!r}{_nearest(name, self.entities)}; there are {', '.join(self.entities)}"
            )
        return self.entities[name]


def read_manifest(path: Path) -> dict[str, Any]:
    """dbt's manifest.

    Raises:
        ManifestMissing: there is no such file; says which command makes it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        project = path.parent.parent
        raise ManifestMissing(
            f"{path} is not there: dbt has not parsed its project yet. "
            f"Run `dbt parse --project-dir {project.name} --profiles-dir {project.name}` in {project.parent}"
        ) from error
    return cast(dict[str, Any], json.loads(text))


def is_mart(node: Mapping[str, Any]) -> bool:
    """Whether a manifest node is a model in the project's marts folder."""
    return node["resource_type"] == "model" and MARTS_FOLDER in node["fqn"][1:-1]


def _declaration(node: Mapping[str, Any]) -> dict[str, Any]:
    name = node["name"]
    meta = node["config"]["meta"].get("platform")
    if not isinstance(meta, dict):
        raise CatalogError(
            f"mart {name}: declare what it is (kind, key, …) under {DECLARED_AT}, beside {node['original_file_path']}"
        )
    for key in meta:
        if key not in META_KEYS:
            raise CatalogError(
                f"mart {name}: {DECLARED_AT}.{key} is not a key here{_nearest(key, META_KEYS)}; "
                f"it takes {', '.join(META_KEYS)}"
            )
    return meta


def _mart(node: Mapping[str, Any], meta: Mapping[str, Any], sources: tuple[tuple[str, str], ...]) -> Mart:
    name = node["name"]
    kind = _one_of(name, meta, "kind", ("entity", "event", "dimension"))
    columns = {column["name"]: column["data_type"] for column in node["columns"].values()}
    untyped = [column for column, data_type in columns.items() if not data_type]
    if not columns or untyped:
        raise CatalogError(
            f"mart {name}: give every column a data_type; missing on {', '.join(untyped) or 'all of them'}"
        )
    for key in REQUIRED_KEYS[kind]:
        if not meta.get(key):
            raise CatalogError(f"mart {name}: a mart of kind {kind} needs {DECLARED_AT}.{key}")
    for key in MEANINGLESS_KEYS[kind]:
        if key in meta:
            raise CatalogError(f"mart {name}: {DECLARED_AT}.{key} means nothing on a mart of kind {kind}; remove it")

    history = _history(name, kind, meta, columns)
    entity_key = meta.get("entity_key") or (meta["key"] if kind == "entity" and history == "immutable" else None)
    if kind == "entity" and entity_key is None:
        raise CatalogError(
            f"mart {name}: with history scd2 a person has several rows; name the person's column in "
            f"{DECLARED_AT}.entity_key"
        )
    for key, column in (
        ("key", meta["key"]),
        ("entity_key", entity_key),
        ("event_time", meta.get("event_time")),
    ):
        if column is not None and column not in columns:
            raise CatalogError(
                f"mart {name}: {DECLARED_AT}.{key} names column {column!r}, which it does not have"
                f"{_nearest(column, columns)}"
            )
    return Mart(
        name=name,
        kind=cast(Kind, kind),
        entity=meta.get("entity"),
        key=meta["key"],
        entity_key=entity_key,
        event_time=meta.get("event_time"),
        history=history,
        arrival_lag=_lag(name, meta.get("arrival_lag", "0d")),
        columns=columns,
        descriptions={column["name"]: column["description"] for column in node["columns"].values()},
        description=node["description"],
        sources=sources,
        require_partition_filter=_flag(name, meta, "require_partition_filter"),
    )


def _history(name: str, kind: str, meta: Mapping[str, Any], columns: Mapping[str, str]) -> History | None:
    if kind == "event":
        return None
    if not meta.get("history"):
        raise CatalogError(
            f"mart {name}: say {DECLARED_AT}.history: immutable (no column of a row ever changes) or "
            f"scd2 (one row "
            f"per version, with {' and '.join(SCD2_COLUMNS)}). Attributes as they are today, joined to "
            f"past dates, "
            f"leak the future"
        )
    history = _one_of(name, meta, "history", ("immutable", "scd2"))
    missing = [column for column in SCD2_COLUMNS if column not in columns]
    if history == "scd2" and missing:
        raise CatalogError(f"mart {name}: history scd2 needs the columns {' and '.join(SCD2_COLUMNS)}; no {missing[0]}")
    return cast(History, history)


def _entity(mart: Mart, meta: Mapping[str, Any], marts: Mapping[str, Mart]) -> Entity:
    population = meta["population"]
    if population not in marts or marts[population].kind != "event" or marts[population].entity != mart.entity:
        events = [m.name for m in marts.values() if m.kind == "event" and m.entity == mart.entity]
        raise CatalogError(
            f"mart {mart.name}: {DECLARED_AT}.population names {population!r}, which is not an event mart of "
            f"entity {mart.entity}; those are {', '.join(events) or 'none yet'}"
        )
    timezone = meta.get("timezone", "UTC")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise CatalogError(
            f"mart {mart.name}: {DECLARED_AT}.timezone {timezone!r} is not an IANA time zone such as Europe/Berlin"
        ) from error
    key = cast(str, mart.entity_key)
    odd = [m.name for m in marts.values() if m.kind == "event" and m.entity == mart.entity and m.entity_key != key]
    if odd:
        raise CatalogError(
            f"mart {odd[0]}: names entity {mart.entity} by another column than mart {mart.name} does; "
            f"rename it to {key}"
        )
    return Entity(name=cast(str, mart.entity), mart=mart.name, key=key, timezone=timezone, population=population)


def _upstream_sources(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    waiting = list(node["depends_on"]["nodes"])
    while waiting:
        unique_id = waiting.pop()
        if unique_id in seen:
            continue
        seen.add(unique_id)
        if unique_id in manifest["sources"]:
            source = manifest["sources"][unique_id]
            found.add((source["source_name"], source["name"]))
        elif unique_id in manifest["nodes"]:
            waiting.extend(manifest["nodes"][unique_id]["depends_on"].get("nodes", ()))
    return tuple(sorted(found))


def _one_of(name: str, meta: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = meta.get(key)
    if value not in allowed:
        raise CatalogError(
            f"mart {name}: {DECLARED_AT}.{key} is {value!r}{_nearest(str(value), allowed)}; it takes "
            f"{', '.join(allowed)}"
        )
    return cast(str, value)


def _flag(name: str, meta: Mapping[str, Any], key: str) -> bool:
    value = meta.get(key, False)
    if not isinstance(value, bool):
        raise CatalogError(f"mart {name}: {DECLARED_AT}.{key} is {value!r}; it takes true or false")
    return value


def _lag(name: str, text: Any) -> timedelta:
    match = re.fullmatch(r"(\d+)([dhms])", str(text))
    if match is None:
        raise CatalogError(f"mart {name}: {DECLARED_AT}.arrival_lag {text!r} is not a duration such as 2d, 6h or 30m")
    return timedelta(**{_LAG_UNITS[match[2]]: int(match[1])})


def _nearest(word: str, words: Any) -> str:
    match = get_close_matches(word, list(words), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
