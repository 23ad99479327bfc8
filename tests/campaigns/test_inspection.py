"""A training set is looked over before anything learns from it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from platform_assets.campaigns.training_sets.inspection import INSPECTION_FILE, LeakFound, inspect, inspected
from platform_assets.learning.data_checks.leaks import EntitiesAcrossFolds
from tests.campaigns.running import materialized, run_training
from tests.campaigns.worlds import PAST, Workshop, campaign

PEOPLE = 600


def rows(**columns: np.ndarray) -> pa.Table:
    """Two snapshots of the same people; the label depends on `orders` and chance."""
    random = np.random.default_rng(5)
    orders = random.poisson(3, 2 * PEOPLE)
    label = (orders + random.normal(0, 2, 2 * PEOPLE) > 4).astype(int)
    days = [datetime(1998, 1, 1, tzinfo=UTC)] * PEOPLE + [datetime(1998, 4, 1, tzinfo=UTC)] * PEOPLE
    person = np.tile(np.arange(PEOPLE), 2)
    table = {"customer_id": person, "as_of": days, "label": label, "fold": person % 3, "orders": orders.astype(float)}
    return pa.table(table | columns)


def test_a_feature_that_is_the_label_is_refused_with_its_name(tmp_path: Path) -> None:
    table = rows()
    leaking = table.append_column("answer", pa.array(table["label"].to_numpy() * 7.0))
    with pytest.raises(LeakFound, match=r"again: .*answer"):
        inspect("again", leaking, "customer_id", ["orders", "answer"], tmp_path)
    assert not (tmp_path / INSPECTION_FILE).exists()


def test_a_feature_that_is_the_person_is_refused(tmp_path: Path) -> None:
    table = rows()
    leaking = table.append_column("account", pa.array(table["customer_id"].to_numpy().astype(float)))
    with pytest.raises(LeakFound, match="account"):
        inspect("again", leaking, "customer_id", ["orders", "account"], tmp_path)


def test_a_person_in_two_folds_is_refused(tmp_path: Path) -> None:
    table = rows(fold=np.arange(2 * PEOPLE) % 7)
    with pytest.raises(EntitiesAcrossFolds, match="have rows in more than one fold"):
        inspect("again", table, "customer_id", ["orders"], tmp_path)


def test_columns_that_tell_the_date_are_named_and_kept_with_the_training_set(tmp_path: Path) -> None:
    tenure = np.tile(np.random.default_rng(1).uniform(0, 50, PEOPLE), 2) + np.repeat([0.0, 90.0], PEOPLE)
    told = inspect("again", rows(tenure=tenure), "customer_id", ["orders", "tenure"], tmp_path)
    assert told == {"warnings": [], "ageing": ["tenure"]}


def test_a_clean_training_set_says_so_as_a_check(own_shop: Workshop) -> None:
    result = run_training(own_shop, "clean", campaign(), only=("training_set",), score_at=PAST.isoformat())
    [check] = [check for check in result.get_asset_check_evaluations() if check.check_name == "leaks"]
    assert check.passed
    assert materialized(result)["clean/training_set"]["warnings"] == []
    leaks, ageing = inspected(own_shop.training_set("clean", campaign(), PAST))
    assert leaks == ()
    assert {one.column for one in ageing} == set(own_shop.training_set("clean", campaign(), PAST).metadata["features"])
