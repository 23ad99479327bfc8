"""The namespace's quotas and limits, admitted by a real API server: what they refuse is refused with a reason."""

from collections.abc import Iterator
from typing import Any

import kubernetes as k
import pytest

from platform_assets.environment import REPOSITORY
from tests.cluster.cluster import Cluster
from tests.cluster.manifests import SLEEP, job, pod

pytestmark = pytest.mark.slow

BASE = REPOSITORY / "deploy" / "kubernetes" / "base"


@pytest.fixture(scope="module")
def bounded(cluster: Cluster) -> Iterator[str]:
    """A namespace with the quotas of the base, all of them counted. Own cluster only: priority classes are everybody's."""
    if not cluster.own:
        pytest.skip("makes priority classes: only on the test cluster, and --kubeconfig names another")
    with cluster.namespace("test-quota") as name:
        cluster.kubectl("apply", "-f", str(BASE / "priorities.yaml"))
        cluster.kubectl("apply", "-n", name, "-f", str(BASE / "quota.yaml"))
        cluster.wait_for(
            "every quota is counted",
            lambda: all(quota.status.used for quota in cluster.core.list_namespaced_resource_quota(name).items),
        )
        yield name


def asking(priority_class: str | None, cpu: str, **amounts: str) -> dict[str, Any]:
    asked = {"cpu": cpu, "memory": "1Gi", "ephemeral-storage": "1Gi"} | amounts
    resources = {"container": {"resources": {"requests": asked, "limits": asked}}}
    return pod("asks", SLEEP, **resources, **({"priorityClassName": priority_class} if priority_class else {}))


def refusal(cluster: Cluster, namespace: str, manifest: dict[str, Any]) -> str:
    """What the API server has against a pod or Service; nothing when it would take it."""
    create = cluster.core.create_namespaced_pod if manifest["kind"] == "Pod" else cluster.core.create_namespaced_service
    try:
        create(namespace, manifest, dry_run="All")
    except k.client.ApiException as error:
        if error.status != 403:
            raise
        return str(error.body)
    return ""


def test_a_step_and_a_service_and_a_stranger_of_the_usual_size_are_taken(cluster: Cluster, bounded: str) -> None:
    for priority_class in ("platform-step", "platform-gpu", "platform-run", "platform-system", None):
        assert refusal(cluster, bounded, asking(priority_class, "2")) == ""
    assert refusal(cluster, bounded, asking("platform-gpu", "4", **{"nvidia.com/gpu": "1"})) == ""


def test_what_is_too_large_or_of_no_class_of_ours_is_refused_with_the_quota_that_it_exceeds(
    cluster: Cluster, bounded: str
) -> None:
    assert "maximum cpu usage per Container is 16" in refusal(cluster, bounded, asking("platform-step", "17"))
    assert "exceeded quota: others" in refusal(cluster, bounded, asking(None, "5"))
    assert "exceeded quota: others" in refusal(cluster, bounded, asking(None, "1", **{"nvidia.com/gpu": "1"}))
    for kind in ("LoadBalancer", "NodePort"):
        spec = {"type": kind, "selector": {"app": "none"}, "ports": [{"port": 80}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "outside"}, "spec": spec}
        assert "exceeded quota: everything" in refusal(cluster, bounded, service)


def test_a_job_whose_pod_is_beyond_the_quota_says_so_and_a_pod_that_says_nothing_is_bounded(
    cluster: Cluster, bounded: str
) -> None:
    five = {"cpu": "5", "memory": "1Gi"}
    cluster.apply(
        job("greedy", "true", container={"resources": {"limits": five}}), pod("silent", SLEEP), namespace=bounded
    )
    selector = "involvedObject.kind=Job,involvedObject.name=greedy"
    events = cluster.wait_for(
        "the Job says why it has no pod",
        lambda: [
            event.message
            for event in cluster.core.list_namespaced_event(bounded, field_selector=selector).items
            if event.reason == "FailedCreate"
        ],
    )
    assert "exceeded quota: others" in events[0]
    resources = cluster.pod(bounded, "silent").spec.containers[0].resources
    assert (resources.limits["cpu"], resources.requests["memory"]) == ("500m", "128Mi")
