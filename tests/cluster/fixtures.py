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
HERE = Path(__file__).resolve().parent
BELOW_TMP = f"{HERE} is below /tmp, of which pods see another: tests on the cluster run in a checkout elsewhere"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "Kubernetes")
    group.addoption("--require-cluster", action="store_true", help="fail instead of skip when it has not been built")
    group.addoption("--kills", type=int, help="how much is lost while a campaign runs (default: 6; 20 with --deep)")
    group.addoption(
        "--kubeconfig",
        metavar="FILE",
        default=os.environ.get(VARIABLE),
        help=f"use this cluster instead (default: ${VARIABLE}); tests that lose nodes are skipped on it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: needs Kubernetes; given to tests that ask for `cluster`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")
    if not HERE.is_relative_to("/tmp") or config.getoption("--kubeconfig"):
        return
    refused = [item for item in items if item.get_closest_marker("cluster") or item.get_closest_marker("kubelet")]
    if refused and config.getoption("--require-cluster"):
        raise pytest.UsageError(BELOW_TMP)
    for item in refused:
        item.add_marker(pytest.mark.skip(reason=BELOW_TMP))


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
