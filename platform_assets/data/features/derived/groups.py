"""The groups of an entity that are derived: what they are called, in words, within bounds, and at most how many columns.

Belongs here: names and words of features, the audit's rules that follow from them, and which are left out when there are too
many. Does not belong here: what a column may be used as (`planning`), computing (`computing`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from platform_assets.data.catalog.catalog import Catalog, Entity
from platform_assets.data.conditions.parsing import parse_event_condition
from platform_assets.data.features.derived import computing
from platform_assets.data.features.derived.computing import OTHER, Computing, hours
from platform_assets.data.features.derived.declaration import FeatureDeclaration
from platform_assets.data.features.derived.plan import BLOCKS, WEEKDAYS, CategoryPlan, MartPlan, name_parts
from platform_assets.data.features.derived.planning import plans_of
from platform_assets.data.features.group import Build, Feature, FeatureGroup
from platform_assets.data.features.windows import window_name

if TYPE_CHECKING:
    import pyarrow as pa

# Which columns go first when there are too many: the lower the longer they stay.
ACTIVITY, VALUES, PEOPLE, VARIETY, SHARES, WITHIN, CLOCK, RECENT_SHARES = range(8)
_MOST_TOLD = 6


@dataclass(frozen=True)
class DerivedGroup(FeatureGroup):
    """A group that nobody wrote.

    Attributes:
        declaration: what it was derived from, resolved; part of its fingerprint.
    """

    declaration: Mapping[str, Any] = field(default_factory=dict)

    def remarks(self, as_of: datetime, table: "pa.Table") -> list[str]:
        """What whoever reads its table at `as_of` should know: values that were chosen later, columns without a value."""
        remarks = []
        for category in self.declaration["categories"]:
            counted = category["counted_before"]
            if counted and as_of < datetime.fromisoformat(counted):
                remarks.append(
                    f"the leading values of {self.declaration['mart']}.{category['column']} were counted before {counted}, "
                    f"later than {as_of.isoformat()}: at that time others may have led"
                )
        if empty := [name for name in self.features if table[name].null_count == table.num_rows]:
            remarks.append(f"without any value at {as_of.isoformat()}: {', '.join(empty)}")
        return remarks


@dataclass(frozen=True)
class Derivation:
    """What was derived, and what was not, in sentences."""

    groups: list[FeatureGroup]
    told: list[str]


@dataclass(frozen=True)
class _Described:
    """One column: its words and bounds, and when it gives way to others."""

    name: str
    feature: Feature
    rank: int


def derived_groups(catalog: Catalog, entity: str, declaration: FeatureDeclaration) -> list[FeatureGroup]:
    """The derived groups of an entity, by name.

    Raises:
        CatalogError: there is no such entity.
    """
    return derive(catalog, entity, declaration).groups


def derive(catalog: Catalog, entity: str, declaration: FeatureDeclaration) -> Derivation:
    """The same, with what stays out and why.

    Raises as `derived_groups` does.
    """
    of = catalog.entity(entity)
    groups: list[tuple[DerivedGroup, tuple[_Described, ...]]] = []
    told: list[str] = []
    for name, planned in plans_of(catalog, of, declaration).items():
        told += planned.stay_out
        if name == of.mart:
            groups += _attributes(planned.plan, of)
        else:
            groups += _of_events(planned.plan, of, catalog)
    kept, omitted = _within_bounds([one for _, columns in groups for one in columns], declaration.at_most)
    if omitted:
        shown = ", ".join(omitted[:_MOST_TOLD]) + (", …" if len(omitted) > _MOST_TOLD else "")
        told.append(
            f"{len(kept) + len(omitted)} columns of {entity} can be derived, {len(kept)} are: {len(omitted)} were left out "
            f"({shown}); name fewer measures, values or windows, or raise at_most"
        )
    found = [_kept(group, kept) for group, _ in groups]
    return Derivation(sorted((group for group in found if group.features), key=lambda group: group.name), told)


def _within_bounds(columns: Sequence[_Described], most: int) -> tuple[set[str], list[str]]:
    ranked = sorted(columns, key=lambda one: one.rank)
    return {one.name for one in ranked[:most]}, [one.name for one in ranked[most:]]


def _kept(group: DerivedGroup, kept: set[str]) -> FeatureGroup:
    features = {name: feature for name, feature in group.features.items() if name in kept}
    along = (tuple(name for name in names if name in kept) for names in group.monotone)
    return replace(group, features=features, monotone=tuple(names for names in along if len(names) > 1))


def _of_events(
    plan: MartPlan, entity: Entity, catalog: Catalog
) -> Iterator[tuple[DerivedGroup, tuple[_Described, ...]]]:
    mart = catalog.mart(plan.mart)
    predicate = parse_event_condition(plan.where, mart, entity.timezone) if plan.where else None
    work, words = Computing(plan, predicate), _Words(plan)
    make = partial(_group, plan, entity.name)
    yield make("activity", f"How many {plan.mart}, when last and first", work.activity, words.activity())
    yield make("regularity", f"How regularly {plan.mart} come", work.regularity, words.regularity())
    yield make("clock", f"At which hours and on which weekdays {plan.mart} happen", work.clock, words.clock())
    if plan.measures:
        yield make("values", f"{_listed(plan.measures)} of {plan.mart}", work.values, words.values())
    if variety := words.variety():
        yield make("variety", f"How many different things {plan.mart} name", work.variety, variety)
    for category in plan.categories:
        if category.values or category.form == "boolean":
            build = partial(work.category, category)
            what = f"Which {category.column} {plan.mart} have"
            yield make(f"by_{category.column}", what, build, words.category(category))
    if plan.times:
        yield make("times", f"{_listed(plan.times)} of {plan.mart}", work.times, words.times())


def _attributes(plan: MartPlan, entity: Entity) -> Iterator[tuple[DerivedGroup, tuple[_Described, ...]]]:
    if columns := tuple(_Words(plan).attributes(entity.name)):
        description = f"What was known of each {entity.name} at the time"
        yield _group(plan, entity.name, "attributes", description, Computing(plan).attributes, columns)


def _group(
    plan: MartPlan, entity: str, kind: str, description: str, build: Build, columns: Sequence[_Described]
) -> tuple[DerivedGroup, tuple[_Described, ...]]:
    group = DerivedGroup(
        name=f"{plan.mart}_{kind}".lower(),
        entity=entity,
        description=description,
        marts=(plan.mart,),
        features={one.name: one.feature for one in columns},
        build=build,
        module=computing.__name__,
        monotone=tuple(_rising(plan, kind)),
        declaration=plan.to_json() | {"kind": kind},
    )
    return group, tuple(columns)


def _rising(plan: MartPlan, kind: str) -> Iterator[tuple[str, ...]]:
    """Counts never fall from a shorter window to a longer one."""
    counted = {"activity": ["count"], "variety": [f"{name}_distinct" for name in _varied(plan)]}.get(kind, [])
    for name in counted:
        yield tuple(f"{plan.mart}_{window_name(name, days)}".lower() for days in plan.windows)


def _varied(plan: MartPlan) -> list[str]:
    return [*plan.identifiers, *(one.column for one in plan.categories if one.form != "boolean")]


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text[:1].upper() + text[1:]


class _Words:
    """What the columns of a plan are, in words that a marketer reads."""

    def __init__(self, plan: MartPlan) -> None:
        self._plan, self._mart = plan, plan.mart

    def activity(self) -> list[_Described]:
        found = [self._one(ACTIVITY, name, words) for name, words in self._windows("count", self._mart)]
        found += [
            self._one(ACTIVITY, "days_since_last", f"days since the last of {self._mart}", nullable=True),
            self._one(
                ACTIVITY, "days_since_first", f"days since the first of {self._mart}", nullable=True, ageing=True
            ),
            self._one(
                ACTIVITY, "days_between", f"days from the first to the last of {self._mart}", nullable=True, ageing=True
            ),
            self._one(ACTIVITY, "count_a_month", f"{self._mart} per 30 days since the first", nullable=True),
        ]
        if self._plan.recent is not None and len(self._plan.finite) > 1:
            words = (
                f"{self._mart} a day in the last {self._plan.recent} days, relative to the last {self._plan.finite[-1]}"
            )
            found.append(self._one(ACTIVITY, "count_trend", words, nullable=True))
        return found

    def regularity(self) -> list[_Described]:
        of = f"days with {self._mart}"
        return [
            self._one(ACTIVITY, "days", of),
            self._one(ACTIVITY, "mean_pause", f"average days between {of}", minimum=1, nullable=True),
            self._one(ACTIVITY, "pause_spread", f"how much the days between {of} vary", nullable=True),
            self._one(ACTIVITY, "longest_pause", f"longest pause between {of}", minimum=1, nullable=True),
            self._one(
                ACTIVITY, "recency_in_pauses", "days since the last, relative to the average pause", nullable=True
            ),
            self._one(ACTIVITY, "relative_pause_spread", "how irregular pauses are, by their average", nullable=True),
        ]

    def clock(self) -> list[_Described]:
        names = [*map(hours, range(BLOCKS)), *WEEKDAYS]
        return [self._share(CLOCK, f"{name}_share", f"at {name.replace('_', ' ')}") for name in names]

    def values(self) -> list[_Described]:
        found = []
        for column in self._plan.measures:
            of = f"{column} of {self._mart}"
            found += [
                self._open(VALUES, name, words) for name, words in self._windows(f"{column}_mean", f"average {of}")
            ]
            for name, words in self._windows(f"{column}_sum", f"sum of {of}"):
                found.append(self._one(VALUES, name, words, minimum=None))
            found += [self._open(VALUES, f"{column}_{name}", f"{said} {of}") for name, said in _EXTREMES]
            found.append(self._one(VALUES, f"{column}_spread", f"how much {of} varies", nullable=True))
            if self._plan.recent is not None:
                words = f"average {of} in the last {self._plan.recent} days less the average before"
                found.append(self._open(VALUES, f"{column}_trend", words))
        return found

    def variety(self) -> list[_Described]:
        return [
            self._one(VARIETY, name, words)
            for column in _varied(self._plan)
            for name, words in self._windows(f"{column}_distinct", f"different {column} of {self._mart}")
        ]

    def category(self, category: CategoryPlan) -> list[_Described]:
        found = []
        for part, value in _parts(category).items():
            for days in self._plan.windows:
                rank = SHARES if days == self._plan.widest else RECENT_SHARES
                name = window_name(f"{category.column}_{part}_share", days)
                found.append(self._share(rank, name, f"with {category.column} {value}{_in(days)}"))
            for column in self._plan.measures:
                words = f"average {column} of {self._mart} with {category.column} {value}"
                found.append(self._open(WITHIN, f"{category.column}_{part}_{column}_mean", words))
        return found

    def times(self) -> list[_Described]:
        found = []
        for column in self._plan.times:
            found.append(self._share(VALUES, f"{column}_come_share", f"whose {column} has come"))
            words = f"average days from {self._mart} to {column}, where it has come"
            found.append(self._open(VALUES, f"{column}_mean_days_after", words))
        return found

    def attributes(self, entity: str) -> list[_Described]:
        found = [self._open(PEOPLE, column, f"{column} of the {entity}") for column in self._plan.measures]
        for category in self._plan.categories:
            if category.values or category.form == "boolean":
                for part, value in _parts(category).items():
                    words = f"1 when {category.column} is {value}, else 0"
                    found.append(self._one(PEOPLE, f"{category.column}_{part}", words, maximum=1, nullable=True))
        return found + [
            self._one(PEOPLE, f"days_since_{column}", f"days since {column}", nullable=True, ageing=True)
            for column in self._plan.times
        ]

    def _windows(self, name: str, words: str) -> list[tuple[str, str]]:
        return [(window_name(name, days), f"{words}{_in(days)}") for days in self._plan.windows]

    def _share(self, rank: int, name: str, words: str) -> _Described:
        return self._one(rank, name, f"share of {self._mart} {words}", maximum=1, nullable=True)

    def _open(self, rank: int, name: str, words: str) -> _Described:
        return self._one(rank, name, words, minimum=None, nullable=True)

    def _one(self, rank: int, name: str, words: str, **bounds: Any) -> _Described:
        return _Described(f"{self._mart}_{name}".lower(), Feature(words, **bounds), rank)


_EXTREMES = (("min", "smallest"), ("max", "largest"))


def _parts(category: CategoryPlan) -> dict[str, str]:
    """Part of a column's name → the value in words."""
    if category.form == "boolean":
        return {"true": "true"}
    return {**{part: value for value, part in name_parts(category.values).items()}, OTHER: "none of the leading ones"}


def _in(days: int | None) -> str:
    return " so far" if days is None else f" in the last {days} days"
