"""A shop whose orders and customers change after the event: its exports, its models, and what its features are made of.

Belongs here: what tests of late updates build. Does not belong here: what they expect of it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from samples.dynamodb_export import change, export_id, write_dynamodb_export, write_incremental_export
from tests.data.changes.worlds import sources_of
from tests.data.exports.histories import at

KEYS = {"orders": "order_id", "customers": "customer_id"}
SPEC = ExportSourceSpec(
    description="Orders and customers.",
    owner="team:tests",
    format="dynamodb",
    path="shop",
    tables=[ExportTableSpec(name=table, export_table=table, key=[key]) for table, key in KEYS.items()],
)
# Events as first written and a row a version; and as they are today, which no project should have.
EVENTS = {"orders": "order_id", "order_versions": "version_id", "orders_today": "order_id"}
FEATURES = """\
entity: customer
features:
  orders: {categories: {status: {values: [placed, returned]}}}
  order_versions: {categories: {status: {values: [placed, returned]}}}
  orders_today: {categories: {status: {values: [placed, returned]}}}
  customers: {categories: {plan: {values: [basic, gold]}}}
"""
Item = dict[str, Any]


def order(number: int, customer: int, hour: float, amount: int, status: str = "placed") -> Item:
    return {
        "order_id": {"N": str(number)},
        "customer_id": {"N": str(customer)},
        "ordered_at": {"S": at(hour).isoformat()},
        "amount": {"N": str(amount)},
        "status": {"S": status},
    }


def customer(number: int, plan: str) -> Item:
    return {"customer_id": {"N": str(number)}, "plan": {"S": plan}}


def written(table: str, hour: float, new: Item | None, old: Item | None = None) -> Item:
    """A line of an incremental export."""
    (key,) = (item[KEYS[table]] for item in (new or old,) if item)
    return change({KEYS[table]: key}, at(hour), new=new, old=old)


def write_full(lake: Path, **tables: Iterable[Item]) -> None:
    for table, items in tables.items():
        write_dynamodb_export(lake, table, export_id(table, at(0)), items, at(0), prefix="shop", files=1)


def write_window(lake: Path, start: float, end: float, **tables: Iterable[Item]) -> None:
    for table in KEYS:
        lines, window = tables.get(table, ()), (at(start), at(end))
        write_incremental_export(lake, table, lines, window, prefix="shop", files=1)


def write_models(project: Path) -> None:
    """Staging models and marts of the shop, into a project with the platform's macros."""
    staging, marts = project / "models" / "staging", project / "models" / "marts"
    columns = {
        "order_id": "integer",
        "customer_id": "integer",
        "ordered_at": "instant",
        "amount": "integer",
        "status": "text",
    }
    _stage(staging, "orders", "first_items", columns, keep=["_written_at"])
    _stage(staging, "orders", "items", columns)
    _stage(staging, "orders", "versions", columns, keep=["valid_from"])
    _stage(
        staging, "customers", "versions", {"customer_id": "integer", "plan": "text"}, keep=["valid_from", "valid_to"]
    )
    names = ", ".join(columns)
    for mart, fold in {"orders": "first_items", "orders_today": "items"}.items():
        (marts / f"{mart}.sql").write_text(f"select {names} from {{{{ ref('stg_orders_{fold}') }}}}\n")
    version = "cast({0} as varchar) || '-' || epoch_us(valid_from) as version_id"
    (marts / "order_versions.sql").write_text(
        f"select {version.format('order_id')}, {names}, valid_from from {{{{ ref('stg_orders_versions') }}}}\n"
    )
    merged = "{{ merged_versions(ref('stg_customers_versions'), 'customer_id', ['plan']) }}"
    (marts / "customers.sql").write_text(f"select {version.format('customer_id')}, * from ({merged})\n")
    models = [*(_events(mart, key) for mart, key in EVENTS.items()), _customers()]
    (marts / "shop.yml").write_text(json.dumps({"version": 2, "models": models}))
    raw_tables = [name for table in KEYS for name in (table, f"{table}__changes")]
    declared = sources_of("shop", raw_tables) | {"models": [_arriving("stg_orders_first_items")]}
    (staging / "shop.yml").write_text(json.dumps(declared))
    (project / "features").mkdir()
    (project / "features" / "customer.yaml").write_text(FEATURES)


def _stage(folder: Path, table: str, fold: str, columns: dict[str, str], keep: Iterable[str] = ()) -> None:
    typed = [
        {"name": name, "path": [name], "tags": ["N" if kind == "integer" else "S"], "type": kind}
        for name, kind in columns.items()
    ]
    relation = f"dynamodb_{fold}('shop', '{table}', ['{KEYS[table]}'])"
    (folder / f"stg_{table}_{fold}.sql").write_text(
        f"{{{{ dynamodb_select({relation}, {typed}, where='true', keep={list(keep)}) }}}}\n"
    )


def _arriving(model: str) -> Item:
    """With the test that orders are known six hours after their time."""
    test = {
        "name": "orders_arrive",
        "arguments": {"known_from": "_written_at", "hours": 6},
        "config": {"severity": "warn"},
    }
    return {"name": model, "columns": [{"name": "ordered_at", "data_tests": [{"arrives_within": test}]}]}


def _column(name: str, kind: str, role: str = "none") -> Item:
    return {"name": name, "data_type": kind, "config": {"meta": {"platform": {"role": role}}}}


def _model(name: str, declared: Item, columns: list[Item]) -> Item:
    return {"name": name, "config": {"labels": {}, "meta": {"platform": declared}}, "columns": columns}


def _events(mart: str, key: str) -> Item:
    of_versions = mart == "order_versions"
    time = "valid_from" if of_versions else "ordered_at"
    declared = {"kind": "event", "entity": "customer", "key": key, "entity_key": "customer_id", "event_time": time}
    columns = [
        _column("order_id", "bigint"),
        _column("customer_id", "bigint"),
        _column("ordered_at", "timestamptz"),
        _column("amount", "bigint", "measure"),
        _column("status", "varchar", "category"),
    ]
    if of_versions:
        columns = [_column(key, "varchar"), *columns, _column("valid_from", "timestamptz")]
    return _model(mart, declared, columns)


def _customers() -> Item:
    declared = {"kind": "entity", "entity": "customer", "key": "version_id", "entity_key": "customer_id"}
    declared |= {"history": "scd2", "population": "orders", "timezone": "UTC"}
    columns = [
        _column("version_id", "varchar"),
        _column("customer_id", "bigint"),
        _column("plan", "varchar", "category"),
        _column("valid_from", "timestamptz"),
        _column("valid_to", "timestamptz"),
    ]
    return _model("customers", declared, columns)
