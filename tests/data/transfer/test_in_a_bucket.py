"""Exports in S3, brought into a bucket of Google's."""

from pathlib import Path

from platform_assets.data.raw.discover import discover
from platform_assets.data.transfer.bringing import bring
from platform_assets.data.transfer.crossing import Terms
from platform_assets.data.transfer.ledger import HOME
from platform_assets.environment import environment_from_variables
from platform_assets.foundation.storage import files_at
from tests.data.exports.breaking import FILMS, data_file, film, write_films
from tests.data.transfer.s3 import S3


def test_a_bucket_gets_what_a_folder_gets_with_checksums_of_the_whole(
    cloud_variables: dict[str, str], s3: S3, tmp_path: Path
) -> None:
    folder = write_films(tmp_path, map(film, range(2_000)))
    s3.fill(tmp_path / "films", "films")
    exports = str(environment_from_variables(cloud_variables).exports)
    spec = FILMS.model_copy(update={"origin": f"s3://{s3.bucket}/films"})
    # Files of 3 kB, so that two joins in a row are needed for each.
    terms = Terms(in_flight=320, at_once=4, lease_seconds=10)
    assert data_file(folder).stat().st_size > 32 * terms.piece
    first = bring(spec, exports, terms)
    assert first is not None
    assert (first.held, first.bytes_moved) == ((), s3.bytes_read)

    (export,) = discover(spec, "films", exports).complete
    assert export.tables["films"].rows == 2_000
    files = files_at(exports)
    written = [path for path in folder.rglob("*") if path.is_file() and path.name != "_started"]
    lying = {name for name in files.names() if not name.startswith(HOME)}
    assert lying == {path.relative_to(tmp_path).as_posix() for path in written}
    for path in written:
        stored = files.read(path.relative_to(tmp_path).as_posix())
        assert stored is not None
        assert stored.content == path.read_bytes()
    assert not [name for name in files.names(HOME) if name.split("/")[1] in ("arriving", "parts", "leases")]

    again = bring(spec, exports, terms)
    assert again is not None
    assert (again.bytes_moved, again.bytes_avoided) == (0, first.bytes_moved)
    assert s3.bytes_read == first.bytes_moved
