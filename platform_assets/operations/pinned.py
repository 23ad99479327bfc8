"""Code locations of campaigns that are pinned to a commit: each from that commit's image, defining that campaign alone.

Belongs here: which campaigns are pinned, and the Kustomize component that serves them, made from the template in
`deploy/kubernetes/pinned`. The main code location does not define them (`components/loading.py`).
"""

import hashlib
import json
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


class NoDigestError(ValueError):
    """Images go by their digests, and that of a pinned campaign's commit was not given; names both."""


def write_component(
    folder: Path, commits: Mapping[str, str], image: str, digests: Mapping[str, str] | None = None
) -> list[Path]:
    """A Kustomize component in `folder` with a code location for each pinned campaign, and the workspace that lists them.

    Files of campaigns that are pinned no longer are removed.

    Args:
        commits: commit by campaign.
        image: the platform's image without tag or digest.
        digests: `sha256:…` of the image of each commit, and of its image with CUDA by `<commit>-cuda`; without any, the commit is
            the images' tag.

    Raises:
        FileNotFoundError: the manifests are not here; this runs in a checkout of the repository.
        NoDigestError: there are digests, but none of a commit; nothing was written.
    """
    if not TEMPLATE.is_file():
        raise FileNotFoundError(
            f"{TEMPLATE}: the manifests do not come with the installed platform. Run this in a checkout of its repository, with "
            "PLATFORM_PROJECT_DIR naming your project"
        )
    images = {campaign: _image(image, campaign, commit, digests or {}) for campaign, commit in commits.items()}
    variants = {campaign: _variants(image, commit, digests or {}) for campaign, commit in commits.items()}
    template = list(yaml.safe_load_all(TEMPLATE.read_text(encoding="utf-8")))
    workspace = yaml.safe_load(WORKSPACE.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, str] = {}
    for campaign in commits:
        name = location_name(campaign)
        location = {"host": name, "port": PORT, "location_name": name}
        workspace["load_from"].append({"grpc_server": location})
        texts_of_template = {
            TEMPLATE_NAME: name,
            IMAGE: images[campaign],
            TEMPLATE_SCOPE: f"only:{campaign}",
            TEMPLATE_CONTEXT: json.dumps({"images": variants[campaign]}),
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


def _image(image: str, campaign: str, commit: str, digests: Mapping[str, str]) -> str:
    if not digests:
        return f"{image}:{commit}"
    if commit not in digests:
        raise NoDigestError(
            f"{campaign} is pinned to {commit}, of whose image no digest was given: add --digest {commit}=sha256:…, "
            f"as `gcloud artifacts docker images describe {image}:{commit} --format 'value(image_summary.digest)'` says it"
        )
    return f"{image}@{digests[commit]}"


def _variants(image: str, commit: str, digests: Mapping[str, str]) -> dict[str, str]:
    """The image with CUDA, by its digest if images go by theirs; a cluster without GPUs gives none and needs none."""
    if not digests:
        return {"cuda": f"{image}{CUDA}:{commit}"}
    digest = digests.get(f"{commit}{CUDA}")
    return {"cuda": f"{image}{CUDA}@{digest}"} if digest else {}


def _filled(part: Any, texts: Mapping[str, str]) -> Any:
    """A part of the template with its name, images and scope in place of the template's own."""
    if isinstance(part, dict):
        return {key: _filled(value, texts) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, texts) for value in part]
    return texts.get(part, part) if isinstance(part, str) else part
