"""What tests of the manifests share: the Jobs that runs make on GKE, built once."""

import pytest

from tests.deploy.manifests import Manifest, PodTemplate
from tests.deploy.test_kubernetes_instance import jobs_on, pod_of


@pytest.fixture(scope="session")
def jobs_of_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifest]:
    """The Job of a run on the gke overlay under "run", and of a step under each profile's name."""
    return jobs_on("gke", tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="session")
def pods_of_runs(jobs_of_runs: dict[str, Manifest]) -> dict[str, PodTemplate]:
    return {name: pod_of(job) for name, job in jobs_of_runs.items()}
