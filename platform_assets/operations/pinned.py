"""Code locations of campaigns that are pinned to a commit: each from that commit's image, defining that campaign alone.

Belongs here: which campaigns are pinned, and the Kustomize component that serves them, made from the template in
`deploy/kubernetes/pinned`. The main code location does not define them (`components/loading.py`).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.environment import REPOSITORY

MANIFESTS = REPOSITORY / "deploy" / "kubernetes"
TEMPLATE = MANIFESTS / "pinned" / "code-location.yaml"
WORKSPACE = MANIFESTS / "base" / "workspace.yaml"
TEMPLATE_NAME = "code-pinned"
TEMPLATE_SCOPE = "only:REPLACE-campaign"
IMAGE, CUDA = "audience-platform", "-cuda"
# The images of which steps take another one, by variant (`image` of a resource profile).
TEMPLATE_CONTEXT = f'{{"images": {{"cuda": "{IMAGE}{CUDA}"}}}}'
PORT = 4266
LONGEST_NAME = 52


def pinned_commits(campaigns: Mapping[str, CampaignSpec]) -> dict[str, str]:
    """The commit of each pinned campaign, by name."""
    return {name: spec.advanced.code.commit for name, spec in sorted(campaigns.items()) if spec.advanced.code}


def write_component(folder: Path, commits: Mapping[str, str], image: str) -> list[Path]:
    """A Kustomize component in `folder` with a code location for each pinned campaign, and the workspace that lists them.

    Files of campaigns that are pinned no longer are removed.

    Args:
        commits: commit by campaign.
        image: the platform's image without its tag; the commit is the tag.

    Raises:
        FileNotFoundError: the manifests are not here; this runs in a checkout of the repository.
    """
    template = list(yaml.safe_load_all(TEMPLATE.read_text(encoding="utf-8")))
    workspace = yaml.safe_load(WORKSPACE.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, str] = {}
    for campaign, commit in commits.items():
        name = location_name(campaign)
        location = {"host": name, "port": PORT, "location_name": name}
        workspace["load_from"].append({"grpc_server": location})
        texts_of_template = {
            TEMPLATE_NAME: name,
            IMAGE: f"{image}:{commit}",
            TEMPLATE_SCOPE: f"only:{campaign}",
            TEMPLATE_CONTEXT: TEMPLATE_CONTEXT.replace(IMAGE, image).replace(CUDA, f"{CUDA}:{commit}"),
        }
        objects = [_filled(part, texts_of_template) for part in template]
        texts[f"{name}.yaml"] = yaml.safe_dump_all(objects, sort_keys=False)
    component: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": sorted(texts),
        "configMapGenerator": [{"name": "dagster-instance", "behavior": "merge", "files": ["workspace.yaml"]}],
        "generatorOptions": {"disableNameSuffixHash": True},
    }
    texts["workspace.yaml"] = yaml.safe_dump(workspace, sort_keys=False)
    texts["kustomization.yaml"] = yaml.safe_dump(component, sort_keys=False)
    for gone in set(folder.glob("pinned-*.yaml")) - {folder / name for name in texts}:
        gone.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in sorted(texts)]


def location_name(campaign: str) -> str:
    """The name of a pinned campaign's code location, its Deployment and its Service: a DNS label."""
    name = f"pinned-{campaign.replace('_', '-')}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{hashlib.sha256(campaign.encode()).hexdigest()[:8]}"


def _filled(part: Any, texts: Mapping[str, str]) -> Any:
    """A part of the template with its name, images and scope in place of the template's own."""
    if isinstance(part, dict):
        return {key: _filled(value, texts) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, texts) for value in part]
    return texts.get(part, part) if isinstance(part, str) else part
