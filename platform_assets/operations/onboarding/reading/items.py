"""The attributes of DynamoDB items, and of maps in them, as columns.

Belongs here: which attributes there are in any item, with which of DynamoDB's types, and how each is read. Does not belong
here: the types of numbers and text (`parts`).
"""
# ruff: noqa: S608 - statements are composed of names and paths, each quoted by `quoted` or `literal`.

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from platform_assets.operations.onboarding.names import column_name, unspeakable
from platform_assets.operations.onboarding.reading import parts
from platform_assets.operations.onboarding.reading.parts import Typed, literal
from platform_assets.operations.onboarding.tables import OnboardingError, Reading, Type

if TYPE_CHECKING:
    import duckdb

Path = tuple[str, ...]
_DEPTH = 4
# A map with more attributes than these over all items is a dictionary: its attributes are values, not names.
_DICTIONARY = 50
_WIDEST = 1000
_SCALARS = ("S", "N", "BOOL")
_SETS = ("SS", "NS")


def columns_of(engine: "duckdb.DuckDBPyConnection", table: str, raw: str) -> tuple[list[Typed], list[str]]:
    """The columns of a DynamoDB table, and sentences on what is not read.

    Raises:
        OnboardingError: the items have more attributes than a table may have columns.
    """
    notes: list[str] = []
    readings = list(_readings(_attributes(engine, table, raw, notes), table, notes))
    if not readings:
        return [], notes
    paths = [_json_path(reading.path, tag) for reading in readings for tag in reading.tags]
    read = f"{parts.quoted(f'items {table}')}"
    values = ", ".join(f"item_values[{number}] as v{number}" for number in range(1, len(paths) + 1))
    listed = ", ".join(literal(path) for path in paths)
    engine.execute(
        f"create table {read} as select {values}, _export_id, _exported_at from "
        f'(select json_extract_string("Item", [{listed}]) as item_values, _export_id, _exported_at from {raw})'
    )
    columns: list[Typed] = []
    number = 1
    for reading in readings:
        texts = [f"v{number + place}" for place in range(len(reading.tags))]
        number += len(texts)
        typed, note = _typed(engine, read, reading, texts)
        if note:
            notes.append(f"{table}.{reading.shown}: {note}")
        if typed is not None:
            type_, sql = typed
            name = column_name(reading.path, [one.name for one in columns])
            columns.append(Typed(name, reading, type_, sql, read))
    return columns, notes


def _attributes(engine: "duckdb.DuckDBPyConnection", table: str, raw: str, notes: list[str]) -> dict[Path, set[str]]:
    """Attribute → its types in all items, maps opened."""
    attributes: dict[Path, set[str]] = {}
    maps: list[Path] = [()]
    for depth in range(_DEPTH):
        deeper: list[Path] = []
        for path in maps:
            inner = '"Item"::json' if not path else f'json_extract("Item", {literal(_json_path(path, "M"))})'
            pointer = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
            keys = (
                f"(select name, map -> ({pointer}) as value from "
                f"(select map, unnest(json_keys(map)) as name from (select {inner} as map from {raw}) where map is not null))"
            )
            limit = _DICTIONARY if path else _WIDEST
            names = engine.execute(f"select count(distinct name) from {keys}").fetchall()[0][0]
            if names > limit and not path:
                raise OnboardingError(
                    f"{table}: its items have {names} different attributes; {limit} can be columns. Export other tables "
                    "(--table), and write this one's staging model by hand."
                )
            if names > limit:
                notes.append(
                    f"{table}.{'.'.join(path)}: is a map with {names} different attributes, as a dictionary has; it is left out. "
                    "Read it in the staging model with dynamodb_map if it is needed."
                )
                continue
            for name, tag in engine.execute(
                f"select name, json_keys(value)[1] as tag from {keys} group by all order by all"
            ).fetchall():
                if unspeakable(name):
                    sentence = (
                        f"{table}: an attribute whose name holds quotes, backslashes, stars, brackets of Jinja or control characters is "
                        "left out; JSON paths cannot hold it on both engines."
                    )
                    if sentence not in notes:
                        notes.append(sentence)
                    continue
                attributes.setdefault((*path, name), set()).add(tag)
            deeper += [
                one for one, tags in attributes.items() if len(one) == depth + 1 and "M" in tags and one[:-1] == path
            ]
        maps = deeper
    return attributes


def _readings(attributes: dict[Path, set[str]], table: str, notes: list[str]) -> Iterable[Reading]:
    for path, all_tags in attributes.items():
        tags = all_tags - {"NULL"}
        shown = f"{table}.{'.'.join(path)}"
        scalars = tuple(tag for tag in _SCALARS if tag in tags)
        if tags == {"M"}:
            if len(path) == _DEPTH:
                notes.append(f"{shown}: is a map below {_DEPTH} others; it is left out.")
        elif not tags:
            # Never anything but NULL: text, as nothing else is known.
            yield Reading(path, ("S",))
        elif tags == set(scalars):
            if len(scalars) > 1:
                notes.append(f"{shown}: is of types {', '.join(scalars)} in different items; it is read as text.")
            yield Reading(path, scalars)
        elif len(tags) == 1 and tags & {*_SETS, "L"}:
            yield Reading(path, tuple(tags))
        elif tags <= {"B", "BS"}:
            notes.append(f"{shown}: is binary, which no feature is made of; it is left out.")
        else:
            notes.append(
                f"{shown}: is of types {', '.join(sorted(tags))} in different items; it is left out. Read it in the staging model "
                "with the macros of dynamodb.sql if it is needed."
            )


def _typed(
    engine: "duckdb.DuckDBPyConnection", read: str, reading: Reading, texts: list[str]
) -> tuple[tuple[Type, str] | None, str]:
    text, tag = texts[0], reading.tags[0]
    if len(texts) > 1:
        return ("text", f"coalesce({', '.join(texts)})"), ""
    if tag == "BOOL":
        return ("boolean", f"{text}::boolean"), ""
    if tag == "N":
        type_, note = parts.number_type(engine, read, text, reading.path[-1])
        return (type_, parts.number_sql(text, type_)), note
    if tag == "S":
        type_ = parts.text_type(engine, read, text)
        return (type_, parts.text_sql(text, type_)), ""
    if tag in _SETS:
        return ("texts", f"list_sort(coalesce({text}::json::varchar[], []))"), ""
    kinds = engine.execute(
        f"select distinct json_keys(element)[1] from (select unnest(({text}::json)::json[]) as element from {read})"
    ).fetchall()
    if any(kind != "S" for (kind,) in kinds):
        told = ", ".join(sorted(kind for (kind,) in kinds))
        return None, (
            f"is a list whose elements are of types {told}; only lists of text (S) are read, so it is left out. Read it in the "
            "staging model with dynamodb_list if it is needed."
        )
    return ("texts", f'coalesce(list_transform(from_json({text}, \'[{{"S":"VARCHAR"}}]\'), lambda e: e.S), [])'), ""


def _json_path(path: Path, tag: str) -> str:
    return "$" + '."M"'.join(f".{json.dumps(name, ensure_ascii=False)}" for name in path) + f'."{tag}"'
