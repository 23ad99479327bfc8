"""Questions that readers of marts ask, and that the marts cannot answer."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from platform_assets.readers.moment import Marts
from tests.broken_inputs.world import Broken, World, cut, flip, removed

Read = Callable[[Marts], object]


def question(what: str, read: Read, *names: str, break_it: Callable[[World], Path | None] = lambda _: None) -> Broken:
    """What somebody asks for in a notebook, of marts of which a file may be broken."""
    return Broken(what, break_it, lambda world: world.said_by_reader(read), names)


ORDERS = "marts/orders/*/part-0.parquet"
ROWS = (
    question("a mart that nobody declares", lambda marts: marts["odrers"], "odrers", "orders"),
    question(
        "a column that the mart does not have", lambda marts: marts.orders(columns=["amonut"]), "amonut", "amount"
    ),
    question("columns that are one text", lambda marts: marts.orders(columns="amount"), "columns"),
    question("no columns", lambda marts: marts.orders(columns=[]), "columns"),
    question("a date beyond what exports cover", lambda marts: marts.orders(as_of="2031-01-01"), "as_of", "orders"),
    question("a date that is none", lambda marts: marts.orders(since="1998-02-30"), "since", "1998-02-30"),
    question(
        "an instant without time zone", lambda marts: marts.orders(since=datetime(1998, 3, 1)), "since", "time zone"
    ),
    question(
        "rows since a day after the day they are asked as of",
        lambda marts: marts.orders(since="1998-03-02", as_of="1998-03-01"),
        "since",
        "as_of",
    ),
    question(
        "rows since a day, of a mart without events",
        lambda marts: marts.customers(since="1998-03-01"),
        "since",
        "customers",
    ),
    question(
        "a mart with a byte that was turned over, asked by a reader",
        lambda marts: marts.orders(),
        "orders",
        break_it=lambda world: flip(world.only(ORDERS)),
    ),
    question(
        "a mart that is gone, asked by a reader",
        lambda marts: marts.orders(),
        "orders",
        break_it=lambda world: removed(world.only(ORDERS)),
    ),
    question(
        "the pointer to the marts, cut short, asked by a reader",
        lambda marts: marts.orders(),
        break_it=lambda world: cut(world.only("marts/current.json")),
    ),
)
