"""How a window of changes differs from the full export and the windows before it, in sentences.

Belongs here: the comparison, as plain functions of what is known of them. Does not belong here: which windows are compared
(`history`), and full exports (`exports`).

A window holds the items that changed, often of one kind, and often few. So of an attribute's types those of the items that have
it are compared, whatever the share of such items; and an attribute counts as gone only where many more were to be expected by
the full export and by the windows before it alike.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from platform_assets.data.engines.profiles import FEW, Profile
from platform_assets.data.exports.spec import Expectations
from platform_assets.data.raw.comparison.exports import HARDLY, NO_VALUE, Finding

# What so great a share of items has, has nothing to do with their kinds.
_NEARLY_ALL = 1 - HARDLY


@dataclass(frozen=True)
class Items:
    """What is known of some items.

    Attributes:
        count: of full exports all items, of windows those that are there after their change.
        types: attribute → type → items that have it so; without those in which it is NULL.
    """

    count: int
    types: Mapping[str, Mapping[str, int]]

    @classmethod
    def of_export(cls, profile: Profile) -> "Items":
        return cls(profile.rows, _types(profile))

    @classmethod
    def of_window(cls, profile: Profile, key: str) -> "Items":
        """Args: key: an attribute of the table's key, which every item has."""
        types = _types(profile)
        return cls(sum(types.get(key, {}).values()), types)

    def __add__(self, other: "Items") -> "Items":
        names = [*self.types, *(name for name in other.types if name not in self.types)]
        return Items(
            self.count + other.count,
            {name: _sum(self.types.get(name, {}), other.types.get(name, {})) for name in names},
        )

    def having(self, attribute: str) -> int:
        """How many have a value of it."""
        return sum(self.types.get(attribute, {}).values())

    def share(self, attribute: str) -> float:
        return self.having(attribute) / self.count if self.count else 0.0


NOTHING = Items(0, {})


@dataclass(frozen=True)
class Before:
    """What a window is compared with.

    Attributes:
        full: of the full export that it follows, or of the window that was accepted since.
        windows: of those between, together.
        earlier: of all before what was accepted; what they held is nothing new.
    """

    full: Items
    windows: Items = NOTHING
    earlier: Items = NOTHING

    @property
    def all(self) -> Items:
        return self.earlier + self.full + self.windows

    def and_then(self, now: Items) -> "Before":
        """With a window that differs as little as is expected."""
        return Before(self.full, self.windows + now, self.earlier)

    def accepting(self, now: Items) -> "Before":
        """From a window on whose difference is meant."""
        return Before(now, earlier=self.all)

    def usual(self, attribute: str, filled: float) -> set[str]:
        """The types that the attribute has in at least this share of the items that have it."""
        usual = set()
        for items in (self.earlier, self.full + self.windows):
            having = items.having(attribute)
            usual |= {kind for kind, count in items.types.get(attribute, {}).items() if count >= filled * having}
        return usual

    def expected(self, attribute: str) -> float:
        """The share of items with the attribute by all alike; 0 where what is known does not tell."""
        full = min(items.share(attribute) for items in (self.full, self.earlier) if items is self.full or items.count)
        if self.windows.count >= FEW:
            return min(full, self.windows.share(attribute))
        # A window by itself may be of items of another kind.
        return full if full >= _NEARLY_ALL else 0.0


def window_findings(export_id: str, now: Items, before: Before, expectations: Expectations) -> list[Finding]:
    """Every difference of a window that is more than expected."""
    return [*_types_that_changed(export_id, now, before, expectations), *_gone(export_id, now, before, expectations)]


def new_attributes(now: Items, before: Before) -> list[str]:
    """Attributes that no item had before."""
    every = before.all
    return sorted(name for name in now.types if now.having(name) and not every.having(name))


def _types_that_changed(export_id: str, now: Items, before: Before, expectations: Expectations) -> Iterator[Finding]:
    every = before.all
    for name, types in now.types.items():
        known, having, had = every.types.get(name, {}), now.having(name), every.having(name)
        usual = before.usual(name, expectations.filled)
        others = {kind: items for kind, items in types.items() if kind not in usual}
        never = {kind: items for kind, items in others.items() if kind not in known}
        seldom = sum(items for kind, items in known.items() if kind not in usual)
        more = sum(others.values()) - sum(never.values())
        if not usual or not (never or (more >= FEW and more / having - seldom / had > expectations.nulls_more)):
            continue
        told = ", ".join(f"{kind} in {items:,}" for kind, items in sorted((never or others).items()))
        left = having - sum(others.values())
        yield Finding(
            "types",
            had >= FEW and having >= FEW and left <= HARDLY * having,
            f"of the {having:,} items of export {export_id} with attribute {name}, {left:,} have it of type "
            f"{' or '.join(sorted(usual))}, as exports before it have it ({told}): what reads it so reads null in the others",
        )


def _gone(export_id: str, now: Items, before: Before, expectations: Expectations) -> Iterator[Finding]:
    for name in before.full.types:
        share, having = before.expected(name), now.having(name)
        if share * now.count < FEW or share < expectations.filled:
            continue
        always = share >= _NEARLY_ALL
        told = f"attribute {name} has a value in {having:,} of {now.count:,} items of export {export_id}; by those before it {share:.0%} have one"
        if having <= HARDLY * share * now.count:
            # Of other attributes it may be a window of items of another kind.
            yield Finding("columns", always, told)
        elif always and share - now.share(name) > expectations.nulls_more:
            yield Finding("nulls", False, f"{told} (expected: nulls_more {expectations.nulls_more:g})")


def _types(profile: Profile) -> dict[str, dict[str, int]]:
    types: dict[str, dict[str, int]] = {}
    for column in profile.columns:
        if column.type != NO_VALUE:
            types.setdefault(column.name, {})[column.type] = column.filled
    return types


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    kinds: Iterable[str] = {**one, **other}
    return {kind: one.get(kind, 0) + other.get(kind, 0) for kind in kinds}
