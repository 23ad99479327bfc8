"""The leading values of categories: counted before an instant, and whether what is none of them has grown since.

Belongs here: counting on the published marts. Does not belong here: writing what was counted into a file (`writing`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from platform_assets.data.catalog.catalog import Catalog, Entity, Mart
from platform_assets.data.catalog.pointer import MartMissing
from platform_assets.data.features.derived.computing import OTHER, conditions_of
from platform_assets.data.features.derived.declaration import FeatureDeclaration, marts_of
from platform_assets.data.features.derived.plan import CategoryPlan
from platform_assets.data.features.derived.planning import plans_of
from platform_assets.data.features.windows import instant_literal

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from platform_assets.data.engines.reading import Warehouse

# A value that fewer people have could name one of them, and tells too little to learn from.
LEAST_PEOPLE = 10
# Of 100 values, how many more than before are none of the leading ones, when that is told.
_GROWN = 0.05


@dataclass(frozen=True)
class Leading:
    """What was counted of one category.

    Attributes:
        values: the leading ones, most frequent first.
        covered: which share of all values they are.
    """

    mart: str
    column: str
    values: tuple[str, ...]
    covered: float


def leading_values(
    warehouse: "Warehouse", declaration: FeatureDeclaration, before: date, most: int, least_people: int = LEAST_PEOPLE
) -> list[Leading]:
    """The leading values of every category of an entity among what was known when the business day `before` began.

    Raises:
        CatalogError: there is no such entity.
        MartMissing, MartRefused: a mart cannot be read.
    """
    catalog = warehouse.catalog
    entity = catalog.entity(declaration.entity)
    found = []
    for mart, category in _categories(catalog, entity, declaration):
        known = _known(warehouse, mart, entity.instant_of(before))
        held = known[category.column]
        values = known.mutate(_value=held.unnest() if category.form == "list" else held)
        values = values.filter(values["_value"].notnull() & (values["_value"] != ""))
        counted = values.group_by("_value").aggregate(
            rows=values.count(), people=values[str(mart.entity_key)].nunique()
        )
        rows: list[Mapping[str, Any]] = warehouse.to_arrow(counted).to_pylist()
        ranked = sorted(rows, key=lambda row: (-row["rows"], row["_value"]))
        leading = [row for row in ranked if row["people"] >= least_people and len(row["_value"]) <= 200][:most]
        whole = sum(row["rows"] for row in rows)
        covered = sum(row["rows"] for row in leading) / whole if whole else 0.0
        found.append(Leading(mart.name, category.column, tuple(row["_value"] for row in leading), covered))
    return found


def grown_others(warehouse: "Warehouse", declaration: FeatureDeclaration) -> list[str]:
    """A sentence for each category of which more values than before are none of the leading ones."""
    catalog = warehouse.catalog
    entity = catalog.entity(declaration.entity)
    sentences = []
    for mart, category in _categories(catalog, entity, declaration):
        if not category.values or category.counted_before is None or mart.event_time is None:
            continue
        try:
            table, until = warehouse.table(mart.name), warehouse.watermark(mart.name)
        except MartMissing:
            continue
        # BigQuery refuses a look at an event mart that names no time.
        table = table.filter(table[mart.event_time] < instant_literal(until))
        counted = datetime.fromisoformat(category.counted_before)
        others = conditions_of(category)[OTHER](table)
        since = table[mart.event_time] >= instant_literal(counted)
        held = table[category.column].notnull()
        row = warehouse.to_arrow(
            table.aggregate(
                before=held.sum(where=~since),
                others_before=others.sum(where=~since),
                after=held.sum(where=since),
                others_after=others.sum(where=since),
            )
        ).to_pylist()[0]
        if not row["before"] or not row["after"]:
            continue
        was, is_now = ((row[f"others_{when}"] or 0) / row[when] for when in ("before", "after"))
        if is_now - was > _GROWN:
            sentences.append(
                f"{mart.name}.{category.column}: {is_now:.0%} of its rows since {counted.date()} hold none of the leading "
                f"values, {was:.0%} before; count them again: platform-assets features suggest {entity.name} --before DATE"
            )
    return sentences


def _categories(
    catalog: Catalog, entity: Entity, declaration: FeatureDeclaration
) -> Iterator[tuple[Mart, CategoryPlan]]:
    """Every category that takes values; those of true and false need none."""
    marts = marts_of(catalog, entity)
    for name, planned in plans_of(catalog, entity, declaration).items():
        yield from ((marts[name], one) for one in planned.plan.categories if one.form != "boolean")


def _known(warehouse: "Warehouse", mart: Mart, instant: datetime) -> "ir.Table":
    table = warehouse.table(mart.name)
    began = mart.event_time or ("valid_from" if mart.history == "scd2" else None)
    return table if began is None else table.filter(table[began] < instant_literal(instant - mart.arrival_lag))
