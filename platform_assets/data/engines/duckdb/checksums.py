"""Checksums of the Parquet files that DuckDB's side keeps: a list beside them, as `sha256sum` writes and checks it.

Belongs here: writing the list, and which files of a folder are not what it says. Does not belong here: what a damaged file
means (`versions`, `raw_tables`). A folder without a list was written by earlier code and is taken as it is.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

# The underscore keeps readers of whole folders, such as Arrow and Spark, from it.
SUMS = "_SHA256SUMS"


def write_sums(folder: Path) -> Path:
    """Write the list of a folder's Parquet files into it, and return where it is."""
    lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.parquet"))]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return folder / SUMS


def has_sums(folder: Path) -> bool:
    """Whether there is a list to check a folder's files by."""
    return (folder / SUMS).is_file()


def damaged(folder: Path) -> list[Path]:
    """The Parquet files of a folder that are gone, changed or not in its list; each is read once a process and state."""
    if not has_sums(folder):
        return []
    lines = (folder / SUMS).read_bytes().decode("utf-8", "replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {path.name: path for path in folder.glob("*.parquet")}
    return [
        folder / name
        for name in sorted(listed.keys() | there.keys())
        if name not in there or listed.get(name) != _sha256(there[name])
    ]


def _sha256(path: Path) -> str:
    status = path.stat()
    return _sha256_of(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _sha256_of(path: Path, _inode: int, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
