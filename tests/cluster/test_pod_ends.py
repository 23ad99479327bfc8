"""Why a pod ended, as a real API server and its Job controller keep what a kubelet reports of it."""

from functools import partial
from typing import Any

import pytest

from platform_assets.foundation.execution.pod_status import over_its_limit
from tests.cluster.cluster import Cluster
from tests.cluster.manifests import job

pytestmark = pytest.mark.slow


def test_a_job_whose_pod_used_more_than_it_may_is_told_from_one_whose_pod_was_taken_away(
    cluster: Cluster, namespace: str
) -> None:
    """What a kubelet reports is put into the pods' status here: these nodes enforce no limits."""
    killed = {"name": "main", "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
    killed["state"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    exceeded = "Pod ephemeral local storage usage exceeds the total limit of containers 8Gi. "
    statuses = {
        "memory": {"phase": "Failed", "containerStatuses": [killed]},
        "disk": {"phase": "Failed", "reason": "Evicted", "message": exceeded},
        "lost": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "},
    }
    cluster.apply(*(job(name, "true", nodeSelector={"nowhere": "true"}) for name in statuses), namespace=namespace)

    def pods_of(name: str) -> list[Any]:
        return list(cluster.core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items)

    told = {}
    for name, status in statuses.items():
        [pending] = cluster.wait_for(f"job {name} has a pod", partial(pods_of, name))
        cluster.core.patch_namespaced_pod_status(pending.metadata.name, namespace, {"status": status})
        cluster.kubectl("wait", f"job/{name}", "-n", namespace, "--for=condition=failed", "--timeout=120s")
        told[name] = over_its_limit(pods_of(name)) or ""
    assert "killed (OOMKilled)" in told["memory"]
    assert exceeded.strip(". ") in told["disk"]
    assert told["lost"] == ""
