"""What tests of the manifests share: the pods that runs make on GKE, built once."""

import pytest

from tests.deploy.manifests import Manifest, PodTemplate
from tests.deploy.test_kubernetes_instance import PROFILES, run_job, step_job


@pytest.fixture(scope="session")
def jobs_of_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Manifest, PodTemplate]]:
    """The Job and pod of a run on the gke overlay under "run", and of a step under each profile's name."""
    folder = tmp_path_factory.mktemp("jobs")
    steps = {profile: step_job("gke", profile, folder) for profile in PROFILES}
    return {"run": run_job("gke", folder), **steps}


@pytest.fixture(scope="session")
def pods_of_runs(jobs_of_runs: dict[str, tuple[Manifest, PodTemplate]]) -> dict[str, PodTemplate]:
    return {name: pod for name, (_, pod) in jobs_of_runs.items()}
