"""Three successive full exports of every table, small, and each different from the one before in every way there is.

Belongs here: the rows, and which days of the event marts each export changes. Rows are made by `tests.data.marts.raw`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.data.marts.raw import customer, film, order, rating, viewer

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Exports:
    """One export of every table, all taken at once.

    Attributes:
        changed: event mart → the days that differ from the export before.
        deleted, inserted: event mart → the rows that those days held before, and hold now.
    """

    exported_at: datetime
    tables: Mapping[tuple[str, str], Rows]
    changed: Mapping[str, list[str]]
    deleted: Mapping[str, int]
    inserted: Mapping[str, int]


def _on(day: int, hour: int = 12, month: int = 1) -> datetime:
    return datetime(1998, month, day, hour)


_customers = [customer(1, _on(1)), customer(2, _on(2))]
# Two orders agree in everything but their id; a film of which nothing is known is rated.
FIRST = Exports(
    exported_at=datetime(1998, 2, 1, tzinfo=UTC),
    tables={
        ("shop", "customers"): _customers,
        ("shop", "orders"): [
            order(1, 1, _on(5)),
            order(2, 1, _on(5)),
            order(3, 2, _on(6), amount="20.50"),
            order(4, 2, _on(7), quantity=2, amount="0.00"),
            order(5, 1, _on(8)),
        ],
        ("movies", "viewers"): [viewer(1), viewer(2)],
        ("movies", "films"): [film(10, ["Sci-Fi", "Action"]), film(11, released=None)],
        ("movies", "ratings"): [
            rating(1, 10, _on(5), 5),
            rating(1, 12, _on(6), 2),
            rating(2, 11, _on(7), 3),
            rating(2, 10, _on(7), 3),
        ],
    },
    changed={},
    deleted={},
    inserted={},
)
SECOND = Exports(
    exported_at=datetime(1998, 3, 1, tzinfo=UTC),
    tables={
        ("shop", "customers"): [*_customers, customer(3, _on(9, month=2))],
        ("shop", "orders"): [
            order(6, 1, _on(3)),  # late: before every day there was
            order(1, 1, _on(5)),  # order 2 was removed
            order(3, 2, _on(6), amount="20.51"),  # changed
            order(4, 2, _on(7), quantity=2, amount="0.00"),  # the same
            # the 8th vanished
            order(7, 3, _on(9, month=2), amount="12345678.99"),
            order(8, 3, _on(9, 23, month=2)),
        ],
        ("movies", "viewers"): [viewer(1, occupation="writer"), viewer(3)],
        # Film 12 is known now: the 6th differs, though no rating changed.
        ("movies", "films"): [film(10, ["Sci-Fi", "Action"]), film(11, released=None), film(12, ["Drama"])],
        ("movies", "ratings"): [rating(1, 10, _on(5), 5), rating(1, 12, _on(6), 2), rating(2, 10, _on(7), 3)],
    },
    changed={
        "orders": ["1998-01-03", "1998-01-05", "1998-01-06", "1998-01-08", "1998-02-09"],
        "ratings": ["1998-01-06", "1998-01-07"],
    },
    deleted={"orders": 4, "ratings": 3},
    inserted={"orders": 5, "ratings": 2},
)
THIRD = Exports(
    exported_at=datetime(1998, 4, 1, tzinfo=UTC),
    tables={
        ("shop", "customers"): [*_customers, customer(3, _on(9, month=2))],
        ("shop", "orders"): [
            order(6, 1, _on(3)),
            order(1, 1, _on(5)),
            order(3, 2, _on(7), amount="20.51"),  # moved to another day: the 6th vanished
            order(4, 2, _on(7), quantity=2, amount="0.00"),
            order(5, 1, _on(8)),  # came back
            order(7, 3, _on(9, month=2), amount="12345678.99"),
            order(8, 3, _on(9, 23, month=2)),
        ],
        ("movies", "viewers"): [viewer(1), viewer(2, age=31), viewer(3)],
        ("movies", "films"): [film(10, ["Sci-Fi", "Action"]), film(12, ["Drama"])],
        ("movies", "ratings"): [rating(1, 10, _on(5), 5), rating(1, 12, _on(6), 2), rating(2, 10, _on(7), 3)],
    },
    changed={"orders": ["1998-01-06", "1998-01-07", "1998-01-08"], "ratings": []},
    deleted={"orders": 2, "ratings": 0},
    inserted={"orders": 3, "ratings": 0},
)
THREE = (FIRST, SECOND, THIRD)
