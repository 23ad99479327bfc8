"""Services that cannot be fetched from."""

import pytest

from platform_assets.environment import STRIPE_KEY
from tests.broken_inputs.world import MARK, Broken, World
from tests.data.fetching.stripe_server import stripe_server
from tests.support.declared import FETCHED, write_declaration


def refused_key(world: World) -> str:
    with stripe_server() as account, pytest.MonkeyPatch.context() as patch:
        patch.setenv(STRIPE_KEY, MARK)
        account.create("customers", email=MARK)
        file = world.environment.sources / "billing" / "defs.yaml"
        file.write_text(FETCHED.replace("  path:", f"  url: {account.url}\n  path:"), encoding="utf-8")
        return world.said_by_run("exports/billing")


def of_kind(kind: str) -> str:
    return FETCHED.replace("name: customers", f"name: {kind}")


ROWS = (
    Broken(
        "a key that a service refuses",
        lambda world: write_declaration(world.environment.sources, "billing", FETCHED) and None,
        refused_key,
        (STRIPE_KEY, "401", "customers"),
    ),
    Broken(
        "a service with objects that cannot be fetched",
        lambda world: write_declaration(world.environment.sources, "billing", of_kind("payouts")),
        lambda world: world.said_by_command("check"),
        ("billing", "tables", "customers"),
    ),
)
