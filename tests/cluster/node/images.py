"""What an image's name stands for on a test node: folders of this machine, laid over its root file system.

Belongs here: reading the mapping and finding an image in it. The mapping for this repository is in tests/cluster/images.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class ImageUnknown(Exception):
    """No image of that name: what a registry says when asked for one it has not."""


@dataclass(frozen=True)
class Image:
    """What a name stands for.

    path: folders first on PATH. entrypoint, arguments: run when a container names no command, no args. mounts: folder
    inside → folder of this machine, written to by nobody but the container. user: number. accounts: lines of /etc/passwd.
    writable: empty folders for every user. traversable: folders of this machine that any user may pass through.
    """

    path: tuple[str, ...] = ()
    cwd: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    mounts: dict[str, str] = field(default_factory=dict)
    traversable: tuple[str, ...] = ()
    user: int = 0
    accounts: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()

    def group_of(self, user: int) -> int:
        """0 for a user without an account."""
        return int(self._account(user)[3])

    def home_of(self, user: int) -> str:
        """`/` for a user without an account."""
        return self._account(user)[5]

    def _account(self, user: int) -> list[str]:
        accounts = [line.split(":") for line in (*self.accounts, *Path("/etc/passwd").read_text().splitlines())]
        return next((account for account in accounts if account[2] == str(user)), ["", "", "", "0", "", "/", ""])


class Images:
    """The images a node can run, by name (any tag) or by name:tag."""

    def __init__(self, file: Path) -> None:
        """file: a JSON object {name: {path, cwd, …}}, the fields of Image; read anew each time."""
        self._file = file

    def find(self, reference: str) -> Image:
        """With its tag, otherwise without; with the registry's host and folders, otherwise without. Raises ImageUnknown."""
        images = json.loads(self._file.read_text())
        plain = reference.partition("@")[0]
        last = plain.rpartition("/")[2]
        tag = last.partition(":")[2]
        without_tag = plain.removesuffix(f":{tag}")
        for name in (plain, without_tag, last, last.partition(":")[0]):
            if name in images:
                fields: dict[str, Any] = images[name]
                fields |= {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
                return Image(**fields)
        raise ImageUnknown(f"No image {reference} on this node; it has {', '.join(sorted(images)) or 'none'}.")
