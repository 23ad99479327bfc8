"""Images made without a registry or an engine, as `docker save` writes them, for a node that cannot pull.

Belongs here: the image that keeps a pod's namespaces, and one without content for machines where the platform's own
was not built: everything in it comes from the machine, mounted.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PAUSE = "localhost/pause:smoke"
EMPTY = "localhost/empty:smoke"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# As Debian has them, so that what is mounted at /usr is found.
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}


def write_pause_image(archive: Path, busybox: Path) -> None:
    """An image that sleeps. `busybox` is a static binary: nothing else is in the image."""
    layer = _layer(files={"busybox": busybox.read_bytes()}, folders=())
    _write(archive, PAUSE, layer, ["/busybox", "sleep", "2147483647"])


def write_empty_image(archive: Path, mounted: Sequence[Path]) -> None:
    """An image of empty folders to mount the machine's own on."""
    folders = {"proc", "sys", "dev", "etc", "tmp", "usr", *(str(path).strip("/") for path in mounted)}
    _write(archive, EMPTY, _layer(files={}, folders=sorted(folders), links=LINKS), [])


def _layer(files: Mapping[str, bytes], folders: Sequence[str], links: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in folders:
            _add(tar, name, tarfile.DIRTYPE)
        for name, target in (links or {}).items():
            _add(tar, name, tarfile.SYMTYPE, link=target)
        for name, content in files.items():
            _add(tar, name, tarfile.REGTYPE, content)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, kind: bytes, content: bytes = b"", link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname = kind, 0o755, len(content), link
    tar.addfile(member, io.BytesIO(content))


def _write(archive: Path, name: str, layer: bytes, command: Sequence[str]) -> None:
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Cmd": list(command), "Env": ["PATH=/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    contents = {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(archive, "w") as tar:
        for file, content in {**contents, "layer.tar": layer}.items():
            _add(tar, file, tarfile.REGTYPE, content)
