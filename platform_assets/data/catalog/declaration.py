"""What the dbt project declares of one mart under `config.meta.platform`.

Belongs here: the keys of each kind of mart, and the sentences on what is wrong with them. Does not belong here: what takes
the model's columns or other marts to judge (`catalog`). Definitions load this module.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError
from pydantic_core import ErrorDetails

Kind = Literal["entity", "event", "dimension"]
History = Literal["immutable", "scd2"]

DECLARED_AT = "config.meta.platform"
SCD2_COLUMNS = ("valid_from", "valid_to")
_LAG_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class CatalogError(ValueError):
    """A mart's declaration cannot be worked with; the message names the model and the key."""


def _lag(text: object) -> timedelta:
    match = re.fullmatch(r"(\d+)([dhms])", str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 2d, 6h or 30m")
    return timedelta(**{_LAG_UNITS[match[2]]: int(match[1])})


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder of zones, such as Europe
        raise ValueError(f"{name!r} is not an IANA time zone such as Europe/Berlin") from error
    return name


Name = Annotated[str, Field(min_length=1)]


class Declaration(BaseModel):
    """What marts of all kinds declare.

    Attributes:
        kind: `entity` (people), `event` (what they did, when), or `dimension` (what it was done to).
        key: The column that is unique per row.
        arrival_lag: How long after its event time a row may still arrive, as 2d, 6h or 30m. Features count what happened before the
            as-of date less this.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Name
    arrival_lag: Annotated[timedelta, BeforeValidator(_lag)] = timedelta(0)


class EntityDeclaration(Declaration):
    """People, and which event mart says who is one of them. An entity is declared by one mart.

    Attributes:
        entity: What one of them is called, such as customer; campaigns and event marts name it.
        population: An event mart of the entity. A person is asked about as of a date with an event strictly before it.
        history: `immutable` (no column of a row ever changes), or `scd2` (a row per version, with the columns `valid_from` and
            `valid_to`). Attributes as they are today, joined to past dates, leak the future.
        entity_key: The column that names a person; needed with `scd2`, else it is `key`.
        timezone: IANA name of the time zone of their business dates.
    """

    kind: Literal["entity"]
    entity: Name
    population: Name
    history: History
    entity_key: Name | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"


class EventDeclaration(Declaration):
    """What people did, when.

    Attributes:
        entity: Whose people act: an entity that an entity mart declares.
        entity_key: The column that names the person; it is called as in the entity mart.
        event_time: The column of the instant, with its time zone, at which it happened.
        require_partition_filter: Whether BigQuery refuses queries on the mart that name no time span; for large ones. DuckDB takes no
            notice.
    """

    kind: Literal["event"]
    entity: Name
    entity_key: Name
    event_time: Name
    require_partition_filter: StrictBool = False


class DimensionDeclaration(Declaration):
    """What it was done to. Features are made of a dimension's columns where an event mart joins them.

    Attributes:
        history: `immutable` or `scd2`, as of people.
    """

    kind: Literal["dimension"]
    history: History


AnyDeclaration = EntityDeclaration | EventDeclaration | DimensionDeclaration
KINDS: dict[str, type[AnyDeclaration]] = {
    "entity": EntityDeclaration,
    "event": EventDeclaration,
    "dimension": DimensionDeclaration,
}
_KEYS = tuple(dict.fromkeys(key for kind in KINDS.values() for key in kind.model_fields))


def declaration_of(node: Mapping[str, Any]) -> AnyDeclaration:
    """What a model of dbt's manifest declares.

    Raises:
        CatalogError: nothing, or something that cannot be worked with: a line each.
    """
    name, meta = node["name"], node["config"]["meta"].get("platform")
    if not isinstance(meta, dict):
        raise CatalogError(
            f"mart {name}: declare what it is (kind, key, …) under {DECLARED_AT}, beside {node['original_file_path']}"
        )
    kind = meta.get("kind")
    if kind not in tuple(KINDS):
        raise CatalogError(f"mart {name}: {DECLARED_AT}.kind is {_not_among(kind, KINDS)}")
    try:
        return KINDS[kind].model_validate(meta)
    except ValidationError as error:
        raise CatalogError("\n".join(f"mart {name}: {_sentence(wrong, kind)}" for wrong in error.errors())) from error


def nearest(word: object, words: Iterable[str]) -> str:
    """The question whether another one of `words` was meant; empty when none is near."""
    match = get_close_matches(str(word), list(words), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""


def _sentence(error: ErrorDetails, kind: str) -> str:
    """What is wrong with a key, for people."""
    key, value, wrong = str(error["loc"][0]), error["input"], error["type"]
    at = f"{DECLARED_AT}.{key}"
    absent = wrong == "missing" or value in (None, "")
    if wrong == "extra_forbidden":
        if key in _KEYS:
            return f"{at} means nothing on a mart of kind {kind}; remove it"
        return f"{at} is not a key here{nearest(key, _KEYS)}; it takes {', '.join(_KEYS)}"
    if absent and key == "history":
        return (
            f"say {at}: immutable (no column of a row ever changes) or scd2 (one row per version, with "
            f"{' and '.join(SCD2_COLUMNS)}). Attributes as they are today, joined to past dates, leak the future"
        )
    if absent:
        return f"a mart of kind {kind} needs {at}"
    if wrong == "value_error":
        return f"{at} {error['ctx']['error']}"
    if wrong == "literal_error":
        return f"{at} is {_not_among(value, get_args(History))}"
    return f"{at} is {value!r}; it takes {'true or false' if wrong.startswith('bool') else 'text'}"


def _not_among(value: object, words: Collection[str]) -> str:
    return f"{value!r}{nearest(value, words)}; it takes {', '.join(words)}"
