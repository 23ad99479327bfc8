"""Two that bring the same object at once, as after a lease that was lost without notice."""

from pathlib import Path

import pytest

from platform_assets.data.transfer.crossing import Bridge, Terms
from platform_assets.data.transfer.ledger import HOME, Crossing, Ledger
from platform_assets.data.transfer.origin import Changed, Origin
from platform_assets.foundation.storage import files_at
from tests.data.transfer.s3 import S3
from tests.foundation.storage.roots import bucket_root
from tests.support.answering import Request

__all__ = ["bucket_root"]

CONTENT = bytes(range(256)) * 4


@pytest.mark.parametrize("at", range(4))
def test_who_comes_late_changes_nothing(s3: S3, tmp_path: Path, at: int) -> None:
    overtake(s3, str(tmp_path), at)


def test_who_comes_late_changes_nothing_in_a_bucket(s3: S3, bucket_root: str) -> None:
    # Later than at the first part the emulator answers 500, and Google 404, where a part is gone.
    overtake(s3, bucket_root, 0)


def overtake(s3: S3, root: str, at: int) -> None:
    """Bring an object, whole, while another brings it and has read so many parts."""
    s3.put("films/data", CONTENT)
    origin = Origin(f"s3://{s3.bucket}/films")
    (there,) = origin.objects().values()
    # Of a manifest the MD5 is not known, where KMS encrypts.
    each = Crossing(there, "films/data", None)

    def bridge() -> Bridge:
        return Bridge(origin, Ledger(files_at(root), "films"), Terms(in_flight=256, at_once=1))

    first = bridge()
    reads: list[str] = []

    def overtaken(request: Request) -> None:
        reads.append(request.path)
        if len(reads) == at + 1:
            s3.interfere = lambda request: None
            over(bridge(), each)

    s3.interfere = overtaken
    over(first, each)
    assert len(reads) == at + 1
    files = files_at(root)
    stored = files.read("films/data")
    assert stored is not None
    assert stored.content == CONTENT
    content = first.content(each)
    assert content is not None
    assert content.name == "films/data"
    assert not files.names(f"{HOME}/parts/")
    assert len(files.names(f"{HOME}/placed/")) == len(files.names(f"{HOME}/arrived/")) == 1


def over(bridge: Bridge, each: Crossing) -> None:
    while not bridge.place(each, bridge.bring(each)[0]):
        pass


def test_the_older_of_two_versions_leaves_no_half(s3: S3, tmp_path: Path) -> None:
    """A version that is replaced while it crosses never has bytes of the other."""
    s3.put("films/data", CONTENT)
    origin = Origin(f"s3://{s3.bucket}/films")
    (older,) = origin.objects().values()
    s3.put("films/data", CONTENT[::-1])
    (newer,) = origin.objects().values()
    assert older.identity != newer.identity
    bridge = Bridge(origin, Ledger(files_at(tmp_path), "films"), Terms(in_flight=256, at_once=1))
    with pytest.raises(Changed):
        bridge.bring(Crossing(older, "films/data", None))
    over(bridge, Crossing(newer, "films/data", None))
    assert (tmp_path / "films" / "data").read_bytes() == CONTENT[::-1]
