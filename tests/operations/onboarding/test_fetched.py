"""A source of a service that is fetched: its file is there before its loads, and models are written from these."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platform_assets.components.loading import read_source_files
from platform_assets.data.fetching.load import fetch
from platform_assets.data.fetching.spec import SaasExportsSpec
from platform_assets.operations.onboarding.adding import Proposed, propose
from platform_assets.operations.onboarding.tables import OnboardingError, Wishes, refuse
from platform_assets.operations.onboarding.writing.files import changes_of, write
from tests.data.fetching.stripe_server import DAY, KEY, StripeServer, stripe_server
from tests.operations.onboarding.conftest import Project
from tests.support.declared import FETCHED, write_declaration


@pytest.fixture
def account() -> Iterator[StripeServer]:
    with stripe_server() as server:
        yield server


@pytest.fixture
def fetched(project: Project, account: StripeServer, tmp_path: Path) -> Path:
    """The declaration of a source of which there is a load."""
    (tmp_path / "key").write_text(KEY)
    text = FETCHED.replace("  path:", f"  url: {account.url}\n  key_file: {tmp_path / 'key'}\n  path:")
    path = write_declaration(project.environment.sources, "billing", text)
    for number in range(8):
        account.now += DAY
        account.create("customers", email=f"{number}@example.com", balance=number, address={"country": "DE"})
    account.now += DAY
    [file] = read_source_files(project.environment.sources)
    assert isinstance(file.spec, SaasExportsSpec)
    fetch(file.spec.saas, project.environment.exports)
    return path


def propose_from(project: Project, source: str, where: str, **wishes: Any) -> Proposed:
    return propose(project.environment, source, where, Wishes(**wishes), refuse)


def test_models_are_written_from_its_loads_and_its_file_stays(project: Project, fetched: Path) -> None:
    declared = fetched.read_text()
    proposed = propose_from(project, "billing", "stripe", kinds={"customers": "dimension"})
    write(changes_of(project.environment, proposed.plan, proposed.place, "team:billing", proposed.only))
    assert fetched.read_text() == declared
    staging = project.model("stg_billing__customers")
    assert "source('billing', 'customers')" in staging
    assert "'balance'" in staging
    assert [file.error for file in read_source_files(project.environment.sources)] == [None]


def test_what_is_not_fetched_yet_is_refused_with_what_to_do(project: Project, fetched: Path) -> None:
    with pytest.raises(OnboardingError, match=r"does not have it fetched. Add it to `tables` there first"):
        propose_from(project, "billing", "stripe", tables=("products",))
    with pytest.raises(OnboardingError, match=r"is the address of a service.*make the asset exports/crm once"):
        propose_from(project, "crm", "https://api.stripe.com")
