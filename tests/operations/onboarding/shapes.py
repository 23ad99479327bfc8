"""Random tables, as Aurora and DynamoDB may export them.

Belongs here: strategies. Does not belong here: what becomes of the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

NAMES = [
    "id",
    "user_id",
    "customer_id",
    "order",
    "group",
    "select",
    "values",
    "timestamp",
    "Order_Date",
    "year",
    "amount",
    "2nd",
    "UPPER",
    "camelCase",
    "quantity",
    "updated_at",
    "created_at",
    "is_active",
    "valid_from",
    "name",
    "email",
    "zip_code",
    "item_values",
    "rank",
    "week",
    "from",
    "_hidden",
    "end",
]
ODD_NAMES = (
    "with space",
    "naïve café",
    "a.b",
    "x[0]",
    "'quoted'",
    'double"d',
    "back\\slash",
    "{{ jinja }}",
    "per%cent",
    "dash-ed",
    "🎉",
    "$x",
    "*",
)
ROWS = 6


@dataclass(frozen=True)
class Shape:
    """A table: its columns (Aurora) or items (DynamoDB)."""

    layout: str
    columns: Mapping[str, pa.Array]
    items: tuple[Mapping[str, Any], ...] = ()


def _array(values: st.SearchStrategy[Any], kind: pa.DataType) -> st.SearchStrategy[pa.Array]:
    maybe = st.one_of(values, st.none())
    column = st.one_of(
        st.lists(values, min_size=ROWS, max_size=ROWS),
        st.lists(maybe, min_size=ROWS, max_size=ROWS),
        st.just([None] * ROWS),
    )
    return column.map(lambda rows: pa.array(rows, kind))


_DAYS = st.dates(datetime(2000, 1, 1).date(), datetime(2025, 1, 1).date())
_INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2025, 1, 1))
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_NUMBER_TEXTS = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(1_600_000_000, 1_700_000_000).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.integers(10**30, 10**37).map(str),
    st.just("0.000000000001"),
)
_COLUMNS = st.one_of(
    st.just(pa.array(range(1, ROWS + 1), pa.int64())),
    _array(st.integers(-(2**31), 2**31 - 1), pa.int32()),
    _array(st.integers(1_600_000_000, 1_700_000_000), pa.int64()),
    _array(st.integers(0, 3), pa.int64()),
    _array(st.decimals(-1000, 1000, places=2).map(Decimal), pa.decimal128(10, 2)),
    _array(st.decimals(0, 1000, places=10).map(Decimal), pa.decimal128(38, 10)),
    _array(st.floats(allow_nan=False, allow_infinity=False, width=32), pa.float64()),
    _array(_TEXTS, pa.string()),
    _array(st.sampled_from(["", "a", "b"]), pa.string()),
    _array(_DAYS.map(str), pa.string()),
    _array(_INSTANTS.map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}+00"), pa.string()),
    _array(_INSTANTS, pa.timestamp("us")),
    _array(st.booleans(), pa.bool_()),
    _array(st.binary(max_size=3), pa.binary()),
)


def _name(taken: tuple[str, ...], odd: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from((*taken, *odd))


_AURORA = (
    st.dictionaries(_name(tuple(NAMES), ODD_NAMES), _COLUMNS, min_size=1, max_size=7)
    .filter(lambda columns: len({name.lower() for name in columns}) == len(columns))
    .map(lambda columns: Shape("aurora", columns))
)

_SCALARS = st.one_of(
    _TEXTS.map(lambda text: {"S": text}),
    _DAYS.map(lambda day: {"S": str(day)}),
    _INSTANTS.map(lambda at: {"S": f"{at.isoformat(timespec='seconds')}Z"}),
    _NUMBER_TEXTS.map(lambda number: {"N": number}),
    st.booleans().map(lambda value: {"BOOL": value}),
    st.just({"NULL": True}),
    st.just({"B": "aGk="}),
)
_SETS = st.one_of(
    st.sets(_TEXTS.filter(bool), min_size=1, max_size=3).map(lambda texts: {"SS": sorted(texts)}),
    st.sets(st.integers(0, 9).map(str), min_size=1, max_size=3).map(lambda numbers: {"NS": sorted(numbers)}),
)
_KINDS: tuple[st.SearchStrategy[dict[str, Any]], ...] = (
    _TEXTS.map(lambda text: {"S": text}),
    st.integers(0, 5).map(lambda number: {"N": str(number)}),
    _NUMBER_TEXTS.map(lambda number: {"N": number}),
    _DAYS.map(lambda day: {"S": str(day)}),
    _INSTANTS.map(lambda at: {"S": f"{at.isoformat(timespec='seconds')}Z"}),
    st.booleans().map(lambda value: {"BOOL": value}),
    _SCALARS,
    _SETS,
    st.lists(_TEXTS.map(lambda text: {"S": text}), max_size=3).map(lambda texts: {"L": texts}),
    st.lists(_SCALARS, max_size=3).map(lambda values: {"L": values}),
    st.dictionaries(_name(("plan", "order", "Seats"), ODD_NAMES), st.one_of(_SCALARS, _SETS), max_size=3).map(
        lambda inner: {"M": inner}
    ),
    st.one_of(_SCALARS, _SETS),
)


@st.composite
def _items(draw: st.DrawFn) -> Shape:
    names = draw(st.lists(_name(tuple(NAMES), ODD_NAMES), min_size=1, max_size=6, unique=True))
    kinds = {name: _KINDS[draw(st.integers(0, len(_KINDS) - 1))] for name in names}
    items = []
    for number in range(1, ROWS + 1):
        item: dict[str, Any] = {"pk": {"S": f"row#{number}"}} if draw(st.just(True)) else {}
        for name, kind in kinds.items():
            if draw(st.integers(0, 5)):
                item[name] = draw(kind)
        items.append(item)
    return Shape("dynamodb", {}, tuple(items))


SHAPES = st.one_of(_AURORA, _items())

_EACH = range(1, ROWS + 1)
# One of each layout that has a key for certain, beside names that take care.
KEYED = (
    Shape("aurora", {"thing_id": pa.array(_EACH, pa.int64()), **{odd: pa.array(["a"] * ROWS) for odd in ODD_NAMES}}),
    Shape(
        "dynamodb",
        {},
        tuple({"thing_id": {"N": str(n)}, "order": {"M": {odd: {"S": "a"} for odd in ODD_NAMES}}} for n in _EACH),
    ),
)
