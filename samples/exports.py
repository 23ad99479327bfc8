"""Writes all sample exports and the teacher file: `python -m samples.exports --data DIR`.

Belongs here: the one entry that the demo calls. Does not belong here: how each set is made.
"""

import argparse
import time
from pathlib import Path

from samples.movies import write_movies_exports
from samples.shop import write_shop_export
from samples.teachers import SCIFI_FILE, write_scifi_teacher


def write_sample_exports(exports_root: Path, cache: Path, teachers: Path | None = None) -> list[Path]:
    """Writes the `shop` and `movies` exports below `exports_root`, and the teacher file into `teachers` when
    given.

    What is already there is left alone: an export's folder appears whole or not at all. Returns the paths.
    """
    written = [write_shop_export(exports_root, cache), *write_movies_exports(exports_root, cache).values()]
    if teachers is not None:
        target = teachers / SCIFI_FILE
        written.append(target if target.exists() else write_scifi_teacher(target, cache))
    return written


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
