"""What runs on GKE goes by its digest: whoever may push to the registry does not change what runs."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import KUBERNETES, Manifest, PodTemplate, of_kind, overlay, pod_templates
from tests.deploy.test_kubernetes_instance import PROFILES

pytestmark = pytest.mark.programs("kubectl")

DIGEST = re.compile(r"@sha256:([0-9a-f]{64}|REPLACE-[a-z-]*digest)$")
# A registry's host, a path, and whatever says which one of that name.
REFERENCE = re.compile(r"([a-z0-9-]+\.)+[a-z]{2,}(:[0-9]+)?/[^\s:@]+[:@]\S+", re.IGNORECASE)
IMAGE_KEY = re.compile(r"(^|_)image$", re.IGNORECASE)
# The variable that names, in JSON, the images of steps that take another.
VARIANTS = "DAGSTER_CONTAINER_CONTEXT"
# What Jobs may run by any tag or digest: names alone.
NAMES = "admitted-jobs"
NO_REFERENCE = re.compile(r"://|^[^/]*(kubernetes\.io|googleapis\.com|google\.com|gserviceaccount\.com)")


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in an object with the key that it is under; of a variable, its name; of a file in a config map, its own."""
    if isinstance(value, dict):
        if {"name", "value"} <= value.keys():
            text = value["value"]
            yield from leaves(json.loads(text) if value["name"] == VARIANTS else text, value["name"])
        for below, content in value.items():
            inner = content
            if below.endswith((".yaml", ".yml")) and isinstance(content, str):
                inner = yaml.safe_load(content)
            yield from leaves(inner, below)
    elif isinstance(value, list):
        for content in value:
            yield from leaves(content, key)
    elif isinstance(value, str):
        yield key, value


def images(objects: list[Manifest]) -> set[str]:
    """What any field, variable or configuration of these objects names as an image."""
    return {
        text
        for item in objects
        if item["metadata"]["name"] != NAMES
        for key, text in leaves(item)
        if IMAGE_KEY.search(key) or (REFERENCE.fullmatch(text) and not NO_REFERENCE.search(text))
    }


def by_tag(objects: list[Manifest]) -> set[str]:
    return {image for image in images(objects) if not DIGEST.search(image)}


def changed(place: list[Any], value: str) -> list[Manifest]:
    """The gke overlay with another text at a path of kind, name, keys."""
    objects = copy.deepcopy(overlay("gke"))
    kind, name, *path = place
    target: Any = of_kind(objects, kind)[name]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return objects


def test_no_image_of_the_gke_overlay_goes_by_a_tag() -> None:
    assert by_tag(overlay("gke")) == set()
    used = {container["image"] for pod in pod_templates(overlay("gke")) for container in pod.containers}
    assert used <= images(overlay("gke"))
    assert len(used) == 2, "PostgreSQL's and the platform's"


CONTAINER = ["spec", "template", "spec", "containers", 0]
OURS = "europe-docker.pkg.dev/p/audience-platform/audience-platform:" + "0" * 40


@pytest.mark.parametrize(
    "place",
    [
        ["Deployment", "tensorboard", *CONTAINER, "image"],
        ["StatefulSet", "postgres", *CONTAINER, "image"],
        ["Deployment", "janitor", "spec", "template", "spec", "initContainers"],
        ["Deployment", "code-platform", *CONTAINER, "env"],
        ["Deployment", "code-platform", *CONTAINER, "env", 0],
        ["ConfigMap", "dagster-instance", "data", "dagster.yaml"],
    ],
    ids=["TensorBoard", "PostgreSQL", "init container", "of runs", "of a variant", "dagster.yaml"],
)
def test_a_tag_would_be_found_wherever_it_is(place: list[Any]) -> None:
    values: dict[str | int, Any] = {
        0: {"name": VARIANTS, "value": json.dumps({"images": {"cuda": OURS}})},
        "initContainers": [{"name": "first", "image": OURS}],
        "env": [{"name": "DAGSTER_CURRENT_IMAGE", "value": OURS}],
        "dagster.yaml": f"run_launcher: {{config: {{job_image: '{OURS}'}}}}",
    }
    assert by_tag(changed(place, values.get(place[-1], OURS))) == {OURS}


def test_one_line_says_which_image_every_process_of_the_platform_runs(pods_of_runs: dict[str, PodTemplate]) -> None:
    """And another, which image steps run that hold a GPU; dagster.yaml names none."""
    file = yaml.safe_load((KUBERNETES / "overlays" / "gke" / "kustomization.yaml").read_text())
    [entry] = file["images"]
    assert entry.keys() == {"name", "newName", "digest"}
    ours = f"{entry['newName']}@{entry['digest']}"
    of_cuda = f"{entry['newName']}-cuda@sha256:REPLACE-cuda-digest"
    assert {image for image in images(overlay("gke")) if "REPLACE" in image} == {ours, of_cuda}
    services = [pod for pod in pod_templates(overlay("gke")) if pod.owner != "StatefulSet/postgres"]
    assert all(container["image"] == ours for pod in services for container in pod.containers)
    with_gpu = {name for name, profile in PROFILES.items() if profile.gpus}
    assert with_gpu
    for name, pod in pods_of_runs.items():
        assert [container["image"] for container in pod.containers] == [of_cuda if name in with_gpu else ours]
    instance = of_kind(overlay("gke"), "ConfigMap")["dagster-instance"]
    assert not [key for key, _ in leaves(instance) if IMAGE_KEY.search(key)]
