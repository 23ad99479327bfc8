"""The face of a campaign's training: hits with their reason, failures in sentences, and nothing built on what was refused."""

import json
import random
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.campaigns.assets import campaign_assets
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager
from tests.campaigns.conftest import AGAIN, copy_of
from tests.campaigns.running import PROFILES, environment_of, failures_of, materialized, run, run_training
from tests.campaigns.worlds import PAST, TREES, Trained, Workshop, campaign, customers_orders, fans, labelled
from tests.data.features.conftest import CATALOG, HOLDINGS, order, publish
from tests.learning.test_imports import loaded_after

STEPS = (
    "again/training_set",
    "again/models/lightgbm",
    "again/models/network",
    "again/ensemble",
    "again/promoted_model",
)
DOWNSTREAM = ("models/lightgbm", "models/network", "ensemble", "promoted_model")


def the_failure(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    [sentence] = set(failures_of(result))
    assert not sentence.startswith("UNTOLD")
    return sentence


def refusal(workshop: Workshop, step: str, score_at: str | None = None) -> str:
    """Why the step, started alone, failed."""
    return the_failure(run_training(workshop, "again", AGAIN, [step], score_at))


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


@pytest.fixture(scope="module")
def shared_run(
    shared_shop: Workshop, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workshop, dg.ExecuteInProcessResult]:
    """A copy of the shop after one green run of the whole campaign, and the run; read only."""
    workshop = copy_of(shared_shop, tmp_path_factory.mktemp("ran"))
    return workshop, run_training(workshop, "again", AGAIN, score_at=PAST.isoformat())


@pytest.fixture
def ran(shared_run: tuple[Workshop, dg.ExecuteInProcessResult], tmp_path: Path) -> Workshop:
    """The same, to change."""
    return copy_of(shared_run[0], tmp_path)


def test_every_step_says_whether_it_was_found_and_why(
    shared_run: tuple[Workshop, dg.ExecuteInProcessResult], trained: Trained
) -> None:
    _, result = shared_run
    assert result.success
    told = materialized(result)
    assert set(told) == set(STEPS)
    for metadata in told.values():
        assert metadata["cache"] == "hit"
        assert metadata["cache_reason"] == "same code, settings and inputs"
        assert metadata["seconds_saved"] >= 0
    assert told["again/ensemble"]["content_hash"] == trained.ensemble.ref.content_hash
    assert told["again/training_set"]["positives"] == trained.training.metadata["positives"]
    assert "| one-column rule |" in told["again/ensemble"]["leaderboard"]
    assert told["again/promoted_model"]["outcome"] == "promoted"
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())


def test_a_step_made_again_says_what_changed(ran: Workshop) -> None:
    assert isinstance(AGAIN.advanced.models, dict)
    spec = campaign(advanced={"models": {**AGAIN.advanced.models, "lightgbm": {**TREES["lightgbm"], "num_leaves": 6}}})
    told = materialized(run_training(ran, "again", spec, score_at=PAST.isoformat()))
    assert {key.removeprefix("again/"): metadata["cache"] for key, metadata in told.items()} == {
        "training_set": "hit", "models/lightgbm": "miss", "models/network": "hit", "ensemble": "miss", "promoted_model": "miss",
    }  # fmt: skip
    assert told["again/ensemble"]["cache_reason"] == "inputs changed: models/lightgbm"


def test_each_fold_is_a_step_of_its_own(shared_run: tuple[Workshop, dg.ExecuteInProcessResult]) -> None:
    _, result = shared_run
    ran = {event.step_key for event in result.all_events if event.is_step_success}
    for family in AGAIN.advanced.models:
        assert {step for step in ran if f"__{family}__fold_" in str(step)} == {
            f"again__models__{family}.again__{family}__fold_0", f"again__models__{family}.again__{family}__fold_1"
        }  # fmt: skip


@pytest.mark.slow
def test_after_a_failed_audit_whatever_is_started_alone_is_refused_until_it_passes(ran: Workshop) -> None:
    broken = ran.with_broken_orders()
    failed = run_training(broken, "again", AGAIN, ["training_set"], PAST.isoformat())
    assert "audit failed" in the_failure(failed)
    assert (checks(failed)["audit"].passed, checks(failed)["audit"].severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert materialized(failed) == {}

    for step in DOWNSTREAM:
        refused = run_training(broken, "again", AGAIN, [step])
        assert "again/training_set at current must not be read: its audit failed" in the_failure(refused)
        assert materialized(refused) == {}

    publish(ran.folder, CATALOG, {"orders": customers_orders()})
    assert run_training(ran, "again", AGAIN, ["training_set"], PAST.isoformat()).success
    assert run_training(ran, "again", AGAIN, DOWNSTREAM).success


def test_a_run_of_everything_stops_at_the_failed_audit(ran: Workshop) -> None:
    result = run_training(ran.with_broken_orders(), "again", AGAIN, score_at=PAST.isoformat())
    assert "audit failed" in the_failure(result)
    assert materialized(result) == {}


@pytest.mark.slow
def test_after_too_few_positives_the_older_training_set_is_not_taken_for_an_answer(ran: Workshop) -> None:
    publish(ran.folder, CATALOG, {"orders": [order(n, n, 10) for n in range(1, 401)]})
    assert "again: 0 positives among 800 rows" in refusal(ran, "training_set", PAST.isoformat())
    assert "again/training_set at current must not be read" in refusal(ran, "models/lightgbm")


def test_a_refused_mart_is_told_with_its_reason(ran: Workshop) -> None:
    reason = "its last build failed dbt test unique_orders_order_id (255 rows)"
    MartStore(ran.folder / "marts").refuse(["orders"], reason)
    said = f"mart orders: {reason}; fix its cause and materialise marts/orders again"
    assert said in refusal(ran, "training_set")


@pytest.mark.slow
def test_an_ensemble_started_alone_after_the_training_set_changed_is_refused(ran: Workshop) -> None:
    assert run_training(ran, "again", AGAIN, ["training_set"]).success
    assert "again/models/lightgbm was made from another training set" in refusal(ran, "ensemble")
    assert "again/ensemble was made from another training set" in refusal(ran, "promoted_model")


def test_a_step_whose_input_was_never_made_says_which(tmp_path: Path, shared_shop: Workshop) -> None:
    said = "has not been materialised yet; materialise it first"
    assert said in refusal(replace(shared_shop, folder=tmp_path), "ensemble")


@pytest.mark.slow
def test_a_refused_model_is_a_red_check_and_no_materialisation(own_cinema: Workshop) -> None:
    draw = random.Random(4)
    own_cinema.teach(labelled(240, lambda _: draw.randint(0, 1)))
    result = run_training(own_cinema, "fans", fans())
    assert "fans: nothing is promoted. The challenger is no better than chance" in the_failure(result)
    gate = checks(result)["promotion_gate"]
    assert (gate.passed, gate.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "fans/ensemble" in materialized(result)
    assert "fans/promoted_model" not in materialized(result)
    assert last_decision(own_cinema, "fans")["outcome"] == "refused"


def test_a_champion_kept_is_a_warning_not_a_failure(ran: Workshop) -> None:
    blind = campaign(advanced={"models": {"lightgbm": {**TREES["lightgbm"], "min_data_in_leaf": 100_000}}})
    result = run_training(ran, "again", blind, score_at=PAST.isoformat())
    assert result.success
    gate = checks(result)["promotion_gate"]
    assert (gate.passed, gate.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = materialized(result)["again/promoted_model"]
    assert told["outcome"] == "kept"
    assert last_decision(ran, "again") == {what: told[what] for what in ("outcome", "reason", "score_at")}


def last_decision(workshop: Workshop, name: str) -> dict[str, str]:
    """What people are shown of it."""
    return dict(json.loads((environment_of(workshop).data / "audiences" / name / "decision.json").read_text()))


@pytest.mark.parametrize(
    ("score_at", "said"),
    [
        ("soon", "score_at: 'soon' is not a date such as 1998-01-31"),
        (
            "1998-07-02",
            "score_at 1998-07-02: the exports cover everything before 1998-07-01T00:00:00+00:00 only, so 1998-07-01 is the latest date",
        ),
    ],
)
def test_a_scoring_date_that_cannot_be_is_refused_in_a_sentence(own_shop: Workshop, score_at: str, said: str) -> None:
    assert said in refusal(own_shop, "training_set", score_at)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, "label.teacher fans.csv: no such file in"),
        (
            [{"viewer_id": 9999, "as_of": "1998-01-15T12:00:00Z", "label": 1}],
            "1 of 1 rows name a viewer_id that viewers does not hold",
        ),
        ([{"viewer_id": 1, "as_of": "1998-06-30T12:00:00Z", "label": 1}], "so nobody can know their label"),
        ([{"viewer_id": 1, "as_of": "1998-01-15T12:00:00Z", "label": 1}], "negatives: sample_population"),
    ],
)
def test_a_teacher_file_that_cannot_be_used_is_told_in_a_sentence(
    own_cinema: Workshop, rows: list[dict[str, object]] | None, said: str
) -> None:
    if rows:
        own_cinema.teach(rows)
    assert said in the_failure(run_training(own_cinema, "fans", fans(), ["training_set"]))


def test_a_training_set_depends_on_its_feature_groups_and_declares_a_blocking_audit(own_shop: Workshop) -> None:
    spec = campaign(features=["order_windows", "order_value"])
    training, *_ = campaign_assets("again", spec, environment_of(own_shop), HOLDINGS, PROFILES)
    groups = {key.to_user_string().removeprefix("features/customer/") for key in training.dependency_keys}
    assert groups == {"order_windows", "order_value"}
    audit, leaks = training.check_specs
    assert leaks.name == "leaks"
    assert audit.blocking
    assert training.group_names_by_key == {training.key: "again"}
    assert training.owners_by_key == {training.key: ["crm@example.com"]}


def test_a_model_that_asks_for_a_gpu_is_not_computed_where_its_command_was_typed(own_shop: Workshop) -> None:
    spec = campaign(advanced={"folds": 2, "models": {"network": {}, "lightgbm": {}}, "resources": "gpu"})
    typed = replace(environment_of(own_shop), name="gcp")
    result = run(own_shop, campaign_assets("again", spec, typed, HOLDINGS, PROFILES), ['key:"again/training_set"+'])
    told = failures_of(result)
    assert len(told) == 2
    assert all("again/models/network asks for a GPU (resource profile gpu)" in one for one in told)
    assert all("dagster job launch" in one and "-j train_again" in one for one in told)
    assert "again/models/lightgbm" in materialized(result)


def test_a_fold_whose_pod_has_a_gpu_never_computes_on_the_cpu_instead_nor_is_tried_again(own_shop: Workshop) -> None:
    spec = campaign(advanced={"folds": 2, "models": {"network": {}, "lightgbm": {}}, "resources": "gpu"})
    in_pods = replace(environment_of(own_shop), executor="kubernetes")
    assets = campaign_assets("again", spec, in_pods, HOLDINGS, PROFILES)
    resources = {"io_manager": ArtifactRefIOManager(root=str(in_pods.refs))}
    trying = dg.define_asset_job("train", 'key:"again/training_set"+', op_retry_policy=dg.RetryPolicy(max_retries=2))
    job = dg.Definitions(assets, jobs=[trying], resources=resources).resolve_job_def("train")
    result = job.execute_in_process(raise_on_error=False)
    told = failures_of(result)
    assert len(told) == 2
    assert all("the resource profile gpu gives this step 1 GPU, and it cannot compute there" in one for one in told)
    assert not any(event.is_step_up_for_retry for event in result.all_events)
    assert "again/models/lightgbm" in materialized(result)


def test_a_fold_in_an_image_of_another_commit_than_its_run_s_is_refused(own_shop: Workshop) -> None:
    spec = campaign(advanced={"folds": 2, "models": {"network": {}}, "resources": "gpu"})
    here = replace(environment_of(own_shop), executor="kubernetes", name="emulated", commit="a" * 40)
    for run_commit, refused in (("b" * 40, 2), ("a" * 40, 0)):
        elsewhere = replace(here, run_commit=run_commit)
        result = run(
            own_shop, campaign_assets("again", spec, elsewhere, HOLDINGS, PROFILES), ['key:"again/training_set"+']
        )
        told = f"this step's image is of commit {'a' * 40}, and its run's of {run_commit}: deploy both images of one commit"
        assert sum(one.startswith(told) for one in failures_of(result)) == refused, failures_of(result)


def test_a_model_whose_parameters_say_cpu_holds_no_gpu(own_shop: Workshop) -> None:
    models = {"network": {"device": "cpu"}, "wide": {"family": "network", "hidden_width": 64}}
    spec = campaign(advanced={"folds": 2, "models": models, "resources": "gpu"})
    in_pods = replace(environment_of(own_shop), executor="kubernetes")
    pools = {
        op.name: op.pool
        for asset in campaign_assets("again", spec, in_pods, HOLDINGS, PROFILES)
        for op in getattr(asset.node_def, "iterate_op_defs", list)()
        if "fold" in op.name
    }
    assert {name: pool for name, pool in pools.items() if pool} == {
        f"again__wide__fold_{fold}": "gpu" for fold in (0, 1)
    }
    assert {f"again__network__fold_{fold}" for fold in (0, 1)} <= set(pools)


@pytest.mark.slow
def test_a_campaign_s_assets_load_nothing_heavy() -> None:
    [loaded] = loaded_after("import platform_assets.campaigns.assets, platform_assets.audiences.assets")
    heavy = {"torch", "lightgbm", "great_expectations", "sklearn", "matplotlib", "ibis", "duckdb", "pandas", "pyarrow"}
    assert not loaded & heavy
