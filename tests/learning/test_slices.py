"""Slices that cover everyone once, comparisons that know chance, and a worst part that is named when it is planted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.learning.figures import metrics
from platform_assets.learning.figures.slices import MISSING, _cut, _Judged, slice_report

Rows = tuple[np.ndarray, np.ndarray, pd.DataFrame]


def right_everywhere(rows: int, seed: int, columns: int = 3) -> Rows:
    """Labels drawn by the very probabilities, and columns that have nothing to do with either."""
    generator = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(1.5 - generator.normal(size=rows)))
    table = pd.DataFrame({f"c{i}": generator.normal(size=rows) for i in range(columns)})
    return (generator.random(rows) < p).astype(int), p, table


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 2.5, 7.0, 9.0, np.nan]) | st.floats(-50, 50), min_size=1, max_size=60),
    st.integers(2, 6),
)
def test_every_row_is_in_exactly_one_slice(values: list[float], bins: int) -> None:
    for column in (pd.Series(values), pd.Series([None if v != v else f"<{v}>" for v in values], dtype=object)):
        masks = [mask for _, mask in _cut(column, bins)]
        assert (np.sum(masks, axis=0) == 1).all()
        words = [word for word, _ in _cut(column, bins)]
        assert len(set(words)) == len(words)


def test_words_name_the_rows_of_a_slice() -> None:
    column = pd.Series([*range(1, 9), np.nan])
    assert {word: column[mask].tolist() for word, mask in _cut(column, 4) if word != MISSING} == {
        "at most 2": [1, 2], "above 2, at most 4": [3, 4], "above 4, at most 6": [5, 6], "above 6": [7, 8],
    }  # fmt: skip


def test_a_planted_part_is_named_for_what_is_wrong_with_it() -> None:
    y, p, table = right_everywhere(6000, 0)
    generator = np.random.default_rng(1)
    channel = generator.choice(["web", "shop", "phone"], 6000, p=[0.5, 0.4, 0.1])
    shuffled = p.copy()
    web = np.flatnonzero(channel == "shop")
    shuffled[web] = p[generator.permutation(web)]
    y[channel == "phone"] = (generator.random((channel == "phone").sum()) < 0.4 * p[channel == "phone"]).astype(int)
    report = slice_report(y, shuffled, table.assign(channel=channel), np.arange(6000) // 2)
    ranked, calibrated = report.worst_ranked, report.worst_calibrated
    assert ranked is not None
    assert calibrated is not None
    assert (ranked.column, ranked.value) == ("channel", "shop")
    assert ranked.ranking.high < 0
    assert ranked.promised_auc > ranked.auc + 0.15
    assert (calibrated.column, calibrated.value) == ("channel", "phone")
    assert calibrated.predicted > 1.5 * calibrated.actual
    assert ranked.auc == pytest.approx(metrics.auc(y[channel == "shop"], shuffled[channel == "shop"]))


def test_a_model_right_everywhere_is_seldom_blamed_however_many_slices_are_looked_at() -> None:
    blamed = 0
    for seed in range(60):
        report = slice_report(*right_everywhere(1500, seed, columns=8))
        assert len(report.slices) == 32
        blamed += report.worst_ranked is not None or report.worst_calibrated is not None
    # 5 % promised; 60 trials of which 8 or more would be a 1-in-100 chance at 5 %.
    assert blamed <= 7


def test_intervals_know_that_a_person_s_rows_hang_together() -> None:
    y, p, table = right_everywhere(900, 3)
    people = np.repeat(np.arange(900), 4)
    alone = slice_report(y, p, table).slices
    four = slice_report(y[people], p[people], table.iloc[people], people).slices
    naive = slice_report(y[people], p[people], table.iloc[people]).slices
    for one, grouped, rows in zip(alone, four, naive, strict=True):
        assert grouped.ranking.low == pytest.approx(one.ranking.low, abs=0.002)
        assert rows.ranking.low > one.ranking.low + 0.02


def beyond_promise(y: np.ndarray, p: np.ndarray) -> float:
    """AUC less what it would be were the probabilities right: every pair by hand."""
    right = (p[:, None] > p) + 0.5 * (p[:, None] == p)
    weight = p[:, None] * (1 - p)
    return metrics.auc(y, p) - float((right * weight).sum() / weight.sum())


def test_slicing_by_what_ranks_well_blames_nobody() -> None:
    y, p, _ = right_everywhere(8000, 4)
    report = slice_report(y, p, pd.DataFrame({"score": p}), bins=6)
    whole = metrics.auc(y, p)
    assert all(each.auc < whole - 0.1 for each in report.slices)
    assert report.worst_ranked is None
    inside = p <= np.quantile(p, 1 / 6, method="inverted_cdf")
    first = report.slices[0]
    assert first.auc - first.promised_auc == pytest.approx(beyond_promise(y[inside], p[inside]), abs=1e-9)


def test_differences_have_the_error_that_redrawing_people_gives() -> None:
    y, p, table = right_everywhere(1200, 5, columns=1)
    found = slice_report(y, p, table, level=0.95).slices[0]
    inside = table["c0"].to_numpy() <= table["c0"].quantile(0.25, interpolation="lower")

    def excess(labels: np.ndarray, scores: np.ndarray) -> float:
        return _Judged.of(labels.astype(float), scores, np.ones(len(labels), dtype=bool)).excess

    generator, drawn = np.random.default_rng(0), []
    for _ in range(300):
        rows = generator.integers(0, 1200, 1200)
        kept = rows[inside[rows]]
        ratios = [metrics.predicted_over_actual(y[one], p[one]) for one in (kept, rows)]
        drawn.append((excess(y[kept], p[kept]) - excess(y[rows], p[rows]), np.log(ratios[0] / ratios[1])))
    # Four slices by two figures are looked at: Bonferroni's 2.73 standard errors.
    for compared, error in zip((found.ranking, found.calibration), np.std(drawn, axis=0), strict=True):
        assert (compared.high - compared.low) / (2 * 2.734) == pytest.approx(error, rel=0.12)


def test_slices_too_small_to_judge_are_counted_not_shown() -> None:
    y, p, _ = right_everywhere(1000, 0)
    few = np.where(np.arange(1000) < 30, "few", "many")
    report = slice_report(y, p, pd.DataFrame({"size": few, "gap": [np.nan] * 10 + [1.0] * 990}))
    assert [each.value for each in report.slices] == ["many", "1"]
    assert report.left_out == 2


def test_lengths_are_checked() -> None:
    y, p, table = right_everywhere(100, 0)
    with pytest.raises(ValueError, match="have 99 rows for 100 labels"):
        slice_report(y, p, table.iloc[1:])
    with pytest.raises(ValueError, match="groups hold 3 ids for 100 rows"):
        slice_report(y, p, table, [1, 2, 3])
