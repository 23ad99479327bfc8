"""What a feature group declares.

Belongs here: the declaration and its words. Does not belong here: computing (windows.py), finding groups (registry.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from platform_assets.data.features.windows import AsOfRows, Events, window_name

if TYPE_CHECKING:
    import ibis.expr.types as ir

# Events of an event mart; a plain table of an immutable mart; of an scd2 entity mart, the version valid at
# each spine row.
MartAtSpine = Union[Events, "ir.Table"]
Build = Callable[[Mapping[str, MartAtSpine], AsOfRows], "ir.Table"]


@dataclass(frozen=True)
class Feature:
    """One column, as people and the audit know it.

    Attributes:
        description: words a marketer reads.
        minimum, maximum: bounds the audit holds it to; None: open.
        nullable: whether it is undefined for some people; models take that as missing.
        ageing: whether it grows by itself as the calendar moves, as tenure does; drift alarms leave it out.
    """

    description: str
    minimum: float | None = 0
    maximum: float | None = None
    nullable: bool = False
    ageing: bool = False


@dataclass(frozen=True)
class FeatureGroup:
    """Features of one entity that are built together.

    Attributes:
        name: unique within its entity.
        entity: whose features these are.
        description: what the group tells about a person, in a sentence.
        marts: the marts it reads; it is handed these only.
        features: column → what it is, in column order.
        build: (mart → its rows, spine rows) → table with the person's key, `as_of` and every feature, a row a
            spine row.
        module: the file that declares it (`__name__`): its code, and what it imports, is part of the
            fingerprint.
        monotone: columns along which values never fall (7 days ≤ 28 days ≤ …).
    """

    name: str
    entity: str
    description: str
    marts: tuple[str, ...]
    features: Mapping[str, Feature]
    build: Build
    module: str
    monotone: tuple[tuple[str, ...], ...] = ()

    @property
    def key(self) -> str:
        """`features/<entity>/<name>`: its asset, its artifacts and its verdicts go by it."""
        return f"features/{self.entity}/{self.name}"


def window_features(
    words: Mapping[str, str],
    days: Sequence[int | None],
    *,
    minimum: float | None = 0,
    maximum: float | None = None,
    nullable: bool = False,
) -> dict[str, Feature]:
    """Declarations for measures over windows; `words` say what each measure is (`orders` → "orders")."""
    return {
        window_name(measure, window): Feature(
            f"{said} so far" if window is None else f"{said} in the last {window} days",
            minimum,
            maximum,
            nullable,
        )
        for measure, said in words.items()
        for window in days
    }


def rising(measures: Sequence[str], days: Sequence[int | None]) -> tuple[tuple[str, ...], ...]:
    """For `FeatureGroup.monotone`: each measure never falls from a shorter window to a longer one."""
    return tuple(tuple(window_name(measure, window) for window in days) for measure in measures)
