"""Resource profiles: what a pod may ask of the cluster, read from one file and rendered as Dagster's tags.

Belongs here: the file's form, turning a profile, or a way out of the cluster, into the tags that a pod is made from, and its
image's name. Tags go on ops:
job-level settings do not reach step pods (dagster-io/dagster#22865), and runs that are not launched from a job have none.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from platform_assets.foundation.documents.reading import DeclarationError, read_document
from platform_assets.foundation.documents.sentences import Spelled

K8S_TAG = "dagster-k8s/config"
PROFILE_TAG = "platform/profile"
SPOT_TAG = "platform/spot"
IMAGE_VARIANT_TAG = "platform/image_variant"
START_LIMIT_TAG = "platform/start-limit-seconds"
# A node pool that grows takes minutes, a machine with a GPU more of them, and the image comes after that.
START_LIMIT_SECONDS = 1800
# Tells, in a run's log, a step that exceeded it from one whose pod was lost.
NEVER_STARTED = "did not start"
POOL_LABEL = "platform-assets/pool"
SPOT_LABEL = "platform-assets/spot"
EGRESS_LABEL = "platform-assets/egress"
# The Secret with the keys of services, each under the name of the variable that a source names for it.
KEYS_SECRET = "service-keys"  # noqa: S105
GPU = "nvidia.com/gpu"
# Google's own taint on spot nodes, where a cluster's node pools bear it.
SPOT_TAINTS = (SPOT_LABEL, "cloud.google.com/gke-spot")

Quantity = Annotated[
    str, Spelled(r"^[0-9]+(\.[0-9]+)?(m|[KMGT]i)?$", "is not a Kubernetes quantity such as 500m, 2 or 8Gi")
]
Label = Annotated[
    str,
    Spelled(
        r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "is not lower-case letters, digits and - alone, such as gpu-large"
    ),
]


class ProfileError(ValueError):
    """The profiles file cannot be honoured; names the file, the key and what it takes."""


class Profile(BaseModel):
    """What one pod of a step asks for: requested and limited alike, so that no neighbour can take it away.

    Attributes:
        cpu, memory, disk: Kubernetes quantities; disk is ephemeral storage.
        gpus: whole GPUs.
        pool: value of the label `platform-assets/pool` of the nodes it runs on.
        priority_class: Kubernetes priority class of its pods.
        without_gpu: which profile steps take that have no use for this one's GPUs.
        image: which variant of the platform's image its pods run (`image_variant`); None: the image itself.
        safe_to_evict: whether a cluster autoscaler may end its pod to empty a node.
        start_limit_seconds: how long its pod may wait for a node and its image before the step fails.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu: Quantity
    memory: Quantity
    disk: Quantity
    pool: Label
    priority_class: Label
    gpus: int = Field(0, ge=0, le=16)
    without_gpu: str | None = None
    image: Label | None = None
    safe_to_evict: bool = False
    start_limit_seconds: int = Field(START_LIMIT_SECONDS, gt=0)

    def tags(self, name: str, spot: bool, labels: Mapping[str, str]) -> dict[str, str]:
        """The tags of an op whose pod has this profile, called `name`.

        Args:
            spot: whether the pod may run on machines that can be taken away; it then prefers them.
            labels: more labels of the pod.
        """
        return {
            PROFILE_TAG: name,
            SPOT_TAG: str(spot).lower(),
            START_LIMIT_TAG: str(self.start_limit_seconds),
            K8S_TAG: json.dumps(self._pod(name, spot, labels), sort_keys=True),
        } | ({IMAGE_VARIANT_TAG: self.image} if self.image else {})

    def _pod(self, name: str, spot: bool, labels: Mapping[str, str]) -> dict[str, Any]:
        amounts = {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.disk}
        amounts |= {GPU: str(self.gpus)} if self.gpus else {}
        tolerated = [*([GPU] if self.gpus else []), *(SPOT_TAINTS if spot else ())]
        return {
            "container_config": {"resources": {"requests": amounts, "limits": amounts}},
            "pod_template_spec_metadata": {
                "labels": {"platform-assets/profile": name, **labels},
                "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": str(self.safe_to_evict).lower()},
            },
            "pod_spec_config": {
                "node_selector": {POOL_LABEL: self.pool},
                "priority_class_name": self.priority_class,
                "tolerations": [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in tolerated],
                "affinity": {"node_affinity": _prefer_spot() if spot else _avoid_spot()},
            },
        }


Profiles = Mapping[str, Profile]


def way_out(service: str, *variables: str) -> dict[str, str]:
    """The tags of an op whose pod calls a service outside the cluster, and of no other pod.

    Args:
        service: by which network policies know the pod.
        variables: of its environment, which the Secret holds. Where it does not, the pod starts without, and the step says so.
    """
    pod: dict[str, Any] = {"pod_template_spec_metadata": {"labels": {EGRESS_LABEL: service}}}
    if variables:
        held = [(name, {"name": KEYS_SECRET, "key": name, "optional": True}) for name in variables]
        env = [{"name": name, "value_from": {"secret_key_ref": reference}} for name, reference in held]
        pod["container_config"] = {"env": env}
    return {K8S_TAG: json.dumps(pod, sort_keys=True)}


def image_variant(image: str, variant: str, named: Mapping[str, str]) -> str:
    """The image that is built of the same commit as `image` and otherwise.

    Args:
        image: the run's own.
        variant: as `cuda`.
        named: the variants that the run's code location names, which go before `<name>-<variant>:<commit>`.

    Raises:
        ProfileError: it is not named, and the image has no tag, from which it would follow.
    """
    if variant in named:
        return named[variant]
    name, _, tag = image.partition("@")[0].rpartition(":")
    if not name or "/" in tag:
        raise ProfileError(
            f"the image {image} has no tag, so nothing tells which image of variant {variant} is of the same commit: name it in "
            f'DAGSTER_CONTAINER_CONTEXT of the code location, as {{"images": {{"{variant}": "…"}}}}'
        )
    return f"{name}-{variant}:{tag}"


def read_profiles(path: Path) -> dict[str, Profile]:
    """The profiles a file declares, by name.

    Raises:
        ProfileError: the file is not there or holds something that no profile can be made of.
    """
    try:
        document = read_document(path)
        if not isinstance(document.value, dict) or not document.value:
            raise DeclarationError(
                f"{path}: holds no resource profiles; it takes <name>: {{cpu, memory, disk, pool, …}}"
            )
        profiles: dict[str, Profile] = {
            name: document.as_model(Profile, value, (name,)) for name, value in document.value.items()
        }
    except DeclarationError as error:
        raise ProfileError(str(error)) from error
    for name, profile in profiles.items():
        substitute = profile.without_gpu
        if substitute is not None and (substitute not in profiles or profiles[substitute].gpus):
            raise ProfileError(f"{path}: {name}.without_gpu: {substitute} is not a profile without GPUs of this file")
        if profile.gpus and substitute is None:
            raise ProfileError(f"{path}: {name}.without_gpu: is missing; name the profile of steps that need no GPU")
    return profiles


def _prefer_spot() -> dict[str, Any]:
    spot = {"key": SPOT_LABEL, "operator": "In", "values": ["true"]}
    preference = {"weight": 100, "preference": {"match_expressions": [spot]}}
    return {"preferred_during_scheduling_ignored_during_execution": [preference]}


def _avoid_spot() -> dict[str, Any]:
    stays = {"key": SPOT_LABEL, "operator": "NotIn", "values": ["true"]}
    required = {"node_selector_terms": [{"match_expressions": [stays]}]}
    return {"required_during_scheduling_ignored_during_execution": required}
