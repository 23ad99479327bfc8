"""A service declared in one YAML: its loads, their schedule, and the raw tables after them."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.components.loading import read_source_files
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.assets import export_assets
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment, local_environment
from platform_assets.foundation.execution.profiles import way_out
from tests.data.fetching.stripe_server import DAY, KEY, StripeServer, stripe_server
from tests.support.declared import FETCHED, write_declaration

DECLARED = FETCHED.replace("  path:", "  url: {url}\n  key_variable: STRIPE_KEY_OF_A_TEST\n  path:")


LOAD, RAW = dg.AssetKey(["exports", "billing"]), dg.AssetKey(["raw", "billing", "customers"])


@pytest.fixture(scope="module")
def account() -> Iterator[StripeServer]:
    with stripe_server() as server:
        server.create("customers", email="one@example.com")
        server.now += DAY
        yield server


@pytest.fixture(scope="module")
def definitions(account: StripeServer, tmp_path_factory: pytest.TempPathFactory, dbt_project: Path) -> dg.Definitions:
    folder = tmp_path_factory.mktemp("billing")
    write_declaration(folder / "sources", "billing", DECLARED.format(url=account.url))
    return build_definitions(local_environment(folder / "data", dbt_project=dbt_project, sources=folder / "sources"))


def test_a_refused_load_fails_with_what_to_do_and_without_the_key(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_KEY_OF_A_TEST", f"{KEY}_that_is_not_good")
    fetching = definitions.get_assets_def(LOAD)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([fetching], instance=instance, resources=definitions.resources, raise_on_error=False)
        (failure,) = result.get_step_failure_events()
        error = failure.step_failure_data.error
        assert error is not None
        told = error.to_string()
    assert "the API refuses the key in STRIPE_KEY_OF_A_TEST (401)" in told
    assert KEY not in told + "".join(capfd.readouterr())


def test_one_yaml_makes_the_loads_and_the_raw_table_after_them(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_KEY_OF_A_TEST", KEY)
    fetching, loading = (definitions.get_assets_def(key) for key in (LOAD, RAW))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([fetching, loading], instance=instance, resources=definitions.resources)
        assert result.success
        metadata = {
            event.asset_key: event.materialization.metadata for event in result.get_asset_materialization_events()
        }
    assert metadata[LOAD]["objects/customers"].value == 1
    assert metadata[RAW]["dagster/row_count"].value == 1


def test_a_step_that_calls_a_service_asks_for_its_way_out_and_no_other_does(
    definitions: dg.Definitions, environment: Environment
) -> None:
    fetching, loading = (definitions.get_assets_def(key).op.tags for key in (LOAD, RAW))
    assert fetching == way_out("stripe", "STRIPE_KEY_OF_A_TEST")
    assert loading == {}
    written = {"format": "dynamodb", "path": "films", "from": "s3://operational-exports/films"}
    table = {"name": "films", "export_table": "films", "key": ["film_id"]}
    spec = ExportSourceSpec.model_validate(
        {"description": "Films.", "owner": "team:films", **written, "tables": [table]}
    )
    [bringing] = export_assets(spec, "films", environment)
    assert bringing.op.tags == way_out("s3")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("url: {url}", "url: https://api.stripe.com.evil.example", "the key is sent to https://api.stripe.com alone"),
        ("url: {url}", "url: http://api.stripe.com", "the key is sent to https://api.stripe.com alone"),
        ("url: {url}", "url: https://a@api.stripe.com", "write scheme and host alone"),
        ("key_variable: STRIPE_KEY_OF_A_TEST", "key_variable: rk_live_abc", "write the name, not the key"),
        ("  path:", "  key_file: /key\n  path:", "the API key is in one place"),
        (
            "key_variable: STRIPE_KEY_OF_A_TEST",
            "key_variable: DAGSTER_POSTGRES_PASSWORD",
            "is not the name of a variable for a key",
        ),
        ("key_variable: STRIPE_KEY_OF_A_TEST", "key_file: secrets/key", "key_file: write an absolute path"),
        ("path: stripe", "path: ../stripe", "path: write a folder below the exports root"),
        ("api_version: 2026-10-28.endive", "api_version: newest", "is not a version of Stripe's API"),
        ("name: customers", "name: payouts_of_nobody", "name"),
    ],
)
def test_a_mistaken_declaration_is_refused(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    assert before in DECLARED
    text = DECLARED.replace(before, after).replace("{url}", "https://api.stripe.com")
    write_declaration(tmp_path, "billing", text)
    (file,) = read_source_files(tmp_path)
    assert sentence in str(file.error)
