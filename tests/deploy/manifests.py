"""The manifests as Kubernetes gets them: overlays rendered by `kubectl kustomize`, and the pods that are in them.

Belongs here: rendering and taking apart. Does not belong here: any judgement (`pod_security.py`, the tests).
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from platform_assets.environment import REPOSITORY

KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
NAMESPACE = "audience-platform"
OVERLAYS = ("test", "kind", "gke")
Manifest = dict[str, Any]


@dataclass(frozen=True)
class PodTemplate:
    """What pods of one owner are made from: its labels, annotations and specification, as the API writes them."""

    owner: str
    metadata: Manifest
    spec: Manifest

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.get("labels") or {}

    @property
    def containers(self) -> list[Manifest]:
        return [
            container
            for kind in ("containers", "initContainers", "ephemeralContainers")
            for container in self.spec.get(kind) or []
        ]


def kustomize(folder: Path, **kustomization: Any) -> list[Manifest]:
    """The objects that a folder's kustomization renders, which is written first if it is given.

    Raises AssertionError with what kubectl says against it.
    """
    if kustomization:
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    rendered = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    assert rendered.returncode == 0, f"{folder}: {rendered.stderr}"
    return [item for item in yaml.safe_load_all(rendered.stdout) if item]


@cache
def overlay(name: str) -> list[Manifest]:
    """The objects of deploy/kubernetes/overlays/<name>; not to be changed."""
    return kustomize(KUBERNETES / "overlays" / name)


def of_kind(objects: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Objects of one kind, by name."""
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def pod_templates(objects: list[Manifest]) -> Iterator[PodTemplate]:
    """What every workload among the objects makes its pods from."""
    for item in objects:
        template = item.get("spec", {}).get("template", {})
        if item["kind"] == "CronJob":
            template = item["spec"]["jobTemplate"]["spec"]["template"]
        if "containers" in template.get("spec", {}):
            yield PodTemplate(
                f"{item['kind']}/{item['metadata']['name']}", template.get("metadata") or {}, template["spec"]
            )
        elif item["kind"] == "Pod":
            yield PodTemplate(f"Pod/{item['metadata']['name']}", item["metadata"], item["spec"])


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector, as NetworkPolicies and budgets have them, admits these labels."""
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        {
            "In": lambda found, wanted: found in wanted,
            "NotIn": lambda found, wanted: found not in wanted,
            "Exists": lambda found, _: found is not None,
            "DoesNotExist": lambda found, _: found is None,
        }[rule["operator"]](labels.get(rule["key"]), rule.get("values"))
        for rule in selector.get("matchExpressions") or []
    )
