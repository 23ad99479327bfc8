"""Declarations in the dbt project: what is read from them, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from platform_assets.data.catalog.catalog import Catalog, CatalogError, ManifestMissing


def model(name: str, meta: dict[str, Any] | None, columns: dict[str, str], reads: str) -> dict[str, Any]:
    return {
        "name": name,
        "resource_type": "model",
        "fqn": ["project", "marts", name],
        "original_file_path": f"models/marts/{name}.sql",
        "description": f"One row per {name}.",
        "config": {"meta": {"platform": meta} if meta is not None else {}},
        "columns": {
            column: {"name": column, "data_type": data_type, "description": f"The {column}."}
            for column, data_type in columns.items()
        },
        "depends_on": {"nodes": [reads]},
    }


CUSTOMER = {
    "kind": "entity",
    "entity": "customer",
    "key": "customer_id",
    "history": "immutable",
    "timezone": "Europe/Berlin",
    "population": "orders",
}
ORDER = {
    "kind": "event",
    "entity": "customer",
    "key": "order_id",
    "entity_key": "customer_id",
    "event_time": "ordered_at",
    "arrival_lag": "2d",
}


def manifest(
    customer: dict[str, Any] | None = CUSTOMER, order: dict[str, Any] | None = ORDER, versions: bool = False
) -> dict[str, Any]:
    staging = {
        "name": "stg_orders",
        "resource_type": "model",
        "fqn": ["project", "staging", "stg_orders"],
        "depends_on": {"nodes": ["source.orders"]},
    }
    order_columns = {"order_id": "bigint", "customer_id": "bigint", "ordered_at": "timestamptz"}
    valid = {"valid_from": "timestamptz", "valid_to": "timestamptz"} if versions else {}
    nodes = {
        "stg_orders": staging,
        "customers": model("customers", customer, {"customer_id": "bigint"} | valid, "source.customers"),
        "orders": model("orders", order, order_columns, "stg_orders"),
    }
    sources = {f"source.{name}": {"source_name": "shop", "name": name} for name in ("customers", "orders")}
    return {"nodes": nodes, "sources": sources}


def customers(**changes: str | None) -> dict[str, Any]:
    """A manifest whose customers are declared otherwise in this; None leaves a key out."""
    return manifest(customer=_without_none(CUSTOMER | changes))


def orders(**changes: Any) -> dict[str, Any]:
    """The same of orders."""
    return manifest(order=_without_none(ORDER | changes))


def _without_none(meta: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in meta.items() if value is not None}


def test_marts_and_entities_are_read_from_their_declarations() -> None:
    catalog = Catalog.from_nodes(manifest())
    assert list(catalog.marts) == ["customers", "orders"]
    entity = catalog.entity("customer")
    assert (entity.mart, entity.key, entity.timezone, entity.population) == (
        "customers",
        "customer_id",
        "Europe/Berlin",
        "orders",
    )
    orders = catalog.mart("orders")
    assert orders.arrival_lag.days == 2
    assert orders.sources == (("shop", "orders"),)
    assert orders.columns["ordered_at"].data_type == "timestamptz"


REFUSED = {
    "a key nobody knows": (
        customers(histroy="scd2"),
        r"mart customers: config\.meta\.platform\.histroy is not a key here; did you mean 'history'",
    ),
    "attributes as they are today": (
        customers(history=None),
        r"mart customers: say config\.meta\.platform\.history.*leak",
    ),
    "history without versions": (
        customers(history="scd2"),
        r"mart customers: history scd2 needs the columns valid_from and valid_to",
    ),
    "another history": (
        customers(history="current"),
        r"mart customers: .*history is 'current'; it takes immutable, scd2",
    ),
    "no declaration": (manifest(order=None), r"mart orders: declare what it is"),
    "an event without time": (orders(event_time=None), r"mart orders: .*needs .*event_time"),
    "a column that is not there": (
        orders(event_time="orderd_at"),
        r"mart orders: .*'orderd_at', which it does not have; did you mean 'ordered_at'",
    ),
    "a key without meaning": (
        orders(history="immutable"),
        r"mart orders: .*history means nothing on a mart of kind event",
    ),
    "an entity nobody declares": (
        orders(entity="costumer"),
        r"mart customers: .*population names 'orders', which is not an event mart of entity customer",
    ),
    "a time zone that is none": (customers(timezone="Berlin"), r"mart customers: .*'Berlin' is not an IANA time zone"),
    "a lag that is none": (orders(arrival_lag="soon"), r"mart orders: .*'soon' is not a duration"),
    "a person of several rows without a name": (
        manifest(customer={**CUSTOMER, "history": "scd2"}, versions=True),
        r"mart customers: with history scd2 .* name the person's column in config\.meta\.platform\.entity_key",
    ),
    "another kind": (
        orders(kind="events"),
        r"mart orders: config\.meta\.platform\.kind is 'events'; did you mean 'event'\?; it takes entity, event, dimension",
    ),
    "no kind": (orders(kind=None), r"mart orders: .*kind is None; it takes entity, event"),
    "a key left empty": (orders(key=""), r"mart orders: a mart of kind event needs .*\.key"),
    "a key that is no text": (orders(key=5), r"mart orders: .*\.key is 5; it takes text"),
    "a flag that is none": (
        orders(require_partition_filter="yes"),
        r"mart orders: .*require_partition_filter is 'yes'; it takes true or false",
    ),
    "several at once": (
        orders(event_time=None, arrival_lag="soon"),
        r"mart orders: .*'soon' is not a duration.*\nmart orders: .*needs .*event_time",
    ),
    "a person named by two columns": (
        orders(entity_key="order_id"),
        r"mart orders: names entity customer by another column",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_declaration_that_cannot_be_worked_with_is_refused_by_name(case: str) -> None:
    declared, sentence = REFUSED[case]
    with pytest.raises(CatalogError, match=sentence):
        Catalog.from_nodes(declared)


def test_a_missing_manifest_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestMissing, match="Run `platform-assets manifest`"):
        Catalog.from_manifest(tmp_path / "dbt_project" / "target" / "manifest.json")


def test_a_damaged_manifest_is_named_with_the_command_that_makes_it_again(tmp_path: Path) -> None:
    manifest = tmp_path / "dbt_project" / "target" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    for content in (b"", b'{"nodes": {', b"\xff"):
        manifest.write_bytes(content)
        with pytest.raises(
            ManifestMissing, match=rf"{manifest} is damaged: it is not readable JSON\. Run `platform-assets manifest`"
        ):
            Catalog.from_manifest(manifest)


def with_columns(**columns: dict[str, Any]) -> dict[str, Any]:
    """The manifest with more columns of `orders`."""
    made = manifest()
    for name, declared in columns.items():
        made["nodes"]["orders"]["columns"][name] = {"name": name, "description": "", **declared}
    return made


def test_a_column_has_its_role_whether_it_describes_a_person_and_whether_it_changes() -> None:
    platform = {"platform": {"role": "measure"}}
    orders = Catalog.from_nodes(
        with_columns(
            amount={"data_type": "decimal(38, 9)", "config": {"meta": platform}},
            older={"data_type": "bigint", "meta": platform},
            city={"data_type": "varchar", "policy_tags": ["personal"]},
            status={"data_type": "varchar", "config": {"meta": {"platform": {"role": "category", "changes": True}}}},
        )
    ).mart("orders")
    assert {name: column.role for name, column in orders.columns.items() if column.role} == {
        "amount": "measure",
        "older": "measure",
        "status": "category",
    }
    assert [name for name, column in orders.columns.items() if column.personal] == ["city"]
    assert [name for name, column in orders.columns.items() if column.changes] == ["status"]


@pytest.mark.parametrize(
    ("data_type", "meta", "sentence"),
    [
        (
            "bigint",
            {"role": "mesure"},
            r"role is 'mesure'; did you mean 'measure'\?; it takes measure, category, ident",
        ),
        (
            "varchar",
            {"role": "measure"},
            r"role is measure, which a column of type varchar cannot be; it takes category, ",
        ),
        ("bigint[]", {"role": "category"}, r"role is category, which a column of type bigint\[\] cannot be"),
        ("bigint", {"roll": "measure"}, r"config.meta.platform.roll is not a key here; did you mean 'role'\?"),
        ("bigint", {"changes": "yes"}, r"changes is 'yes'; it takes true or false"),
        ("bigint", "measure", r"is 'measure'; it takes keys, such as \{role: measure\}"),
    ],
)
def test_a_role_that_cannot_be_is_refused_by_mart_column_and_key(data_type: str, meta: Any, sentence: str) -> None:
    nodes = with_columns(x={"data_type": data_type, "config": {"meta": {"platform": meta}}})
    with pytest.raises(CatalogError, match=f"mart orders: column x: .*{sentence}"):
        Catalog.from_nodes(nodes)
