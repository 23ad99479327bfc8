"""A process that ends at any change it makes to the storage: what the next one finds, and what it reads again."""

from pathlib import Path

import pytest

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.transfer import bringing
from platform_assets.data.transfer.crossing import Terms
from platform_assets.data.transfer.ledger import HOME
from platform_assets.foundation.storage import Files
from platform_assets.foundation.storage.folder import Folder
from tests.data.exports.breaking import FILMS, film, write_films
from tests.data.transfer.s3 import S3
from tests.support.dying_folder import CHANGES, Ended, dying
from tests.tiers import Draw

TERMS = Terms(in_flight=600, at_once=2, lease_seconds=0.2)


# What renews leases ends with the rest.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whatever_was_changed_last_the_next_pass_goes_on_from_there(
    s3: S3, tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "written"
    write_films(written, map(film, range(300)), files=3)
    s3.fill(written)
    spec = FILMS.model_copy(update={"origin": f"s3://{s3.bucket}/films"})
    expected = {path.relative_to(written): path.read_bytes() for path in written.rglob("*") if path.is_file()}
    expected = {path: content for path, content in expected.items() if path.name != "_started"}
    distinct = sum(map(len, set(expected.values())))

    def passed(exports: Path, at: int | None = None) -> list[str]:
        kind, changes = dying(at) if at is not None else (Folder, [])

        def opened(root: str | Path) -> Files:
            return kind(Path(root))

        monkeypatch.setattr(bringing, "files_at", opened)
        try:
            brought = bringing.bring(spec, exports, TERMS)
        except Ended:
            return changes
        assert brought is not None
        assert brought.held == ()
        return changes

    def check(spec: ExportSourceSpec, at: int) -> None:
        exports = tmp_path / f"exports-{at}"
        s3.reads.clear()
        passed(exports, at)
        summary = exports / next(path for path in expected if path.name == "manifest-summary.json")
        # An export that says it is finished is whole.
        assert not summary.exists() or all((exports / path).read_bytes() == expected[path] for path in expected)
        passed(exports)
        lying = {path.relative_to(exports): path for path in exports.rglob("*") if path.is_file()}
        assert {path: lying[path].read_bytes() for path in lying if path.parts[0] != HOME} == expected
        assert not [
            path
            for path in lying
            if path.parts[:2] in ((HOME, "parts"), (HOME, "arriving")) and path.suffix != ".aside"
        ]
        assert distinct <= s3.bytes_read <= distinct + TERMS.in_flight
        s3.reads.clear()
        passed(exports)
        assert s3.reads == []

    changes = passed(tmp_path / "whole", 1_000_000)
    assert set(changes) == set(CHANGES)
    for at in draw(range(2 * len(changes)), 1):
        check(spec, at)
