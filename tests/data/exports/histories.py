"""What happens to the items of a table, and what AWS would export of it: the truth that folded exports are held against.

Belongs here: writes, states, and the content of full exports and windows. Does not belong here: files (`samples`), and folding.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# key → value
State = dict[str, str]


def at(hour: float) -> datetime:
    """An instant, so many hours after the first."""
    return EPOCH + timedelta(hours=hour)


@dataclass(frozen=True)
class Write:
    """At an hour, an item gets a value, or is deleted (None)."""

    hour: float
    key: str
    value: str | None


@dataclass(frozen=True)
class Change:
    """What a window tells of an item; `new` and `old` are None where it did not exist."""

    key: str
    written: float
    new: str | None
    old: str | None


@dataclass(frozen=True)
class History:
    """Writes, in their order."""

    writes: tuple[Write, ...]

    def state(self, hour: float) -> State:
        """What the table held at an hour, writes of that very hour left out."""
        state: State = {}
        for write in self.writes:
            if write.hour >= hour:
                break
            if write.value is None:
                state.pop(write.key, None)
            else:
                state[write.key] = write.value
        return state

    def window(self, start: float, end: float) -> list[Change]:
        """What changed from `start` on before `end`: a line an item, none for one that came and went."""
        before, after = self.state(start), self.state(end)
        last = {write.key: write.hour for write in self.writes if start <= write.hour < end}
        return [
            Change(key, hour, after.get(key), before.get(key))
            for key, hour in last.items()
            if key in before or key in after
        ]


def random_history(seed: int, writes: int = 150, keys: int = 30, hours: int = 20) -> History:
    """Writes on a few keys, about a third of which delete."""
    chance = random.Random(seed)
    made = [
        Write(
            hour,
            f"k{chance.randrange(keys)}",
            None if chance.random() < 0.35 else f"v{number}",
        )
        for number, hour in enumerate(sorted(chance.uniform(0, hours) for _ in range(writes)))
    ]
    return History(tuple(made))


def fold(history: History, links: Sequence[tuple[float | None, float]]) -> State:
    """What a reader makes of exports: a full one (no beginning) and windows, the latest write of a key winning."""
    (_, base), *windows = links
    state = {key: (-1.0, value) for key, value in history.state(base).items()}
    latest: dict[str, tuple[float, str | None]] = {**state}
    for start, end in windows:
        assert start is not None
        for change in history.window(start, end):
            if change.key not in latest or change.written > latest[change.key][0]:
                latest[change.key] = change.written, change.new
    return {key: value for key, (_, value) in latest.items() if value is not None}


def item(key: str, value: str) -> dict[str, Any]:
    """An item in DynamoDB's typed JSON, of a key and a value."""
    return {"id": {"S": key}, "value": {"S": value}}


def items_of(state: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    return [item(key, value) for key, value in sorted(state.items())]
