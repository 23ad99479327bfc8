"""The values that a campaign file writes in its own way: durations, shares, sizes, days, names.

Belongs here: their form, and what is said of a value that has not got it. Does not belong here: which field takes which.
"""

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

from platform_assets.data.conditions.terms import FIRST_DAY, LAST_DAY
from platform_assets.foundation.documents.sentences import Spelled, shown

_DURATION = re.compile(r"([1-9][0-9]{0,3})([dw])")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")


def _parse_duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{shown(value)} is not a duration; write days or weeks, such as 90d or 12w")
    return timedelta(days=int(match[1]) * (7 if match[2] == "w" else 1))


def _parse_share(value: Any, info: ValidationInfo) -> Any:
    """A percentage; a fraction only in a record with its defaults filled in, since a file may not write 0.1 for 10%."""
    if isinstance(value, float | Decimal) and 0 < value < 1:
        if not info.context:
            return float(value)
        percent = min(max(round(float(value) * 100, 3), 0.001), 99.999)
        raise ValueError(f"{shown(value)} is not a share; write it as a percentage: {percent:g}%")
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 <= float(match[1]) <= 100:
        raise ValueError(f"{shown(value)} is not a share; write a percentage such as 10%")
    return float(match[1]) / 100


def _parse_holdout(value: Any, info: ValidationInfo) -> Any:
    share = _parse_share(value, info)
    if share >= 1:
        raise ValueError("a holdout of 100% leaves nobody to treat; write a smaller percentage such as 10%")
    return share


def _parse_size(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError(
                "an audience holds at least one person; write a number such as 5000, or a percentage such as 10%"
            )
        return value
    share = _parse_share(value, info)
    if share == 0:
        raise ValueError("an audience holds more than 0% of the people; write a percentage such as 10%")
    return share


def _parse_day(value: Any) -> Any:
    """Text alone: pydantic takes a number for the seconds since 1970."""
    day = value if isinstance(value, date) else None
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
    if day is None:
        raise ValueError(f"{shown(value)} is not a date; write it as 2024-01-31")
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{day} is out of reach; write a date from {FIRST_DAY} to {LAST_DAY}")
    return day


def _parse_score_at(value: Any) -> Any:
    if value == "latest":
        return value
    try:
        return _parse_day(value)
    except ValueError as error:
        raise ValueError(f"{error}, or as latest" if "is not a date" in str(error) else str(error)) from error


def _one_value(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"{shown(value)} is not one value; write a number, a word, true or false")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(lambda value: f"{value.days}d", return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,3}[dw]$", "examples": ["90d", "12w"]}),
]
_PERCENT_SCHEMA = {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3})?%$", "examples": ["10%"]}
Holdout = Annotated[float, BeforeValidator(_parse_holdout), WithJsonSchema(_PERCENT_SCHEMA)]
Size = Annotated[
    int | float,
    BeforeValidator(_parse_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, _PERCENT_SCHEMA]}),
]
Day = Annotated[date, BeforeValidator(_parse_day)]
ScoreAt = Annotated[Literal["latest"] | date, BeforeValidator(_parse_score_at)]
Predicate = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[
    str,
    Spelled(
        r"^[a-z][a-z0-9_]{0,62}$",
        "is not a name; write lower-case letters, digits and _ that begin with a letter, such as order_windows",
    ),
]
ProfileName = Annotated[
    str,
    Spelled(
        r"^[a-z][a-z0-9-]{0,62}$",
        "is not a name; write lower-case letters, digits and - that begin with a letter, such as gpu-large",
    ),
]
TeacherFile = Annotated[
    str,
    Spelled(
        r"^[A-Za-z0-9_][A-Za-z0-9_./-]*\.(csv|parquet)$",
        "is not a file below the teachers folder that ends in .csv or .parquet; write a name such as fans.csv",
    ),
]
Commit = Annotated[
    str,
    Spelled(r"^[0-9a-f]{40}$", "is not a git commit; write its 40 hex digits, as `git rev-parse HEAD` prints them"),
]
Parameters = dict[str, Annotated[bool | int | float | str, BeforeValidator(_one_value)]]
