"""Pods that do not start: what Kubernetes says of them, and what becomes of a campaign whose GPU never comes.

The pool of the GPU has no on-demand nodes here, as the how-to makes it.
"""

import json
from functools import partial
from typing import Any

import pytest
from dagster_k8s.models import k8s_model_from_dict
from kubernetes.client import V1PodSpec

from platform_assets.foundation.execution.pod_status import Waiting, newest_complaint, why_waiting
from platform_assets.foundation.execution.profiles import K8S_TAG, read_profiles
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import DECLARED_PROFILES, START_LIMIT_SECONDS, Ran
from tests.cluster.deployed import Deployed, until
from tests.cluster.manifests import GPU, job
from tests.cluster.nodes import Node

pytestmark = pytest.mark.slow


def profiled(cluster: Cluster, name: str, spot: bool, **container: Any) -> dict[str, Any]:
    """A Job whose pod asks for the nodes of the profile `gpu`, and for its GPU."""
    tags = read_profiles(DECLARED_PROFILES)["gpu"].tags("gpu", spot, {})
    asked = {key: value for key, value in json.loads(tags[K8S_TAG])["pod_spec_config"].items() if "priority" not in key}
    spec = cluster.api.sanitize_for_serialization(k8s_model_from_dict(V1PodSpec, {"containers": [], **asked}))
    del spec["containers"]
    return job(name, "true", **spec, container={"resources": {"limits": {GPU: "1"}}} | container)


def test_why_a_pod_does_not_start_is_told_in_the_words_of_kubernetes(
    cluster: Cluster, nodes: dict[str, Node], namespace: str
) -> None:
    nowhere = {"image": "nobody.invalid/knows:1"}
    cluster.apply(
        profiled(cluster, "on-demand", spot=False),
        profiled(cluster, "unpushed", spot=True, **nowhere),
        namespace=namespace,
    )

    def why(name: str) -> Waiting | None:
        return why_waiting(cluster.core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items)

    def is_told(name: str, words: str) -> bool:
        waiting = why(name)
        return waiting is not None and waiting.why.startswith(words)

    cluster.wait_for(
        "no node", partial(is_told, "on-demand", "no node takes it (Unschedulable: 0/4 nodes are available")
    )
    cluster.wait_for("no image", partial(is_told, "unpushed", "its image cannot be had ("))
    cluster.kubectl("delete", "job", "unpushed", "-n", namespace, "--cascade=foreground")
    assert cluster.core.list_namespaced_pod(namespace, label_selector="job-name=unpushed").items == []
    hard = {"requests." + GPU: "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}, "spec": {"hard": hard}}
    cluster.apply(quota, namespace=namespace)
    cluster.wait_for(
        "the quota is known", lambda: cluster.core.read_namespaced_resource_quota("gpus", namespace).status.hard
    )
    cluster.apply(profiled(cluster, "over-quota", spot=True), namespace=namespace)

    def complaint() -> str:
        events = cluster.core.list_namespaced_event(namespace, field_selector="involvedObject.name=over-quota")
        return newest_complaint(events.items) or ""

    cluster.wait_for("Kubernetes refuses a pod", complaint)
    assert complaint().startswith("FailedCreate: ")
    assert "exceeded quota: gpus" in complaint()
    assert why("over-quota") == Waiting("Kubernetes has made no pod for it")


def test_a_gpu_step_that_never_starts_gives_its_slot_back_and_the_next_campaign_trains(
    platform: Deployed, ran: Ran, nodes: dict[str, Node]
) -> None:
    platform.cluster.kubectl("cordon", "gpu-spot-1")
    stuck = platform.launch_assets(["winback/models/network"])
    until("a fold holds the GPU's slot", lambda: platform.holders("gpu") == {stuck}, 120)
    [pod] = until("its pod waits", lambda: platform.pods(stuck), 60)
    behind = platform.launch_assets(["repeat_buyers/models/network"])
    until("the slot went on", lambda: platform.holders("gpu") == {behind}, 120)
    assert pod.metadata.labels["job-name"] not in platform.jobs()
    assert pod.metadata.name not in [other.metadata.name for other in platform.pods(stuck)]
    nodes["gpu-spot-1"].uncordon()
    platform.succeeds(behind)
    assert platform.ends(stuck, 120) == "FAILURE"
    told = platform.told(stuck)
    assert f"did not start within {START_LIMIT_SECONDS} seconds: no node takes it (Unschedulable: 0/4 nodes are" in told
    assert "Its resource profile is gpu-soon, with spot: true" in told
    until("nothing is left over", lambda: not platform.left_over(), 90)
