"""What the quality benchmark promises: figures that are right, splits that do not leak, cells that are run once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.quality import cell, report
from benchmarks.quality.cells import Cell, run_missing
from benchmarks.quality.contenders import Answer, ContenderFailed
from benchmarks.quality.datasets import cdnow_as_of
from benchmarks.quality.figures import Judged, differences, paired_mean, ranked, score, weighted_auc
from benchmarks.quality.store import Store
from benchmarks.quality.tables import CDNOW_TRAINED_AS_OF, Coding, Table, load

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.integers(0, 3)), min_size=4, max_size=60
)


@given(ROWS)
def test_auc_with_row_weights_is_that_of_rows_repeated(rows: list[tuple[int, float, int]]) -> None:
    y, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = np.repeat(y, weights), np.repeat(scores, weights)
    if len(np.unique(repeated[0])) < 2:
        return
    found = weighted_auc(y, *ranked(scores), weights.astype(float))
    assert found == pytest.approx(roc_auc_score(*repeated))


def test_log_loss_is_scikit_learns() -> None:
    y, p = np.array([0, 1, 1, 0], dtype=np.int8), np.array([0.2, 0.9, 0.4, 0.0])
    assert score(y, p)["log_loss"] == pytest.approx(log_loss(y, p), abs=1e-6)


def _judged(seed: int, better: float, worse: float, people: int = 2000) -> Judged:
    generator = np.random.default_rng(7)
    y = generator.integers(0, 2, people).astype(np.int8)
    noise = generator.normal(size=people)
    first, second = (1 / (1 + np.exp(-(strength * (y - 0.5) + noise))) for strength in (better, worse))
    return Judged("table", seed, "source", np.arange(people), y, first, second)


def test_an_interval_excludes_zero_for_a_better_contender_and_holds_it_for_an_equal_one() -> None:
    better = differences([_judged(0, 2.0, 1.0)], resamples=200)["table"]
    assert better["auc"].low > 0 > better["log_loss"].high
    equal = differences([_judged(0, 1.0, 1.0)], resamples=200)["mean"]
    assert (equal["auc"].mean, equal["auc"].low, equal["auc"].high) == (0, 0, 0)


def test_the_same_people_under_another_seed_do_not_narrow_the_interval() -> None:
    once = differences([_judged(0, 1.1, 1.0)], resamples=200)["mean"]["auc"]
    twice = differences([_judged(0, 1.1, 1.0), _judged(1, 1.1, 1.0)], resamples=200)["mean"]["auc"]
    assert twice.high - twice.low == pytest.approx(once.high - once.low, rel=0.25)


def test_the_interval_of_draws_redraws_whole_draws() -> None:
    values, draws = np.repeat([0.0, 1.0, 0.0, 1.0], 6), np.repeat([0, 1, 2, 3], 6)
    found = paired_mean(values, draws)
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)


def test_categories_become_floats_by_training_rows_alone() -> None:
    many = [f"city_{number:02d}" for number in range(20)]
    train = pd.DataFrame(
        {"age": [1.0] * 40, "sex": ["f", "m"] * 20, "city": many * 2, "tier": (["a", "b", "c", "a"] * 10)}
    )
    test = pd.DataFrame({"age": [np.nan], "sex": ["f"], "city": ["elsewhere"], "tier": ["z"]})
    coding = Coding.of(train)
    assert list(coding.floats(train)) == ["age", "sex=f", "city", "tier=a", "tier=b", "tier=c"]
    np.testing.assert_array_equal(coding.floats(test).to_numpy(), [[np.nan, 1.0, np.nan, 0.0, 0.0, 0.0]])
    assert sorted(coding.floats(train)["city"].unique()) == list(range(20))


def test_cdnow_is_the_table_whose_figures_are_known() -> None:
    data = cdnow_as_of("1998-01-01")
    assert data.X.shape == (23_570, 19)
    assert data.y.mean() == pytest.approx(0.162, abs=5e-4)
    assert roc_auc_score(data.y, -data.X["recency"]) == pytest.approx(0.793, abs=1e-3)
    assert data.X["recency"].min() >= 1, "an order of the as-of date itself would be the label's"


def test_a_cdnow_table_learns_from_quarters_whose_labels_were_known_before_the_tested_one() -> None:
    for name, quarters in CDNOW_TRAINED_AS_OF.items():
        tested = pd.Timestamp(name.removeprefix("cdnow_").replace("_", "-"))
        assert all(pd.Timestamp(quarter) + pd.Timedelta(days=90) <= tested for quarter in quarters)


@pytest.fixture(scope="module")
def first() -> Table:
    return load("cdnow_1998_01_01", 0)


def test_seeds_draw_other_customers_to_learn_from_and_test_the_same(first: Table) -> None:
    second = load("cdnow_1998_01_01", 1)
    assert set(first.groups) != set(second.groups)
    np.testing.assert_array_equal(first.test_rows, second.test_rows)
    assert len(np.unique(first.test_rows)) == len(first.test_rows)


def test_the_report_states_kept_cells_and_refuses_predictions_about_other_customers(
    first: Table, tmp_path: Path
) -> None:
    store, costs = Store(tmp_path), {"fit_cpu_seconds": 2.0, "predict_cpu_seconds": 0.5}
    for contender, predicted in {"ours_120_refit": first.y_test * 0.8 + 0.1, "lightgbm": np.full(23_570, 0.5)}.items():
        store.keep(first.name, first.seed, contender, first.test_rows, predicted, costs)
    written = list(report.lines(store, resamples=10))
    assert f"| {first.name}, 0 | ours_120_refit | 1.0000 | 0.1054 | 2 | 47,140 |" in written
    assert f"| {first.name} | +0.5000 (+0.5000 to +0.5000) | -0.5878 (-0.5878 to -0.5878) |" in written
    store.keep(first.name, first.seed, "lightgbm", first.test_rows[::-1], np.full(23_570, 0.5), costs)
    with pytest.raises(ValueError, match="lightgbm: the kept predictions are for other rows"):
        list(report.lines(store, resamples=10))


def _answers(calls: list[str], name: str) -> Cell:
    def run() -> tuple[np.ndarray, Answer]:
        calls.append(name)
        if name == "fails":
            raise ContenderFailed("it fell over")
        return np.arange(3), Answer({"p": np.array([0.25, 0.5, 1.0])}, {"p": 2.0}, {"p": 0.5}, {"note": "kept"})

    return Cell("question", 0, {"p": name}, run)


def test_a_kept_cell_is_not_run_again_and_a_failed_one_is_and_stops_no_other(tmp_path: Path) -> None:
    store, calls, said = Store(tmp_path), list[str](), list[str]()
    cells = [_answers(calls, name) for name in ("fails", "works")]
    run_missing(cells, store, said.append)
    run_missing(cells, store, said.append)
    assert calls == ["fails", "works", "fails"]
    assert store.cells() == [("question", 0, "works")]
    assert sum("it fell over" in sentence for sentence in said) == 2
    kept = store.read("question", 0, "works")
    np.testing.assert_array_equal(kept.predicted, [0.25, 0.5, 1.0])
    assert kept.facts == {"note": "kept", "fit_cpu_seconds": 2.0, "predict_cpu_seconds": 0.5}


def test_a_cell_counts_only_once_its_costs_are_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(TypeError):
        store.keep("question", 0, "broken", np.arange(2), [0.1, 0.2], {"cost": object()})
    assert not store.has("question", 0, "broken")


@pytest.mark.slow
def test_our_search_on_cdnow_is_as_good_as_it_was() -> None:
    assert cell.complaints(cell.figures()) == []
