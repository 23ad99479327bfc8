"""Folders that whoever runs the tests may not look into, root included.

Belongs here: giving up privileges for a while. Does not belong here: what is expected then.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NOBODY = 65534


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions of files hold for this process while the context is open."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if before == 0:
            os.seteuid(before)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder to which every user finds the way."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def closed(*folders: Path) -> Iterator[None]:
    """Nobody without privileges may list the folders or reach what is in them while the context is open."""
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder in folders:
        folder.chmod(0)
    try:
        with unprivileged():
            yield
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)
