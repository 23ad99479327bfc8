"""The images of the platform's manifests, as test nodes have them.

Belongs here: what the platform's and PostgreSQL's image contain, made of this machine's folders. How a node uses such a
description: tests/cluster/node/images.py.
"""

import sys
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import REPOSITORY

HERE = Path(__file__).resolve().parent
PLATFORM_USER = 10001
# As in Debian's variant of the official image.
POSTGRES_USER = 999
DEBIAN_POSTGRES = "/usr/lib/postgresql/15/bin"


def platform_image(tree: Path = REPOSITORY) -> dict[str, Any]:
    """The platform's image: this checkout at /opt/platform and this Python environment at /opt/venv."""
    return {
        "path": ["/opt/venv/bin"],
        "cwd": "/opt/platform",
        "env": {
            "PYTHONPATH": "/opt/platform",
            "PYTHONUNBUFFERED": "1",
            "DAGSTER_HOME": "/opt/dagster/home",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "GX_ANALYTICS_ENABLED": "False",
            # Threads that spin while they wait starve each other on small machines.
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        },
        "mounts": {"/opt/platform": str(tree.resolve()), "/opt/venv": sys.prefix},
        "user": PLATFORM_USER,
        "accounts": [f"platform:x:{PLATFORM_USER}:{PLATFORM_USER}::/home/platform:/bin/sh"],
        "writable": ["/home/platform", "/opt/dagster/home"],
        "traversable": _closed_folders_above(Path(sys.executable).resolve()),
    }


def postgres_image() -> dict[str, Any]:
    """The official image of PostgreSQL, of Debian's programs."""
    return {
        "path": [DEBIAN_POSTGRES, "/usr/local/lib/postgres-image"],
        "env": {"PGDATA": "/var/lib/postgresql/data"},
        "entrypoint": ["docker-entrypoint.sh"],
        "arguments": ["postgres"],
        "mounts": {"/usr/local/lib/postgres-image": str(HERE)},
        "accounts": [f"postgres:x:{POSTGRES_USER}:{POSTGRES_USER}::/var/lib/postgresql:/bin/sh"],
        "writable": ["/run/postgresql", "/var/lib/postgresql"],
    }


def all_images() -> dict[str, dict[str, Any]]:
    """By name: what test nodes have. `busybox` stands for any image with a shell and the usual commands. The image for GPU nodes
    is the same one by another name: test nodes have no GPUs.
    """
    platform = platform_image()
    return {
        "audience-platform": platform,
        "audience-platform-cuda": platform,
        "postgres": postgres_image(),
        "busybox": {},
    }


def _closed_folders_above(program: Path) -> list[str]:
    """Python may live in the home of the user who runs the tests, where other users have no way."""
    return [str(folder) for folder in reversed(program.parents) if not folder.stat().st_mode & 0o001]
