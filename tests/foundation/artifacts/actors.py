"""What other processes do in the tests of the store: `python -m tests.foundation.artifacts.actors ACT ROOT ARGUMENT…`."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from platform_assets.foundation.artifacts import ArtifactStore, Recipe
from platform_assets.foundation.storage import Files
from platform_assets.foundation.storage.folder import Folder
from tests.foundation.storage.actors import await_word, main, tell

RECIPE = Recipe("models/gbdt", {"m": "1"}, {"rate": 0.1}, {"training_set": "aa"})


def writes(text: str) -> Callable[[Path], dict[str, int]]:
    """A build that makes one file of `text`."""

    def build(folder: Path) -> dict[str, int]:
        (folder / "nested").mkdir()
        (folder / "nested" / "data.txt").write_text(text)
        return {"length": len(text)}

    return build


def build(root: str, text: str, lease_seconds: str) -> None:
    """Build RECIPE with `text`, waiting for a word in the middle; tell when building begins, and what came out."""

    def waits(folder: Path) -> dict[str, int]:
        tell("building")
        await_word()
        return writes(text)(folder)

    artifact = ArtifactStore(root, lease_seconds=float(lease_seconds)).get_or_build(RECIPE, waits)
    tell(f"{artifact.ref.content_hash} {Path(artifact.path('nested/data.txt')).read_text()} {artifact.reason}")


def build_at_once(root: str, text: str) -> None:
    """Build RECIPE with `text`; tell every build, and what came out."""

    def told(folder: Path) -> dict[str, int]:
        tell("building")
        return writes(text)(folder)

    artifact = ArtifactStore(root).get_or_build(RECIPE, told)
    tell(f"{artifact.ref.content_hash} {artifact.hit}")


def die_before_the_record(root: str) -> None:
    """Build RECIPE and be killed when all content is stored and no record is."""

    def killed(self: Files, name: str, content: bytes) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(f"{name} was not reached: nothing is created but records")

    Files.create = killed  # type: ignore[method-assign]  # a crash inside the store
    ArtifactStore(root, lease_seconds=0.5).get_or_build(RECIPE, writes("one"))


def die_while_setting_aside(root: str, step: str) -> None:
    """Ask for RECIPE, which is damaged, and be killed at the step-th change that the folder would see."""
    steps = iter(range(9))

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def may_be_killed(*arguments: Any, **options: Any) -> Any:
            if next(steps) == int(step):
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return may_be_killed

    # Copy of the content, copy of the record, removal of the record, lease of the next build.
    for name in ("put_files", "write", "delete", "swap"):
        setattr(Folder, name, counted(getattr(Folder, name)))
    ArtifactStore(root, lease_seconds=0.2).get_or_build(RECIPE, writes("one"))


if __name__ == "__main__":
    main(globals())
