"""A folder whose user ends at a change that it makes to it.

Belongs here: ending before or after any change. Does not belong here: what the next process finds.
"""

from typing import Any

from platform_assets.foundation.storage.folder import Folder

CHANGES = ("write", "swap", "copy", "join", "delete")


class Ended(BaseException):
    """The process is no more: nothing that it does from now on has an effect."""


def dying(at: int) -> tuple[type[Folder], list[str]]:
    """A folder whose user ends just before its so-manieth change (an odd number: just after it), and the changes made."""
    changes: list[str] = []

    def change(name: str) -> Any:
        do = getattr(Folder, name)

        def changed(self: Folder, *arguments: Any, **options: Any) -> Any:
            changes.append(name)
            if len(changes) > at // 2 + at % 2:
                raise Ended
            outcome = do(self, *arguments, **options)
            if at % 2 and len(changes) == at // 2 + 1:
                raise Ended
            return outcome

        return changed

    return type("Dying", (Folder,), {name: change(name) for name in CHANGES}), changes
