"""What a spine row may know of each mart, and the shape every feature table ends in.

Belongs here: expressions whose result depends on as-of instants and that are not a group's own. Does not
belong here: windows over events (windows.py), caching and auditing (tables.py).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from platform_assets.data.features.windows import AsOfRows, Events, earlier

if TYPE_CHECKING:
    import ibis.expr.types as ir


def population(events: Events, as_of: datetime) -> "ir.Table":
    """Everyone with a known event at `as_of`: one column, the person's, each once."""
    return events.before(as_of).table.select(events.person).distinct()


def valid_versions(versions: "ir.Table", person: str, lag: timedelta, spine: AsOfRows) -> "ir.Table":
    """Of a table with `valid_from`/`valid_to` (null: open), the version valid just before each row's as_of − lag.

    Returns:
        a row a spine row: the person's key, `as_of`, the versions' other columns (null before the first
            version).
    """
    known = earlier(spine.table.as_of, lag)
    own = versions.rename({"_person": person})
    valid = [
        spine.table[spine.person] == own["_person"],
        own.valid_from < known,
        own.valid_to.isnull() | (known <= own.valid_to),
    ]
    return spine.table.left_join(own, valid).drop("_person", "valid_from", "valid_to")


def finished(built: "ir.Table", person: str, features: Sequence[str]) -> "ir.Table":
    """`built` as it is stored: key, `as_of`, the features as float64 in their declared order, sorted."""
    columns = {name: built[name].cast("float64") for name in features}
    return built.select(person, "as_of", **columns).order_by([person, "as_of"])
