"""Which exports tell together what a table held, whatever there is of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.data.exports.chain import Chain, chain_of
from tests.data.exports.histories import at, fold, random_history


@dataclass(frozen=True)
class Some:
    """An export, by the hours it tells of."""

    export_id: str
    end: float
    start: float | None = None
    table_id: str | None = "t"

    @property
    def exported_at(self) -> datetime:
        return at(self.end)

    @property
    def window_start(self) -> datetime | None:
        return None if self.start is None else at(self.start)


def full(end: float, export_id: str = "", table_id: str | None = "t") -> Some:
    return Some(export_id or f"full{end}", end, None, table_id)


def window(start: float, end: float, export_id: str = "", table_id: str = "t") -> Some:
    return Some(export_id or f"{start}-{end}", end, start, table_id)


def ids(chain: Chain) -> list[list[str]]:
    return [[segment.base.export_id, *(link.export_id for link in segment.windows)] for segment in chain.segments]


def test_windows_that_follow_a_full_export_without_gap_are_its_chain() -> None:
    chain = chain_of([window(2, 3), full(0), window(0, 1), window(1, 2)])
    assert ids(chain) == [["full0", "0-1", "1-2", "2-3"]]
    assert (chain.end, chain.apart) == (at(3), {})


def test_a_table_with_full_exports_alone_ends_at_the_latest() -> None:
    chain = chain_of([full(2), full(1), full(3)])
    assert ids(chain) == [["full1"], ["full2"], ["full3"]]
    assert chain.end == at(3)


def test_without_a_full_export_there_is_no_chain() -> None:
    chain = chain_of([window(0, 1)])
    assert chain.end is None
    assert chain.apart["0-1"] == (
        "incremental export 0-1 (2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z) ends before there is a full export that it could "
        "follow."
    )


def test_a_full_export_from_inside_a_window_is_no_base_and_the_chain_goes_on() -> None:
    chain = chain_of([full(0), window(0, 2), full(1), window(2, 4)])
    assert ids(chain) == [["full0", "0-2", "2-4"]]
    assert chain.apart == {
        "full1": "full export full1 (2026-01-01T01:00:00Z) shows the table in the midst of incremental export 0-2 "
        "(2026-01-01T00:00:00Z to 2026-01-01T02:00:00Z): no window begins there, so it is no base, and the chain goes on without it. "
        "Ask for full exports at an instant at which a window ends."
    }


def test_at_a_gap_the_chain_ends_until_a_later_full_export() -> None:
    broken = [full(0), window(0, 1), window(2, 3)]
    chain = chain_of(broken)
    assert (ids(chain), chain.end) == ([["full0", "0-1"]], at(1))
    assert "2-3" in chain.apart
    assert "leaves a gap: what is known ends at 2026-01-01T01:00:00Z" in chain.apart["2-3"]
    assert chain.apart["2-3"].endswith("Start a full export.")
    mended = chain_of([*broken, full(3), window(3, 4)])
    assert (ids(mended), mended.end) == ([["full0", "0-1"], ["full3", "3-4"]], at(4))
    assert mended.apart["2-3"].endswith("The full export full3 made that good.")


def test_a_window_that_overlaps_is_left_out_by_name() -> None:
    chain = chain_of([full(0), window(0, 2), window(1, 3), window(2, 4)])
    assert ids(chain) == [["full0", "0-2", "2-4"]]
    assert chain.apart["1-3"].startswith("incremental export 1-3 ")
    assert " overlaps with incremental export " in chain.apart["1-3"]


def test_a_window_that_begins_before_its_full_export_is_no_link() -> None:
    chain = chain_of([full(1), window(0, 2)])
    assert (ids(chain), chain.end) == ([["full1"]], at(1))
    assert "overlaps" in chain.apart["0-2"]


def test_a_window_exported_twice_counts_once() -> None:
    chain = chain_of([full(0), window(0, 1, "a"), window(0, 1, "b")])
    assert ids(chain) == [["full0", "b"]]
    assert chain.apart["a"].endswith("is the window of b once more.")


def test_a_way_that_leads_nowhere_is_not_taken() -> None:
    chain = chain_of([full(0), window(0, 1), window(1, 2.5), window(1, 2), window(2, 3)])
    assert ids(chain) == [["full0", "0-1", "1-2", "2-3"]]


def test_of_two_ways_that_reach_as_far_the_finer_is_taken() -> None:
    assert ids(chain_of([full(0), window(0, 2), window(0, 1), window(1, 2)])) == [["full0", "0-1", "1-2"]]


def test_a_table_that_was_made_anew_does_not_continue_the_old_one() -> None:
    chain = chain_of([full(0), window(0, 1), window(1, 2, table_id="new"), full(3, table_id="new")])
    assert ids(chain) == [["full0", "0-1"], ["full3"]]
    assert "was deleted and made anew" in chain.apart["1-2"]


def test_a_full_export_of_before_ids_were_recorded_is_a_base() -> None:
    assert ids(chain_of([full(0, table_id=None), window(0, 1)])) == [["full0", "0-1"]]


HOURS = st.integers(min_value=0, max_value=20)
WINDOWS = st.tuples(HOURS, HOURS).filter(lambda pair: pair[0] < pair[1])


def exports_of(fulls: Sequence[int], windows: Sequence[tuple[int, int]]) -> list[Some]:
    return [*(full(hour) for hour in dict.fromkeys(fulls)), *(window(*hours) for hours in dict.fromkeys(windows))]


@given(
    seed=st.integers(0, 10**6),
    fulls=st.lists(HOURS, min_size=1, max_size=4),
    windows=st.lists(WINDOWS, max_size=12),
)
@settings(max_examples=60)
def test_whatever_exports_there_are_the_chain_tells_the_truth_at_each_of_its_instants(
    seed: int, fulls: list[int], windows: list[tuple[int, int]]
) -> None:
    history = random_history(seed, writes=60, keys=8)
    exports = exports_of(fulls, windows)
    chain = chain_of(exports)
    assert {link.export_id for link in chain.links} | chain.apart.keys() == {export.export_id for export in exports}
    shuffled = random.Random(seed).sample(exports, len(exports))
    assert chain_of(shuffled) == chain
    hours = {export.export_id: (export.start, export.end) for export in exports}
    for segment in chain.segments:
        links = [hours[link.export_id] for link in (segment.base, *segment.windows)]
        for count in range(1, len(links) + 1):
            assert fold(history, links[:count]) == history.state(links[count - 1][1])
    # No other full export and windows reach further.
    assert chain.end == at(max(_reach(hour, windows) for hour in fulls))


def _reach(hour: int, windows: Sequence[tuple[int, int]]) -> int:
    return max((_reach(end, windows) for start, end in windows if start == hour), default=hour)


@pytest.mark.parametrize("kind", ["overlap", "full inside", "gap"])
def test_what_is_refused_as_a_link_would_tell_another_state(kind: str) -> None:
    links: dict[str, list[tuple[float | None, float]]] = {
        "overlap": [(None, 0), (0, 12), (8, 20)],
        "full inside": [(None, 10), (8, 20)],
        "gap": [(None, 0), (0, 8), (12, 20)],
    }
    histories = [random_history(seed) for seed in range(50)]
    assert any(fold(history, links[kind]) != history.state(20) for history in histories)
