"""Exports in S3 that cannot be brought."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samples.movies import PREFIX, UNTIL
from tests.broken_inputs.exports import FILMS, LATER, films
from tests.broken_inputs.world import Broken, World
from tests.data.exports.breaking import data_file, edit_files
from tests.data.transfer.s3 import NOBODYS_KEY, bucket_at, serving_s3
from tests.support.small_exports import write_movies

Spoil = Callable[[Path], Any]


def in_s3(what: str, spoil: Spoil, *names: str, bucket: str = "") -> Broken:
    """An export of the films in a bucket that the source names; `bucket` is another one."""

    def meet(world: World) -> str:
        with (
            tempfile.TemporaryDirectory() as folder,
            serving_s3() as endpoint,
            bucket_at(endpoint) as (s3, url),
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in {**NOBODYS_KEY, "AWS_ENDPOINT_URL_S3": url, "AWS_EC2_METADATA_DISABLED": "true"}.items():
                patch.setenv(name, value)
            write_movies(Path(folder), {"films": films()}, UNTIL + LATER)
            (export,) = (Path(folder) / PREFIX / "AWSDynamoDB").iterdir()
            spoil(export)
            s3.fill(folder)
            path = world.environment.sources / "movies" / "defs.yaml"
            place = f"  from: s3://{bucket or s3.bucket}/{PREFIX}\n"
            path.write_text(path.read_text(encoding="utf-8") + place, encoding="utf-8")
            return world.said_by_run(FILMS)

    return Broken(what, lambda _: None, meet, names)


def of_a_file(**changes: Any) -> Spoil:
    def spoil(export: Path) -> None:
        name = data_file(export).name
        edit_files(
            export, lambda lines: [line.update(changes) for line in lines if line["dataFileS3Key"].endswith(name)]
        )

    return spoil


ROWS = (
    in_s3("an export in S3 without one of its files", lambda export: data_file(export).unlink(), ".json.gz", "absent"),
    in_s3(
        "a file in S3 that is not what its manifest says",
        lambda export: data_file(export).write_bytes(b"other"),
        ".json.gz",
        "MD5",
    ),
    in_s3(
        "a file in S3 with a checksum that is none", of_a_file(md5Checksum="?"), "md5Checksum", "manifest-files.json"
    ),
    in_s3(
        "a file in S3 outside of the export",
        of_a_file(dataFileS3Key="elsewhere/x.json.gz"),
        "elsewhere/x.json.gz",
        "manifest-files.json",
    ),
    in_s3(
        "a manifest in S3 that is no JSON",
        lambda export: (export / "manifest-summary.json").write_text("{"),
        "manifest-summary.json",
    ),
    in_s3("a bucket in S3 that does not exist", lambda _: None, "s3://nobodys-bucket", "from", bucket="nobodys-bucket"),
)
