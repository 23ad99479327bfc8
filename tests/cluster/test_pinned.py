"""A campaign pinned to a commit: a code location of that commit's image, and pods of it, beside the platform's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from platform_assets.environment import REPOSITORY
from platform_assets.operations.pinned import PORT, location_name, write_component
from tests.cluster.deployed import NAMESPACE, Deployed, until
from tests.cluster.images import platform_image
from tests.platform.declared import GOOD

pytestmark = pytest.mark.slow

CAMPAIGN, COMMIT = "kept", "ab" * 20
NAME = location_name(CAMPAIGN)
ADVANCED = f"  advanced: {{folds: 2, models: {{logistic: {{}}}}, code: {{commit: {COMMIT}}}}}\n"
OTHER_PORT = PORT + 1
# What Kubernetes 1.20 lacks, as in the overlay `test`.
GONE = {"$patch": "delete", "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "any"}}
ASKED = {"tcpSocket": {"port": OTHER_PORT}, "periodSeconds": 2, "failureThreshold": 120}
PROBES = [
    {"op": "replace", "path": f"/spec/template/spec/containers/0/{probe}Probe", "value": ASKED}
    for probe in ("startup", "readiness", "liveness")
]


@pytest.fixture
def pinned(platform: Deployed, campaigns: Path, cluster_folder: Path) -> Iterator[Deployed]:
    """The platform with one more campaign, pinned to a commit whose image the registry has."""
    if not platform.cluster.own:
        pytest.skip("makes an image of this checkout: only on the test cluster, and --kubeconfig names another")
    tree = cluster_folder / COMMIT
    for part in ("platform_assets", "dbt_project"):
        shutil.copytree(REPOSITORY / part, tree / part, ignore=shutil.ignore_patterns("logs"))
    image = platform_image(tree)
    platform.cluster.provide_image(
        f"audience-platform:{COMMIT}", image | {"env": image["env"] | {"PLATFORM_COMMIT": COMMIT}}
    )
    (campaigns / CAMPAIGN).mkdir()
    (campaigns / CAMPAIGN / "defs.yaml").write_text(GOOD + ADVANCED)
    folder = cluster_folder / "with_pinned"
    write_component(folder / "pinned", {CAMPAIGN: COMMIT}, "audience-platform")
    _listen_elsewhere(folder / "pinned")
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": ["../deployed/overlay"],
        "components": ["pinned"],
        "patches": [_patch("PodDisruptionBudget", [GONE]), _patch("Deployment", PROBES, NAME)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    cluster = platform.cluster
    cluster.kubectl("apply", "-k", str(folder))
    cluster.kubectl("rollout", "restart", "deployment/dagster-webserver", "deployment/dagster-daemon", "-n", NAMESPACE)
    for name in (NAME, "dagster-webserver", "dagster-daemon"):
        cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", NAMESPACE, "--timeout=180s")
    yield platform
    cluster.kubectl("delete", "deployment,service", NAME, "-n", NAMESPACE)
    shutil.rmtree(campaigns / CAMPAIGN)


def test_a_pinned_campaign_is_answered_by_its_commits_image_alone(pinned: Deployed) -> None:
    until("the web server shows the code location", lambda: pinned.serves(NAME), 120)
    with pytest.raises(AssertionError, match=f"train_{CAMPAIGN}"):
        pinned.launch(f"train_{CAMPAIGN}")
    run = pinned.launch(f"train_{CAMPAIGN}", location=NAME)
    pinned.succeeds(run)
    images = {pod.spec.containers[0].image for kind in ("run_worker", "step_worker") for pod in pinned.pods(run, kind)}
    assert images == {f"audience-platform:{COMMIT}"}


def _listen_elsewhere(component: Path) -> None:
    """Pods of one test node listen on the machine's own ports, and the platform's code location has the usual one."""
    manifest, workspace = component / f"{NAME}.yaml", component / "workspace.yaml"
    manifest.write_text(manifest.read_text().replace(str(PORT), str(OTHER_PORT)))
    listed = yaml.safe_load(workspace.read_text())
    listed["load_from"][-1]["grpc_server"]["port"] = OTHER_PORT
    workspace.write_text(yaml.safe_dump(listed))


def _patch(kind: str, operations: list[dict[str, object]], name: str = ".*") -> dict[str, object]:
    patch = operations[0] if operations == [GONE] else operations
    return {"target": {"kind": kind, "name": name}, "patch": yaml.safe_dump(patch)}
