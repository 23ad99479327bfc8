"""Audience and report lie under names that stay, whole, in a folder or a bucket."""

from pathlib import Path

import pytest

from platform_assets.audiences.audience.publication import folder_of, publish_file
from platform_assets.foundation.storage import files_at
from tests.foundation.storage.reading import stored
from tests.foundation.storage.roots import root

__all__ = ["root"]


def test_publishing_replaces_a_file_whole_and_leaves_nothing_beside_it(root: str, tmp_path: Path) -> None:
    folder = folder_of(root, "again", "1998-05-01")
    for text in ("first", "second"):
        (tmp_path / "made").write_text(text)
        published = publish_file(tmp_path / "made", folder, "audience.csv")
        assert published.location == f"{root}/again/1998-05-01/audience.csv"
        assert stored(files_at(folder), "audience.csv").content == text.encode()
    assert files_at(root).names() == ["again/1998-05-01/audience.csv"]


@pytest.mark.parametrize(
    ("audiences", "link"),
    [
        (Path("/data/audiences"), "file:///data/audiences/again/1998-05-01/report.html"),
        ("gs://ours/audiences", "https://storage.cloud.google.com/ours/audiences/again/1998-05-01/report.html"),
    ],
)
def test_a_report_has_a_link_that_a_browser_opens(audiences: str | Path, link: str) -> None:
    assert files_at(folder_of(audiences, "again", "1998-05-01")).link("report.html") == link
