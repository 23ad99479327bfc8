"""The role of each column, proposed by its name and its values, with the reason.

Belongs here: one column at a time. Does not belong here: what a table is (`proposing`).
"""

from dataclasses import dataclass
from typing import Literal

from platform_assets.operations.onboarding.names import (
    is_identifier,
    is_measure,
    is_not_summed,
    is_personal,
)
from platform_assets.operations.onboarding.tables import INSTANTS, NUMBERS, Column, Table

Role = Literal["measure", "category", "identifier", "time", "none"]
ROLES: tuple[Role, ...] = ("measure", "category", "identifier", "time", "none")
# What a role can be on: text says nothing that can be summed.
TYPES: dict[str, tuple[str, ...]] = {
    "measure": NUMBERS,
    "category": ("text", "boolean", "texts"),
    "identifier": ("integer", "text", "decimal"),
    "time": ("date", *INSTANTS),
}
_YEARS = (1850, 2100)
_FEW, _MANY = 20, 1000
_ROWS_A_VALUE = 5


@dataclass(frozen=True)
class Proposal:
    """A role and why.

    Attributes:
        certain: False where the column says too little, so that a person should look.
    """

    role: Role
    reason: str
    certain: bool = True
    personal: bool = False


def role_of(column: Column, table: Table, people: bool, references: str | None) -> Proposal:
    """The role of a column.

    Args:
        people: whether the table describes people, whose names and addresses are personal.
        references: the table whose key it holds, where it does.
    """
    personal = is_personal(column.name) or (people and column.name in ("name", "title"))
    role, reason, certain = _role(column, table, references)
    return Proposal(role, reason, certain, personal)


def _role(column: Column, table: Table, references: str | None) -> tuple[Role, str, bool]:
    if column.type != "texts" and column.nulls == table.rows:
        return "none", "never has a value", True
    if references:
        return "identifier", f"holds keys of {references}", True
    if column.type in ("date", *INSTANTS):
        return "time", "an instant or date", True
    if column.type == "boolean":
        return "category", "true or false", True
    if column.type == "texts":
        return "category", "a list of texts", True
    if is_identifier(column.name):
        return "identifier", "a reference, by its name", True
    if column.type == "text":
        return _of_text(column, table)
    return _of_number(column)


def _of_text(column: Column, table: Table) -> tuple[Role, str, bool]:
    rows = table.rows - column.nulls
    words = f"{column.values} different texts in {rows} rows"
    few = column.values <= _FEW and 2 * column.values <= rows
    if few or (column.values <= _MANY and _ROWS_A_VALUE * column.values <= rows):
        return "category", words, True
    return "none", f"{words}: too many for a category", False


def _of_number(column: Column) -> tuple[Role, str, bool]:
    whole = column.type == "integer"
    low, high = column.low, column.high
    if whole and low is not None and _YEARS[0] <= low <= high <= _YEARS[1] and not is_measure(column.name):
        return "none", f"whole numbers from {_YEARS[0]} to {_YEARS[1]} look like years, which are not summed", True
    if is_measure(column.name):
        return "measure", "an amount, by its name", True
    if is_not_summed(column.name):
        return "none", "by its name a number that is not summed, such as a level, rate, age or code", True
    if not whole:
        return "measure", "a number with decimals", True
    if (low, high) in ((0, 1), (0, 0), (1, 1)):
        return "measure", "0 or 1: its sum counts", True
    return "none", "a whole number whose name does not say whether it may be summed", False
