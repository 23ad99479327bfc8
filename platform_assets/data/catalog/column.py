"""What a mart declares of one column: its type, what it is for, and whether it describes a person.

Belongs here: the keys of a column under `config.meta.platform`, and the sentences on what is wrong with them. Does not belong
here: what features are made of a column. Definitions load this module.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from platform_assets.data.catalog.declaration import DECLARED_AT, CatalogError, nearest

Role = Literal["measure", "category", "identifier", "time", "none"]
ColumnKind = Literal["number", "text", "time", "date", "boolean", "list"]
# `identifier` and `none` fit every type.
FITTING: Mapping[str, tuple[ColumnKind, ...]] = {
    "measure": ("number",),
    "category": ("text", "boolean", "list"),
    "time": ("time", "date"),
}
_KEYS = ("role", "changes")


@dataclass(frozen=True)
class Column:
    """One column of a mart.

    Attributes:
        data_type: as the contract states it, in DuckDB's words; every column has one.
        role: `measure` (a number that may be summed), `category` (a text, a truth value or a list of texts with few values),
            `identifier` (a reference, counted distinct), `time` (another instant or date), `none` (never a feature).
            Not said (None), no feature is made of it either.
        personal: whether it is tagged as describing a person (`policy_tags`).
        changes: whether a row's value may differ from one export to the next, as an order's status does.
    """

    name: str
    data_type: str
    role: Role | None = None
    personal: bool = False
    changes: bool = False

    @property
    def kind(self) -> ColumnKind:
        """`number`, `text`, `time`, `date`, `boolean` or `list`, by the declared type."""
        declared = self.data_type.lower()
        if declared.endswith("[]") or declared.startswith(("array", "list")):
            return "list"
        return scalar_kind(declared)

    @property
    def element(self) -> ColumnKind | None:
        """The kind of a list's elements; None when it is no list, or its type does not say."""
        within = re.fullmatch(r"(.+)\[\]|array<(.+)>", self.data_type.lower())
        return scalar_kind(within[1] or within[2]) if within else None


def scalar_kind(declared: str) -> ColumnKind:
    """The kind of a type, in lower case, that is no list."""
    if declared.startswith(("varchar", "string", "text")):
        return "text"
    if declared.startswith(("timestamp", "datetime")):
        return "time"
    if declared.startswith("date"):
        return "date"
    return "boolean" if declared.startswith("bool") else "number"


def column_of(mart: str, node: Mapping[str, Any]) -> Column:
    """A column of dbt's manifest.

    Raises:
        CatalogError: it has no type, or declares something that cannot be worked with.
    """
    name, data_type = str(node["name"]), node["data_type"]
    config = node.get("config") or {}
    meta = (config.get("meta") or {}).get("platform", (node.get("meta") or {}).get("platform"))
    if meta is None:
        meta = {}
    at = f"mart {mart}: column {name}: {DECLARED_AT}"
    if not isinstance(meta, dict):
        raise CatalogError(f"{at} is {meta!r}; it takes keys, such as {{role: measure}}")
    for key in meta:
        if key not in _KEYS:
            raise CatalogError(f"{at}.{key} is not a key here{nearest(key, _KEYS)}; it takes {', '.join(_KEYS)}")
    role, changes = meta.get("role"), meta.get("changes", False)
    if role is not None and role not in get_args(Role):
        raise CatalogError(
            f"{at}.role is {role!r}{nearest(role, get_args(Role))}; it takes {', '.join(get_args(Role))}"
        )
    if not isinstance(changes, bool):
        raise CatalogError(f"{at}.changes is {changes!r}; it takes true or false")
    column = Column(name, str(data_type), role, bool(node.get("policy_tags")), changes)
    fitting = FITTING.get(role or "", ())
    listed_otherwise = role == "category" and column.kind == "list" and column.element not in ("text", None)
    if fitting and (column.kind not in fitting or listed_otherwise):
        others = [other for other, kinds in FITTING.items() if column.kind in kinds and other != role]
        raise CatalogError(
            f"{at}.role is {role}, which a column of type {data_type} cannot be; it takes "
            f"{', '.join([*others, 'identifier', 'none'])}, or another type in the model"
        )
    return column
