"""What is computed of one mart, resolved: every default filled in, nothing left to look up.

Belongs here: plain data that a fingerprint can hold. Does not belong here: how a plan comes about (`planning`), or computing
(`computing`). Knows no catalog: a changed mart elsewhere leaves the features of this one as they are.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

HOURS_A_BLOCK = 3
BLOCKS = 24 // HOURS_A_BLOCK
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONGEST_PART = 40


@dataclass(frozen=True)
class CategoryPlan:
    """A column of few values.

    Attributes:
        form: `text`, `boolean` (whose one value is true) or `list` (a row counts for each value that it holds).
        values: the leading ones, in the order that they are declared in; what is none of them is "other".
        counted_before: the ISO instant before which the values were counted; None: they were not counted.
    """

    column: str
    form: Literal["text", "boolean", "list"]
    values: tuple[str, ...]
    counted_before: str | None = None


@dataclass(frozen=True)
class MartPlan:
    """What features are made of one mart's rows.

    Attributes:
        windows: days, ascending, None (everything) last.
        times: columns that hold another instant: its distance from the event, or from the as-of instant for people.
        where: the condition on rows that count, as written.
        offset: seconds that business hours are ahead of UTC, without summer time.
    """

    mart: str
    windows: tuple[int | None, ...]
    measures: tuple[str, ...]
    identifiers: tuple[str, ...]
    categories: tuple[CategoryPlan, ...]
    times: tuple[str, ...]
    where: str | None
    offset: int

    def to_json(self) -> dict[str, Any]:
        """For the fingerprint."""
        return asdict(self)

    @property
    def finite(self) -> tuple[int, ...]:
        """The windows that are not everything."""
        return tuple(days for days in self.windows if days is not None)

    @property
    def widest(self) -> int | None:
        """The window that statistics are taken over that need many events: everything, when that is a window."""
        return self.windows[-1]

    @property
    def recent(self) -> int | None:
        """The window that a trend sets against what came before it; None without one."""
        narrower = [days for days in self.finite if days != self.widest]
        return narrower[:2][-1] if narrower else None

    @property
    def paces(self) -> tuple[int, int] | None:
        """The two windows whose counts a day are set against each other; None without two."""
        if len(self.finite) < 2:
            return None
        longer = self.finite[-1]
        return self.finite[0] if self.recent in (None, longer) else self.finite[1], longer


def name_part(word: str) -> str:
    """A word as part of a column's name: `Sci-Fi` → `sci_fi`."""
    return re.sub(r"[^a-z0-9]+", "_", word.lower().replace("'", "")).strip("_")[:_LONGEST_PART] or "value"


def name_parts(words: Iterable[str]) -> dict[str, str]:
    """Word → its part of a column's name, no two alike."""
    parts: dict[str, str] = {}
    for word in words:
        part, number = name_part(word), 1
        while part in parts.values() or part == "other":
            number += 1
            part = f"{name_part(word)}_{number}"
        parts[word] = part
    return parts
