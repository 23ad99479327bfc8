"""What a look at a staged table counted.

Belongs here: the counts alone. Does not belong here: counting, and the sentence when they are not what they must be.
"""

from dataclasses import dataclass

from platform_assets.data.engines.profiles import Column


@dataclass(frozen=True)
class Counted:
    """Figures of a table of an export.

    Attributes:
        keys: different values of the key, by their hashes: at most as many as there are.
        absent: rows that lack the key or a part of it.
        unread: rows that do not say what they must.
        columns: columns or attributes, and in how many rows they have a value.
    """

    rows: int
    keys: int
    absent: int
    unread: int
    columns: tuple[Column, ...]

    @property
    def sound(self) -> bool:
        """Whether every row has a key of its own and says what it must."""
        return not self.unread and not self.absent and self.keys == self.rows
