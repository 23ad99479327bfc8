"""Event files that TensorBoard itself reads: while they grow, after the end, and after a fit was taken up again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator

from platform_assets.learning.event_files import PARAMETERS_TAG, EventFile
from platform_assets.learning.families.fitting import Fitting, Progress
from platform_assets.learning.families.registry import make_estimator
from tests.learning.conftest import Table

NAME = "events.out.tfevents.fold"


def progress(number: int, loss: float | None = None, validation: float | None = None) -> Progress:
    return Progress(number, 0.05, 1 / number if loss is None else loss, validation, 1000.0 * number)


def replacing(place: Path) -> Callable[[bytes], None]:
    """As a store does: the new file takes the old one's name."""

    def save(content: bytes) -> None:
        aside = place.with_suffix(".aside")
        aside.write_bytes(content)
        aside.replace(place)

    return save


def reader(folder: Path) -> event_accumulator.EventAccumulator:
    return event_accumulator.EventAccumulator(str(folder / NAME)).Reload()


def served(folder: Path, tag: str) -> list[tuple[int, float]]:
    read = plugin_event_accumulator.EventAccumulator(str(folder / NAME)).Reload()
    return [(event.step, event.tensor_proto.float_val[0]) for event in read.Tensors(tag)]


def shown(read: event_accumulator.EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read.Scalars(tag)]


def test_what_a_round_told_is_shown_and_what_it_could_not_tell_is_not(tmp_path: Path) -> None:
    file = EventFile(replacing(tmp_path / NAME), "lightgbm", {"num_leaves": 8, "note": "a | b"})
    file.report(progress(1))
    file.report(progress(2, validation=0.25))
    file.report(Progress(3, 0.05, None, None, 10.0))
    file.close()
    read = reader(tmp_path)
    assert set(read.Tags()["scalars"]) == {"loss/train", "loss/validation", "learning_rate", "rows_per_second"}
    assert shown(read, "loss/train") == [(1, 1.0), (2, 0.5)]
    assert shown(read, "loss/validation") == [(2, 0.25)]
    assert shown(read, "rows_per_second") == [(1, 1000.0), (2, 2000.0), (3, 10.0)]
    [told] = read.Tensors(PARAMETERS_TAG)
    text = told.tensor_proto.string_val[0].decode()
    assert '| family | `"lightgbm"` |' in text
    assert "| num_leaves | `8` |" in text
    assert r"a \| b" in text


def test_a_reader_that_is_open_sees_the_file_grow(tmp_path: Path) -> None:
    file = EventFile(replacing(tmp_path / NAME), "network", {}, flush_seconds=0)
    file.report(progress(1))
    read = reader(tmp_path)
    assert shown(read, "loss/train") == [(1, 1.0)]
    file.report(progress(2))
    assert shown(read.Reload(), "loss/train") == [(1, 1.0), (2, 0.5)]
    again = EventFile(replacing(tmp_path / NAME), "network", {}, (tmp_path / NAME).read_bytes(), flush_seconds=0)
    again.report(progress(2, loss=0.75))
    assert shown(read.Reload(), "loss/train") == [(1, 1.0), (2, 0.75)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 8)), min_size=1, max_size=4))
def test_a_fit_taken_up_again_shows_every_round_once_and_as_told_last(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("fit")
    expected: dict[int, float] = {}
    kept = None
    for attempt, (back, rounds) in enumerate(attempts):
        start = max(1, max(expected, default=0) + 1 - back)
        file = EventFile(replacing(folder / NAME), "network", {}, kept)
        expected = {number: loss for number, loss in expected.items() if number < start}
        for number in range(start, start + rounds):
            expected[number] = attempt + number / 64
            file.report(progress(number, loss=expected[number]))
        file.close()
        kept = (folder / NAME).read_bytes()
    read = reader(folder)
    assert shown(read, "loss/train") == served(folder, "loss/train") == sorted(expected.items())
    assert len(read.Tensors(PARAMETERS_TAG)) == 1


def test_the_file_only_grows_and_is_not_saved_at_every_round() -> None:
    saved: list[bytes] = []
    file = EventFile(saved.append, "network", {}, flush_seconds=3600)
    for number in range(1, 200):
        file.report(progress(number))
    assert len(saved) == 1
    file.close()
    assert len(saved) == 2
    assert saved[1].startswith(saved[0])
    again = EventFile(saved.append, "network", {}, saved[1])
    again.report(progress(150))
    assert saved[2].startswith(saved[1])


def test_a_fit_tells_the_rounds_it_made(table: Table, tmp_path: Path) -> None:
    file = EventFile(replacing(tmp_path / NAME), "lightgbm", {})
    make_estimator("lightgbm", {"max_iterations": 40}).fit(table.X, table.y, table.groups, Fitting(report=file.report))
    file.close()
    losses = shown(reader(tmp_path), "loss/train")
    assert len(losses) >= 2
    assert losses[-1][1] < losses[0][1]
