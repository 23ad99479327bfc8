"""Pods run the image that their profile names: the one with CUDA where there is a GPU, the small one everywhere else.

The API server here takes the Jobs and says that they are gone; what it was sent is what counts.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster import reconstructable
from dagster._core.execution.api import execute_run_iterator

from platform_assets.environment import PACKAGE
from platform_assets.foundation.execution import pods
from platform_assets.foundation.execution.executor import kubernetes_executor
from platform_assets.foundation.execution.profiles import ProfileError, image_variant, read_profiles
from tests.deploy.manifests import of_kind, overlay
from tests.support.answering import Reply, Request, answering, json_reply

COMMIT = "ab" * 20
REPOSITORY = "europe-docker.pkg.dev/p/r/audience-platform"
IMAGE = f"{REPOSITORY}:{COMMIT}"
PROFILES = read_profiles(PACKAGE / "foundation" / "execution" / "profiles.yaml")


@dg.op(tags=PROFILES["cpu"].tags("cpu", True, {}))
def cpu() -> None: ...


@dg.op(tags=PROFILES["gpu"].tags("gpu", True, {}))
def gpu() -> None: ...


@dg.job(executor_def=kubernetes_executor("all", COMMIT))
def both() -> None:
    cpu()
    gpu()


@dataclass
class ApiServer:
    """Takes Jobs, and has none of them when asked."""

    containers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def reply(self, request: Request) -> Reply:
        if request.command != "POST":
            return json_reply(404, {"kind": "Status", "code": 404})
        pod = json.loads(request.body)["spec"]["template"]
        [self.containers[pod["metadata"]["labels"]["dagster/op"]]] = pod["spec"]["containers"]
        return json_reply(201, json.loads(request.body))

    def images(self) -> dict[str, str]:
        return {step: container["image"] for step, container in self.containers.items()}

    def commits(self) -> dict[str, str | None]:
        """What each step's pod is told of the run's commit."""
        variables = {
            step: {one["name"]: one.get("value") for one in container["env"]}
            for step, container in self.containers.items()
        }
        return {step: own.get("PLATFORM_RUN_COMMIT") for step, own in variables.items()}


def config_of(url: str) -> dict[str, Any]:
    context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
    clusters, users = [{"name": "here", "cluster": {"server": url}}], [{"name": "me", "user": {}}]
    return {"clusters": clusters, "users": users, "contexts": [context], "current-context": "here"}


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ApiServer]:
    """Runs both steps, as a code location with that image and that context has them; what the API server was sent."""
    monkeypatch.setattr(pods, "HEALTH_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(pods, "LOST_PODS_FORGIVEN", 0)
    monkeypatch.setenv("DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS", "0.01")
    settings = {
        "service_account_name": "platform-run",
        "instance_config_map": "instance",
        "load_incluster_config": False,
        "kubeconfig_file": str(tmp_path / "kubeconfig"),
        "job_namespace": "platform",
    }
    launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": settings}

    def launched(image: str, context: dict[str, Any] | None = None) -> ApiServer:
        server = ApiServer()
        job = reconstructable(both)
        recon = job._replace(repository=job.repository._replace(container_image=image, container_context=context))
        with answering(server.reply) as url:
            (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config_of(url)))
            with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"run_launcher": launcher}) as instance:
                run = instance.create_run_for_job(both, job_code_origin=recon.get_python_origin())
                list(execute_run_iterator(recon, run, instance))
        return server

    return launched


def test_steps_with_a_gpu_run_the_cuda_image_of_the_run_s_commit_and_all_others_the_small_one(
    launch: Callable[..., ApiServer],
) -> None:
    server = launch(IMAGE)
    assert server.images() == {"cpu": IMAGE, "gpu": f"{REPOSITORY}-cuda:{COMMIT}"}
    assert server.commits() == {"cpu": None, "gpu": COMMIT}


def test_a_code_location_whose_image_goes_by_its_digest_names_the_cuda_image_by_its_own(
    launch: Callable[..., ApiServer],
) -> None:
    small, cuda = f"{REPOSITORY}@sha256:{'0' * 64}", f"{REPOSITORY}-cuda@sha256:{'1' * 64}"
    assert launch(small, {"images": {"cuda": cuda}}).images() == {"cpu": small, "gpu": cuda}


@pytest.mark.programs("kubectl")
def test_on_gke_the_deployed_code_location_names_the_cuda_image_by_its_digest() -> None:
    [container] = of_kind(overlay("gke"), "Deployment")["code-platform"]["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    [(variant, image)] = json.loads(env["DAGSTER_CONTAINER_CONTEXT"])["images"].items()
    assert {profile.image for profile in PROFILES.values() if profile.image} == {variant}
    assert re.fullmatch(r".*/audience-platform-cuda@sha256:REPLACE-cuda-digest", image)


def test_every_profile_with_a_gpu_names_the_cuda_image_and_no_other_does() -> None:
    assert {name: profile.image for name, profile in PROFILES.items()} == {
        name: "cuda" if profile.gpus else None for name, profile in PROFILES.items()
    }


@pytest.mark.parametrize(
    ("image", "variant"),
    [
        ("audience-platform:test", "audience-platform-cuda:test"),
        ("localhost:5000/p/audience-platform:1", "localhost:5000/p/audience-platform-cuda:1"),
        (f"r/audience-platform:1@sha256:{'0' * 64}", "r/audience-platform-cuda:1"),
    ],
)
def test_a_variant_is_the_image_beside_with_the_same_tag(image: str, variant: str) -> None:
    assert image_variant(image, "cuda", {}) == variant
    assert image_variant(image, "cuda", {"cuda": "other"}) == "other"


@pytest.mark.parametrize("image", ["audience-platform", "localhost:5000/audience-platform", f"r/a@sha256:{'0' * 64}"])
def test_an_image_without_a_tag_has_no_variant(image: str) -> None:
    with pytest.raises(ProfileError, match="has no tag, so nothing tells which image of variant cuda"):
        image_variant(image, "cuda", {})
