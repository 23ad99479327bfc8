"""An account behind the stand-in server, and a source that is fetched from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_assets.data.fetching.spec import SaasSourceSpec
from tests.data.fetching.stripe_server import KEY, StripeServer, stripe_server


@pytest.fixture(scope="package")
def server() -> Iterator[StripeServer]:
    with stripe_server() as server:
        yield server


@pytest.fixture
def account(server: StripeServer) -> StripeServer:
    """Nothing is in it, and nothing was asked."""
    server.empty()
    return server


@pytest.fixture
def spec(account: StripeServer, tmp_path: Path) -> SaasSourceSpec:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    return SaasSourceSpec.model_validate(
        {
            "description": "Customers of a shop.",
            "owner": "team:billing",
            "service": "stripe",
            "url": account.url,
            "api_version": "2026-10-28.endive",
            "key_file": str(key),
            "path": "stripe",
            "tables": [{"name": "customers"}, {"name": "subscriptions"}],
        }
    )
