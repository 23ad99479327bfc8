"""Writes all sample exports and the teacher file: `python -m samples.exports --data DIR`.

Belongs here: the one entry that the demo calls, and the copy to a bucket. Does not belong here: how each set is made.
"""

import argparse
import time
from pathlib import Path

from platform_assets.data.exports.lake import file_system
from platform_assets.environment import Place
from samples.movies import write_movies_exports
from samples.shop import write_shop_export
from samples.teachers import SCIFI_FILE, write_scifi_teacher


def write_sample_exports(exports_root: Place, cache: Path, teachers: Place | None = None) -> list[str]:
    """Writes the `shop` and `movies` exports below `exports_root`, and the teacher file into `teachers` when
    given; either is a folder or a `gs://` URL, for which they are written below `cache` first.

    What is already there is left alone: an export appears whole or not at all. Returns where they are.
    """
    local = exports_root if isinstance(exports_root, Path) else cache / "exports"
    folders = [write_shop_export(local, cache), *write_movies_exports(local, cache).values()]
    if not isinstance(exports_root, Path):
        copy_exports(local, exports_root)
    written = [f"{exports_root}/{folder.relative_to(local)}" for folder in folders]
    return written if teachers is None else [*written, _write_teacher(teachers, cache)]


def copy_exports(local: Path, url: str) -> None:
    """Copies all exports below a folder to a bucket, and those that are there already not again.

    Copied last, the manifests by which an export counts as finished show it whole or not at all.
    """
    bucket, root = file_system(url)
    files = [path for path in sorted(local.rglob("*")) if path.is_file()]
    finished = {path.parent for path in files if _finishes(path) and bucket.exists(_below(root, local, path))}
    for path in sorted(files, key=_finishes):
        if not finished & {*path.parents}:
            bucket.put_file(str(path), _below(root, local, path))


def _finishes(path: Path) -> bool:
    return path.name == "manifest-summary.json" or path.name.startswith("export_info_")


def _below(root: str, local: Path, path: Path) -> str:
    return f"{root}/{path.relative_to(local).as_posix()}"


def _write_teacher(teachers: Place, cache: Path) -> str:
    if isinstance(teachers, Path):
        target = teachers / SCIFI_FILE
        return str(target if target.exists() else write_scifi_teacher(target, cache))
    url = f"{teachers}/{SCIFI_FILE}"
    bucket, path = file_system(url)
    if not bucket.exists(path):
        bucket.put_file(str(write_scifi_teacher(cache / SCIFI_FILE, cache)), path)
    return url


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m samples.exports", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the platform's data folder")
    parser.add_argument("--cache", type=Path, help="where the fetched data sets are kept (default: DATA/samples)")
    given = parser.parse_args()
    started = time.perf_counter()
    written = write_sample_exports(
        given.data / "lake" / "exports",
        given.cache or given.data / "samples",
        given.data / "lake" / "teachers",
    )
    print(
        f"{len(written)} sample exports and teacher files in {given.data / 'lake'} "
        f"({time.perf_counter() - started:.1f} s)"
    )


if __name__ == "__main__":
    main()
