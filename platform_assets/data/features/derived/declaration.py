"""`features/<entity>.yaml`: what a project says of the features of an entity, and the sentences on what is wrong with it.

Belongs here: the keys, their form, and checking them against what the marts declare. Does not belong here: which column makes
which features by default (`planning`).
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from platform_assets.data.catalog.catalog import Catalog, Entity, Mart
from platform_assets.data.catalog.column import Column
from platform_assets.data.conditions.parsing import MAX_DAYS, parse_event_condition
from platform_assets.data.conditions.terms import FIRST_DAY, LAST_DAY, PredicateError
from platform_assets.foundation.documents.reading import DeclarationError, Document, read_document
from platform_assets.foundation.documents.sentences import did_you_mean, shown

ALL: Literal["all"] = "all"
MOST_FEATURES = 300
MOST_VALUES = 60
EVENTS_ONLY = ("windows", "identifiers", "where")
Problem = tuple[tuple[str | int, ...], str]


def _window(value: Any) -> Any:
    if value == ALL:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_DAYS:
        raise ValueError(f"{shown(value)} is not a window; write days from 1 to {MAX_DAYS}, such as 28, or all")
    return value


def _day(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    text = value if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) else ""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{shown(value)} is not a date; write it as 2024-01-31") from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{day} is out of reach; write a date from {FIRST_DAY} to {LAST_DAY}")
    return day


Window = Annotated[int | Literal["all"], BeforeValidator(_window)]
Day = Annotated[date, BeforeValidator(_day)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Names = tuple[Annotated[str, Field(min_length=1)], ...]


class Strict(BaseModel):
    """A key that nothing honours is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Leading(Strict):
    """The leading values of a category; every other value is "other".

    Attributes:
        values: The values that have columns of their own, as the mart holds them, no two alike but for upper and lower case.
        counted_before: The day at whose beginning they were counted, as 2024-01-31; `platform-assets features suggest` writes it. A table as
            of an earlier date carries a remark. Absent: the values were known beforehand.
    """

    values: Annotated[tuple[Word, ...], Field(min_length=1, max_length=MOST_VALUES)]
    counted_before: Day | None = None

    @model_validator(mode="after")
    def _differ(self) -> "Leading":
        if twice := sorted({value for value in self.values if self.values.count(value) > 1}):
            raise ValueError(f"values holds {shown(twice[0])} twice; keep one")
        return self


class MartFeatures(Strict):
    """What is said of one mart; what is not said is as its columns declare.

    Attributes:
        windows: Days that end at the as-of date, ascending, and `all` last. Of event marts alone.
        measures: Columns that sums, means, extremes, spread and trend are taken of. Absent: all with the role.
        identifiers: Columns whose different values are counted. Of event marts alone. Absent: all with the role.
        categories: Column → its leading values. A truth value needs none. Absent: no shares are taken of the column until
            `platform-assets features suggest` or somebody writes them.
        where: The events that count: a condition on the mart's columns, as in campaign files. Of event marts alone.
        admit: Columns that make features although something stands against it: no role or the role none, personal, changing, another
            instant of an event.
        leave_out: Columns that make no features although nothing stands against it.
    """

    windows: Annotated[tuple[Window, ...], Field(min_length=1, max_length=6)] = (7, 28, 90, ALL)
    measures: Names | None = None
    identifiers: Names | None = None
    categories: dict[str, Leading] = Field(default_factory=dict)
    where: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    admit: Names = ()
    leave_out: Names = ()

    @model_validator(mode="after")
    def _ascend(self) -> "MartFeatures":
        days = [MAX_DAYS + 1 if window == ALL else window for window in self.windows]
        if days != sorted(set(days)):
            raise ValueError("windows ascend, each once, and all comes last: write them as [7, 28, 90, all]")
        return self


class FeatureDeclaration(Strict):
    """One file: what the features of one entity are made of.

    Attributes:
        entity: The entity, after which the file is called.
        features: Event mart of the entity, or its own mart → what is said of it. Marts that are not named make features too.
        at_most: Columns of the entity. What is left out beyond is told; counts and measures stay longest.
    """

    entity: Annotated[str, Field(min_length=1)]
    features: dict[str, MartFeatures] = Field(default_factory=dict)
    at_most: Annotated[int, Field(ge=1, le=2000)] = MOST_FEATURES

    def of(self, mart: str) -> MartFeatures:
        """What is said of a mart."""
        return self.features.get(mart, MartFeatures())


@dataclass(frozen=True)
class FeatureFile:
    """One file, read: `declaration`, or else `error`."""

    path: Path
    declaration: FeatureDeclaration | None
    error: DeclarationError | None


def read_feature_files(folder: Path, catalog: Catalog) -> list[FeatureFile]:
    """Every `<folder>/<entity>.yaml`, good and broken, by name; none where there is no such folder.

    Raises:
        DeclarationError: the folder cannot be listed.
    """
    try:
        names = sorted(os.listdir(folder)) if os.path.lexists(folder) else []
    except OSError as error:
        raise DeclarationError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    files = []
    for path in (folder / name for name in names if name.endswith((".yaml", ".yml"))):
        try:
            files.append(FeatureFile(path, read_features(path, catalog), None))
        except DeclarationError as error:
            files.append(FeatureFile(path, None, error))
    return files


def read_features(path: Path, catalog: Catalog) -> FeatureDeclaration:
    """One file, checked against what the marts declare.

    Raises:
        DeclarationError: it cannot be honoured; every problem by file, line and key.
    """
    document = read_document(path)
    if document.value is None:
        raise DeclarationError(f"{path}:1: is empty; it starts with `entity: {path.stem}`")
    if not isinstance(document.value, dict):
        raise DeclarationError(f"{path}:1: holds no mapping; it starts with `entity: {path.stem}`")
    declaration: FeatureDeclaration = document.as_model(FeatureDeclaration, document.value)
    if path.suffix != ".yaml" or path.stem != declaration.entity:
        _refuse(document, [(("entity",), f"the file of {declaration.entity} is called {declaration.entity}.yaml")])
    _refuse(document, problems_of(declaration, catalog))
    return declaration


def problems_of(declaration: FeatureDeclaration, catalog: Catalog) -> Iterator[Problem]:
    """(keys, sentence) of everything that does not fit what the marts declare."""
    if declaration.entity not in catalog.entities:
        yield (
            ("entity",),
            f"there is no entity {declaration.entity}{did_you_mean(declaration.entity, catalog.entities)}",
        )
        return
    entity = catalog.entity(declaration.entity)
    marts = marts_of(catalog, entity)
    for name, said in declaration.features.items():
        at: tuple[str | int, ...] = ("features", name)
        if name not in marts:
            yield at, f"is no mart of {entity.name}{did_you_mean(name, marts)}"
            continue
        for keys, words in _Checker(marts[name], said, entity.timezone).problems():
            yield (*at, *keys), words


def marts_of(catalog: Catalog, entity: Entity) -> dict[str, Mart]:
    """The marts that features of an entity are made of: its own, then those of its events."""
    events = {mart.name: mart for mart in catalog.marts.values() if mart.kind == "event" and mart.entity == entity.name}
    return {entity.mart: catalog.mart(entity.mart), **events}


def keys_of(mart: Mart) -> tuple[str, ...]:
    """The columns of a mart that say which row it is; features are made of none of them."""
    named = (
        mart.key,
        mart.entity_key,
        mart.event_time,
        *(("valid_from", "valid_to") if mart.history == "scd2" else ()),
    )
    return tuple(name for name in named if name is not None)


def why_out(mart: Mart, column: Column) -> str | None:
    """Why a column makes no features until it is admitted by name; None when nothing stands against it."""
    if column.role is None:
        return "declares no role"
    if column.role == "none":
        return "has the role none"
    if column.personal:
        return "describes a person"
    if column.changes:
        return "may differ from one export to the next, so what it was at the time is not known"
    if column.role == "time" and mart.event_time is not None:
        return "is an instant that may lie after the event"
    return None


def use_of(column: Column) -> str:
    """What an admitted column is used as: its role, or else what its type allows."""
    if column.role is not None and column.role != "none":
        return column.role
    return {"number": "measure", "time": "time", "date": "time"}.get(column.kind, "category")


@dataclass(frozen=True)
class _Checker:
    mart: Mart
    said: MartFeatures
    timezone: str

    def problems(self) -> Iterator[Problem]:
        said, mart = self.said, self.mart
        if mart.event_time is None:
            for key in sorted(set(EVENTS_ONLY) & said.model_fields_set):
                yield (key,), f"means nothing on {mart.name}, whose rows are people and no events; remove it"
        for key in ("admit", "leave_out", "measures", "identifiers"):
            for number, name in enumerate(getattr(said, key) or ()):
                yield from (((key, number), words) for words in self._of_column(key, name))
        for name, leading in said.categories.items():
            yield from ((("categories", name), words) for words in self._of_column("categories", name))
            if name in mart.columns and mart.columns[name].kind == "boolean":
                yield ("categories", name), f"{name} is true or false; it needs no values, remove them"
            elif len(leading.values) != len({value.lower() for value in leading.values}):
                yield (
                    ("categories", name, "values"),
                    "two values differ only in upper and lower case; unite them in dbt",
                )
        if said.where is not None and mart.event_time is not None:
            yield from ((("where",), words) for words in self._of_where(said.where))

    def _of_column(self, key: str, name: str) -> Iterator[str]:
        mart, said = self.mart, self.said
        if name not in mart.columns or name in keys_of(mart):
            free = [other for other in mart.columns if other not in keys_of(mart)]
            what = "says which row it is and makes no features" if name in mart.columns else "is no column"
            yield f"{name} {what} of {mart.name}{did_you_mean(name, free)}"
            return
        column = mart.columns[name]
        if key == "admit":
            if name in said.leave_out:
                yield f"{name} is admitted and left out; keep one"
            return
        if key == "leave_out":
            return
        if name in said.leave_out:
            yield f"{name} stands under leave_out too; keep one"
        elif (why := why_out(mart, column)) and name not in said.admit:
            yield f"{name} {why}; name it under admit too if it may be used"
        elif key == "measures" and column.kind != "number":
            yield f"{name} is not a number; measures are summed"
        elif key == "categories" and (column.kind not in ("text", "boolean", "list") or _other_elements(column)):
            yield f"{name} is of type {column.data_type}; values are counted of texts and of lists of texts"

    def _of_where(self, text: str) -> Iterator[str]:
        try:
            predicate = parse_event_condition(text, self.mart, self.timezone)
        except PredicateError as error:
            yield str(error)
            return
        for name in sorted(predicate.columns - set(keys_of(self.mart))):
            why = why_out(self.mart, self.mart.columns[name])
            if why and name not in self.said.admit:
                yield f"{name} {why}; name it under admit too if it may be used"
            elif self.mart.columns[name].kind in ("time", "date"):
                yield f"{name} is an instant that may lie after the as-of date; a condition here cannot tell"


def _other_elements(column: Column) -> bool:
    return column.kind == "list" and column.element not in ("text", None)


def _refuse(document: Document, problems: "Iterator[Problem] | list[Problem]") -> None:
    if lines := [document.at(keys, words) for keys, words in problems]:
        raise DeclarationError("\n".join(lines))


def declared(entity: str, features: Mapping[str, Any] | None = None, **keys: Any) -> FeatureDeclaration:
    """A declaration that no file holds: of an entity without a file, and of code that tries one."""
    return FeatureDeclaration.model_validate({"entity": entity, "features": features or {}, **keys})
