"""A service declared in one YAML: its loads, their schedule, and the raw tables after them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.components.loading import read_source_files
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment
from tests.data.fetching.stripe_server import DAY, KEY, StripeServer, stripe_server
from tests.support.declared import FETCHED, write_declaration

DECLARED = FETCHED.replace("  path:", "  url: {url}\n  key_variable: STRIPE_KEY_OF_A_TEST\n  path:")


@pytest.fixture
def account() -> Iterator[StripeServer]:
    with stripe_server() as server:
        yield server


def declared(environment: Environment, account: StripeServer) -> Environment:
    folder = environment.data / "sources"
    write_declaration(folder, "billing", DECLARED.format(url=account.url))
    return replace(environment, sources=folder)


def test_one_yaml_makes_the_loads_and_the_raw_table_after_them(
    environment: Environment, account: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_KEY_OF_A_TEST", KEY)
    definitions = build_definitions(declared(environment, account))
    load, raw = dg.AssetKey(["exports", "billing"]), dg.AssetKey(["raw", "billing", "customers"])
    account.create("customers", email="one@example.com")
    account.now += DAY
    fetching, loading = (definitions.get_assets_def(key) for key in (load, raw))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([fetching, loading], instance=instance, resources=definitions.resources)
        assert result.success
        metadata = {
            event.asset_key: event.materialization.metadata for event in result.get_asset_materialization_events()
        }
    assert metadata[load]["objects/customers"].value == 1
    assert metadata[raw]["dagster/row_count"].value == 1


def test_a_refused_load_fails_with_what_to_do_and_without_the_key(
    environment: Environment, account: StripeServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_KEY_OF_A_TEST", f"{KEY}_that_is_not_good")
    definitions = build_definitions(declared(environment, account))
    fetching = definitions.get_assets_def(dg.AssetKey(["exports", "billing"]))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([fetching], instance=instance, resources=definitions.resources, raise_on_error=False)
        (failure,) = result.get_step_failure_events()
        error = failure.step_failure_data.error
        assert error is not None
        told = error.to_string()
    assert "the API refuses the key in STRIPE_KEY_OF_A_TEST (401)" in told
    assert KEY not in told + "".join(capfd.readouterr())


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
