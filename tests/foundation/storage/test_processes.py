"""What files promise when many processes use them at once, or die."""

import signal
from pathlib import Path

import pytest

from platform_assets.foundation.storage import files_at
from tests.foundation.storage.actors import TORN_SIZE, said, started
from tests.foundation.storage.reading import stored

MANY = 20


@pytest.mark.slow
def test_twenty_processes_that_count_on_lose_nothing(root: str) -> None:
    counting = [started("increment", root, 5) for _ in range(MANY)]
    assert [actor.wait() for actor in counting] == [0] * MANY
    assert stored(files_at(root), "counter").content == str(MANY * 5).encode()
    assert files_at(root).names() == ["counter"]


@pytest.mark.slow
def test_twenty_processes_that_create_one_file_make_it_once(root: str) -> None:
    creating = [started("create", root, number) for number in range(MANY)]
    made = [said(actor) for actor in creating]
    assert [actor.wait() for actor in creating] == [0] * MANY
    assert made.count("True") == 1
    assert stored(files_at(root), "once").content == str(made.index("True")).encode()


def test_a_reader_sees_a_whole_file_while_others_replace_it_and_after_they_are_killed(root: str) -> None:
    whole = {letter * TORN_SIZE for letter in (b"a", b"b")}
    files = files_at(root)
    for _ in range(2):
        writers = [started("write_endlessly", root) for _ in range(2)]
        assert [said(writer) for writer in writers] == ["writing", "writing"]
        assert {stored(files, "torn").content for _ in range(50)} <= whole
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        assert stored(files, "torn").content in whole
        assert files.names() == ["torn"]


def test_a_killed_writer_s_unfinished_file_hinders_nobody(tmp_path: Path) -> None:
    files = files_at(tmp_path)
    (tmp_path / ".0123.aside").write_bytes(b"half")
    assert files.names() == []
    assert files.create("name", b"whole")
    assert files.names() == ["name"]
