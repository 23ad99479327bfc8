"""Folds, models and ensembles: nothing is fitted twice, and only results of one training set ever meet."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from platform_assets.campaigns.promotion.gate import decide_promotion
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.training.ensemble_artifact import build_ensemble, evaluation_of
from platform_assets.campaigns.training.fold_artifacts import fit_fold_of
from platform_assets.campaigns.training.out_of_fold import fitted_member, folds_of, gather_folds
from platform_assets.campaigns.training_sets.training_rows import OtherTrainingSet, TrainingRows
from platform_assets.foundation.artifacts import Artifact
from platform_assets.learning.ensemble import IncompleteFolds
from platform_assets.learning.figures import metrics
from tests.campaigns.conftest import AGAIN
from tests.campaigns.worlds import PAST, TREES, TREES_AND_NETWORK, Trained, Workshop, campaign, customers_orders, shop
from tests.data.features.conftest import in_zone, publish

OTHER_LEAVES = campaign(advanced={"models": {"lightgbm": {"num_leaves": 5}}})


def test_an_unchanged_rerun_makes_nothing(own_shop: Workshop, trained: Trained) -> None:
    again = own_shop.train("again", AGAIN, PAST)
    assert all(again.hits.values())
    assert again.contents == trained.contents


def test_one_changed_parameter_remakes_that_model_s_folds_the_ensemble_and_the_gate_alone(own_shop: Workshop) -> None:
    changed = {**TREES_AND_NETWORK, "lightgbm": {**TREES["lightgbm"], "num_leaves": 6}}
    again = own_shop.train("again", campaign(advanced={"models": changed}), PAST)
    assert {step for step, hit in again.hits.items() if not hit} == {
        "lightgbm/fold_0", "lightgbm/fold_1", "lightgbm", "ensemble", "decision",
    }  # fmt: skip
    assert again.folds["lightgbm"][0].reason == "settings changed: parameters"
    assert again.ensemble.reason == "inputs changed: models/lightgbm"


def test_a_changed_seed_fits_every_fold_again(own_shop: Workshop) -> None:
    again = own_shop.train("again", campaign(advanced={"models": TREES, "seed": 5}), PAST)
    assert not any(again.hits.values())


def test_a_lost_fold_is_fitted_alone_and_what_follows_is_found(own_shop: Workshop, trained: Trained) -> None:
    (own_shop.folder / "artifacts" / "recipes" / f"{trained.folds['network'][1].ref.fingerprint}.json").unlink()
    again = own_shop.train("again", AGAIN, PAST)
    assert {step for step, hit in again.hits.items() if not hit} == {"network/fold_1"}
    assert again.contents == trained.contents


@pytest.mark.slow
def test_the_same_data_give_the_same_content_in_another_place(tmp_path: Path, trained: Trained) -> None:
    elsewhere = Workshop(tmp_path, shop(tmp_path)).train("again", AGAIN, PAST)
    assert not any(elsewhere.hits.values())
    assert elsewhere.contents == trained.contents


def test_out_of_fold_predictions_come_from_the_fold_without_the_row(shared_shop: Workshop, trained: Trained) -> None:
    rows = TrainingRows.of(trained.training)
    predicted = fitted_member(trained.models["lightgbm"]).predictions
    for result in folds_of(trained.models["lightgbm"], shared_shop.store):
        own = (rows.frame["fold"] == result.fold).to_numpy()
        np.testing.assert_array_equal(np.flatnonzero(own), result.rows)
        np.testing.assert_array_equal(predicted[own], result.estimator.predict_proba(rows.values[own])[:, 1])
    # Two libraries sum the same pairs in another order.
    assert trained.models["lightgbm"].metadata["auc"] == pytest.approx(metrics.auc(rows.labels, predicted), rel=1e-12)


def assert_refused(workshop: Workshop, trained: Trained, parts: list[Artifact], said: str) -> None:
    with pytest.raises(IncompleteFolds, match=said):
        gather_folds(workshop.task("again", AGAIN, trained.training), "lightgbm", parts, None)


def test_gather_refuses_a_missing_a_repeated_and_a_surplus_fold(shared_shop: Workshop, trained: Trained) -> None:
    first, second = trained.folds["lightgbm"]
    assert_refused(shared_shop, trained, [first], "missing 1")
    assert_refused(shared_shop, trained, [first, first], "given twice 0")
    assert_refused(shared_shop, trained, [first, second, second], "given twice 1")


def test_gather_refuses_folds_of_another_training_set_and_of_two_models(own_shop: Workshop, trained: Trained) -> None:
    first, other = trained.folds["lightgbm"][0], own_shop.training_set("again", AGAIN)
    foreign = fit_fold_of(own_shop.task("again", AGAIN, other), "lightgbm", 1)
    said = r"again/models/lightgbm: folds \[1\] were fitted on another training set"
    assert_refused(own_shop, trained, [first, foreign], said)
    another_model = fit_fold_of(own_shop.task("again", OTHER_LEAVES, trained.training), "lightgbm", 1)
    assert_refused(own_shop, trained, [first, another_model], "2 different models")


def test_an_ensemble_refuses_models_of_another_training_set(own_shop: Workshop, trained: Trained) -> None:
    other = own_shop.training_set("again", AGAIN)
    said = r"again/models/lightgbm was made from another training set .* materialise again/models/lightgbm again"
    with pytest.raises(OtherTrainingSet, match=said):
        build_ensemble(own_shop.task("again", AGAIN, other), trained.models)


def test_the_gate_refuses_an_ensemble_of_another_training_set(own_shop: Workshop, trained: Trained) -> None:
    other = own_shop.training_set("again", AGAIN)
    with pytest.raises(OtherTrainingSet, match="again/ensemble was made from another training set"):
        decide_promotion("again", trained.ensemble, other, own_shop.store, own_shop.promoted)


def test_the_bundle_predicts_probabilities_that_rank(trained: Trained) -> None:
    rows = TrainingRows.of(trained.training)
    bundle = load_bundle(trained.ensemble)
    predicted = bundle.predict(rows.values)
    assert tuple(bundle.feature_names) == rows.features
    assert ((predicted > 0) & (predicted < 1)).all()
    assert metrics.auc(rows.labels, predicted) > 0.7


def test_the_leaderboard_holds_every_model_and_what_it_must_beat(trained: Trained) -> None:
    board = {row["model"]: row for row in evaluation_of(trained.ensemble)["leaderboard"]}
    assert set(board) == {"lightgbm", "network", "ensemble", "one-column rule", "logistic regression", "random"}
    assert [row["log_loss"] for row in board.values()] == sorted(row["log_loss"] for row in board.values())
    assert abs(board["random"]["auc"] - 0.5) < 3 * board["random"]["auc_se"]
    assert board["ensemble"]["auc"] > board["random"]["auc"] + 0.1
    assert sum(board[family]["weight"] for family in TREES_AND_NETWORK) == pytest.approx(1)
    assert board["one-column rule"]["note"]


def test_figures_by_date_are_those_of_the_rows_of_that_date(trained: Trained) -> None:
    import pyarrow.parquet as pq

    kept = pq.ParquetFile(trained.ensemble.path("out_of_fold.parquet")).read().to_pandas()
    for row in evaluation_of(trained.ensemble)["by_time"]:
        own = kept[kept["as_of"].dt.strftime("%Y-%m-%d") == row["when"]]
        assert (row["rows"], row["positives"]) == (len(own), own["label"].sum())
        assert row["auc"] == pytest.approx(metrics.auc(own["label"], own["probability"]))
        assert row["predicted"] == pytest.approx(own["probability"].mean())
        assert row["actual"] == pytest.approx(own["label"].mean())


@pytest.mark.slow
def test_figures_by_date_carry_business_dates(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, publish(tmp_path, in_zone("Europe/Berlin"), {"orders": customers_orders()}))
    spec = campaign(train={"as_of": ["1998-01-15", "1998-04-15"]}, advanced={"models": {"logistic": {}}})
    told = evaluation_of(workshop.train("again", spec, date(1998, 6, 30)).ensemble)
    assert [row["when"] for row in told["by_time"]] == ["1998-01-15", "1998-04-15"]


def test_nothing_in_the_store_is_a_pickle_or_names_the_machine(shared_shop: Workshop, trained: Trained) -> None:
    folder = Path(trained.ensemble.folder())
    names = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert names <= {".json", ".txt", ".safetensors", ".parquet"}
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert "seconds" not in json.dumps(evaluation)
    assert str(shared_shop.folder) not in json.dumps(trained.ensemble.metadata)
