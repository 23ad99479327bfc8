"""Two versions of the platform side by side: a campaign pinned to a commit, in a code location of that commit's image.

The commit is one of long ago (`tests/support/older_code.py`): its code runs under today's dagster.yaml and reads what today's
has published. One sentence of it differs here, so that it shows whose code ran.
"""

import compileall
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_assets.environment import REPOSITORY
from platform_assets.foundation.storage import files_at
from platform_assets.operations.pinned import PORT
from tests.cluster.conftest import AS_OF, Ran
from tests.cluster.deployed import LOCATION, NAMESPACE, STARTS_WITHIN, Deployed, until, variables, write_overlay
from tests.cluster.images import platform_image
from tests.support.older_code import COMMIT, older_tree

pytestmark = pytest.mark.slow

CAMPAIGN, PINNED = "lapsing", "pinned-lapsing"
IMAGE = f"audience-platform:{COMMIT}"
# Pods of test nodes share the machine's ports.
PORT_HERE = PORT + 1
# A sentence of the model card, as that commit has it and as its image has it here.
SENTENCE = ("everyone whom the population holds", "everyone there was at that commit")
# Kubernetes 1.20 knows neither gRPC probes nor policy/v1 (overlays/test).
PROBES = f"""
- {{op: remove, path: /spec/template/spec/containers/0/startupProbe}}
- {{op: remove, path: /spec/template/spec/containers/0/livenessProbe}}
- {{op: replace, path: /spec/template/spec/containers/0/readinessProbe, value: {{tcpSocket: {{port: {PORT_HERE}}}, periodSeconds: 2}}}}
"""
NO_BUDGET = "{$patch: delete, apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: any}}"


@pytest.fixture(scope="module")
def pinned(platform: Deployed, ran: Ran, campaigns: Path, cluster_folder: Path) -> Iterator[None]:
    """A campaign of few steps that is pinned, the image of its commit, and its code location beside the deployed one."""
    # Tests before these have promoted models that it may learn from: what the deployed version makes of them comes first.
    platform.succeeds(platform.launch_assets(["winback/training_set"]))
    platform.cluster.provide_image(IMAGE, image_of_commit(cluster_folder / "commit"))
    declared = yaml.safe_load((REPOSITORY / "defs" / "campaigns" / "winback" / "defs.yaml").read_text(encoding="utf-8"))
    del declared["attributes"]["population"]
    few = {"models": {"lightgbm": {}}, "folds": 2}
    declared["attributes"]["advanced"] = few | {"code": {"commit": COMMIT}}
    (campaigns / CAMPAIGN).mkdir()
    (campaigns / CAMPAIGN / "defs.yaml").write_text(yaml.safe_dump(declared))
    folder = cluster_folder / "pinned"
    write_pinned(folder, platform)
    try:
        deploy(platform, folder)
        platform.cluster.kubectl("rollout", "status", f"deployment/{PINNED}", "-n", NAMESPACE, "--timeout=180s")
        until("the web server has both code locations", lambda: serves(platform, LOCATION, PINNED), STARTS_WITHIN)
        yield
    finally:
        shutil.rmtree(campaigns / CAMPAIGN)
        for kind in ("deployment", "service"):
            platform.delete(kind, PINNED)
        deploy(platform, platform.overlay)


def image_of_commit(folder: Path) -> dict[str, Any]:
    """What `deploy/docker/Dockerfile` makes of the commit: its tree, its dbt project parsed, and its name in PLATFORM_COMMIT."""
    tree = older_tree(folder)
    carding = tree / "platform_assets" / "campaigns" / "carding.py"
    here, there = SENTENCE
    source = carding.read_text(encoding="utf-8")
    assert source.count(here) == 1
    carding.write_text(source.replace(here, there), encoding="utf-8")
    manifest = [sys.executable, "-c", "from platform_assets.cli import main; main(['manifest'])"]
    subprocess.run(manifest, cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, check=True, capture_output=True)
    assert compileall.compile_dir(tree / "platform_assets", quiet=1)
    image = platform_image(tree)
    return image | {"env": image["env"] | {"PLATFORM_COMMIT": COMMIT}}


def write_pinned(folder: Path, platform: Deployed) -> None:
    """The platform's overlay with the component that `platform-assets pinned` writes."""
    command = [str(Path(sys.executable).with_name("platform-assets")), "pinned", str(folder / "pinned")]
    here = os.environ | {"PLATFORM_CAMPAIGNS_DIR": str(platform.environment.campaigns)}
    subprocess.run([*command, "--image", "audience-platform"], env=here, check=True, capture_output=True)
    for file in (folder / "pinned").glob("pinned-*.yaml"):
        file.write_text(file.read_text(encoding="utf-8").replace(str(PORT), str(PORT_HERE)), encoding="utf-8")
    workspace = folder / "pinned" / "workspace.yaml"
    listed = yaml.safe_load(workspace.read_text(encoding="utf-8"))
    listed["load_from"][-1]["grpc_server"]["port"] = PORT_HERE
    workspace.write_text(yaml.safe_dump(listed), encoding="utf-8")
    patches = [
        {"target": {"kind": "Deployment", "name": PINNED}, "patch": PROBES},
        {"target": {"kind": "PodDisruptionBudget"}, "patch": NO_BUDGET},
    ]
    write_overlay(folder, platform.overlay, components=["pinned"], patches=patches)


def deploy(platform: Deployed, overlay: Path) -> None:
    """What docs/how-to/deploy-on-kubernetes.md says to type: web server and daemon read the list of code locations when they start."""
    platform.cluster.kubectl("apply", "-k", str(overlay))
    both = ("deployment/dagster-webserver", "deployment/dagster-daemon")
    platform.cluster.kubectl("rollout", "restart", *both, "-n", NAMESPACE)
    for one in both:
        platform.cluster.kubectl("rollout", "status", one, "-n", NAMESPACE, f"--timeout={STARTS_WITHIN:g}s")


def serves(platform: Deployed, *locations: str) -> bool:
    return all(platform.serves(location) for location in locations)


def test_a_pinned_campaign_is_trained_and_scored_by_its_commits_code(platform: Deployed, pinned: None) -> None:
    train = platform.launch(f"train_{CAMPAIGN}", location=PINNED)
    platform.succeeds(train)
    score = platform.launch("score_customer", partition=AS_OF, location=PINNED)
    platform.succeeds(score)
    for run in (train, score):
        for component in ("run_worker", "step_worker"):
            pods = platform.pods(run, component)
            assert {pod.spec.containers[0].image for pod in pods} == {IMAGE}, component
            assert {variables(pod)["PLATFORM_SCOPE"] for pod in pods} == {f"only:{CAMPAIGN}"}, component
    file = files_at(platform.environment.audiences).read(f"{CAMPAIGN}/model_cards/{AS_OF}.json")
    assert file is not None
    card = json.loads(file.content)
    assert card["lineage"]["Commit"] == COMMIT
    assert card["population"] == SENTENCE[1]
    assert files_at(platform.environment.audiences).read(f"{CAMPAIGN}/{AS_OF}/audience.csv") is not None
    until("nothing is left over", lambda: not platform.left_over(), 90)


def test_the_deployed_version_finds_what_it_made_and_runs_its_own_code(platform: Deployed, pinned: None) -> None:
    run = platform.launch_assets(["winback/training_set", "winback/ensemble"])
    platform.succeeds(run)
    assert platform.computed(run) == []
    assert {pod.spec.containers[0].image for pod in platform.pods(run)} == {"audience-platform:test"}
