"""Fold ids: by entity, by hash, the same everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.learning.folds import assign_folds, inner_validation


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=60),
    n_folds=st.integers(2, 127),
    seed=st.integers(0, 10**9),
)
def test_an_entity_lies_in_one_fold_whatever_surrounds_it(ids: list[int], n_folds: int, seed: int) -> None:
    folds = assign_folds(ids, n_folds, seed)
    assert folds.dtype == np.int8
    assert folds.min() >= 0
    assert folds.max() < n_folds
    for one, fold in zip(ids, folds, strict=True):
        assert assign_folds([one], n_folds, seed)[0] == fold


def test_the_same_id_as_number_or_text_lies_in_the_same_fold() -> None:
    ids = np.arange(500)
    as_text = assign_folds([str(one) for one in ids], 5, 3)
    assert (assign_folds(ids, 5, 3) == as_text).all()
    assert (assign_folds(ids.astype(np.int32), 5, 3) == as_text).all()


def test_fold_ids_never_change_between_releases() -> None:
    assert assign_folds(["a", "b", "c", "d", "e", "f"], 5, 0).tolist() == [2, 0, 4, 0, 1, 1]


def test_another_seed_deals_anew_and_folds_are_about_even() -> None:
    ids = np.arange(20_000)
    one, two = assign_folds(ids, 5, 0), assign_folds(ids, 5, 1)
    assert abs(np.mean(one == two) - 0.2) < 0.02
    assert (np.abs(np.bincount(one) / len(ids) - 0.2) < 0.015).all()


def test_missing_fractional_and_boolean_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 group ids are missing"):
        assign_folds(["a", None], 5, 0)
    with pytest.raises(TypeError, match="give integers or text"):
        assign_folds([1.5, 2.5], 5, 0)
    with pytest.raises(TypeError, match="bool"):
        assign_folds([True, False], 5, 0)
    with pytest.raises(ValueError, match="from 2 to 127"):
        assign_folds([1, 2], 1, 0)


def test_inner_validation_holds_out_whole_entities_independently_of_the_folds() -> None:
    groups = np.repeat(np.arange(5000), 2)
    y = (np.random.default_rng(0).random(10_000) < 0.3).astype(np.int8)
    held_out = inner_validation(y, groups, 0.2, seed=0)
    assert held_out is not None
    assert (held_out[::2] == held_out[1::2]).all()
    assert abs(held_out.mean() - 0.2) < 0.02
    folds = assign_folds(groups, 5, 0)
    for fold in range(5):
        assert abs(held_out[folds == fold].mean() - 0.2) < 0.05


def test_inner_validation_is_given_up_when_it_would_be_noise() -> None:
    y = np.asarray([1] * 12 + [0] * 500, dtype=np.int8)
    assert inner_validation(y, None, 0.15, seed=0) is None
    assert inner_validation(y, np.arange(512), 0.15, seed=0) is None
    with pytest.raises(ValueError, match="validation_fraction"):
        inner_validation(y, None, 0.9, seed=0)
