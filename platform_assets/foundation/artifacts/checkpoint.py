"""The state of an unfinished build, for the next attempt at it.

Belongs here: one file a recipe, replaced whole. Does not belong here: what a state holds; whoever wrote it checks it.
"""

from platform_assets.foundation.storage.files import Files


class Checkpoint:
    """The latest state of the build of one recipe."""

    def __init__(self, files: Files, fingerprint: str) -> None:
        self._files = files
        self._name = f"checkpoints/{fingerprint}"

    def load(self) -> bytes | None:
        """The state kept last, or None."""
        stored = self._files.read(self._name)
        return stored.content if stored else None

    def save(self, state: bytes) -> None:
        """Keep `state` in place of the one before."""
        self._files.write(self._name, state, durable=False)

    def clear(self) -> None:
        """Forget the state: the build is done."""
        self._files.delete(self._name, durable=False)
