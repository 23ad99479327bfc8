"""One world and one trained campaign, shared by every test that only reads them; copies for those that write."""

import shutil
from pathlib import Path

import pytest

from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from tests.campaigns.worlds import PAST, TREES_AND_NETWORK, Trained, Workshop, campaign, cinema, shop
from tests.data.features.conftest import CATALOG

AGAIN = campaign(advanced={"models": TREES_AND_NETWORK})


@pytest.fixture(scope="session")
def shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """400 customers with their orders; read only."""
    folder = tmp_path_factory.mktemp("shop")
    return Workshop(folder, shop(folder))


@pytest.fixture(scope="session")
def shared_cinema(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """240 viewers with their ratings; read only but for teacher files under names of a test's own."""
    folder = tmp_path_factory.mktemp("cinema")
    return Workshop(folder, cinema(folder))


@pytest.fixture
def own_cinema(shared_cinema: Workshop, tmp_path: Path) -> Workshop:
    """The cinema's marts beside teacher files, a store and promoted models of a test's own."""
    (tmp_path / "marts").symlink_to(shared_cinema.folder / "marts")
    return Workshop(tmp_path, shared_cinema.warehouse)


@pytest.fixture(scope="session")
def trained(shared_shop: Workshop) -> Trained:
    """The campaign `again` (AGAIN), trained as of PAST with two families and promoted."""
    return shared_shop.train("again", AGAIN, PAST)


@pytest.fixture
def own_shop(shared_shop: Workshop, trained: Trained, tmp_path: Path) -> Workshop:
    """A copy of the shop with everything trained in it, to change."""
    return copy_of(shared_shop, tmp_path)


def copy_of(workshop: Workshop, folder: Path) -> Workshop:
    for part in sorted(workshop.folder.iterdir()):
        if part.is_dir():
            shutil.copytree(part, folder / part.name)
    return Workshop(folder, DuckDBWarehouse(CATALOG, MartStore(folder / "marts")))
