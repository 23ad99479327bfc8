"""Pytest plugin: tests that need Kubernetes get the test cluster, or any other.

Belongs here: command-line options, the marker and fixtures. A test that asks for one of the fixtures is marked `cluster`
by that. Without `make cluster` it is skipped; `--require-cluster` makes that an error.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster
    from tests.cluster.nodes import Node

VARIABLE = "KUBECONFIG_FOR_TESTS"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "Kubernetes")
    group.addoption("--require-cluster", action="store_true", help="fail instead of skip when it has not been built")
    group.addoption("--kills", type=int, default=20, help="how much is lost while a campaign runs (default: 20)")
    group.addoption(
        "--kubeconfig",
        metavar="FILE",
        default=os.environ.get(VARIABLE),
        help=f"use this cluster instead (default: ${VARIABLE}); tests that lose nodes are skipped on it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: needs Kubernetes; given to tests that ask for `cluster`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator["Cluster"]:
    """The cluster, shared by all tests: a namespace keeps them apart, and each leaves nodes as it found them."""
    from tests.cluster.cluster import reached, serving
    from tests.cluster.control_plane import ClusterMissing

    kubeconfig = pytestconfig.getoption("--kubeconfig")
    if kubeconfig:
        yield reached(Path(kubeconfig))
        return
    try:
        with serving() as running:
            yield running
    except ClusterMissing as missing:
        if pytestconfig.getoption("--require-cluster"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def namespace(cluster: "Cluster") -> Iterator[str]:
    """A namespace of this test's own."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture
def nodes(cluster: "Cluster") -> Iterator[dict[str, "Node"]]:
    """The nodes by name, to lose and drain; all are there, ready and empty-handed afterwards. Own cluster only."""
    if not cluster.own:
        pytest.skip("loses nodes or the API server: only on the test cluster, and --kubeconfig names another")
    yield cluster.nodes
    cluster.restore_nodes()
