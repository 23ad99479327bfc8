"""Python in a process of its own.

Belongs here: starting it, and what it needs to be reached. Does not belong here: what is expected of it.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from platform_assets.environment import REPOSITORY


def run_python(
    *arguments: str | Path, folder: Path = REPOSITORY, text: str | None = None, variables: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """What became of it, well or not.

    Args:
        text: what it reads from standard input.
        variables: of its environment, beside those of this process.
    """
    command = [sys.executable, *map(str, arguments)]
    env = os.environ | variables
    return subprocess.run(command, cwd=folder, input=text, env=env, capture_output=True, text=True, check=False)


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
