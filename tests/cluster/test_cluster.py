"""What a test may rely on the test cluster for. On another cluster, the same promises where they make sense."""

import contextlib
import json
import subprocess
import time
import urllib.request
from pathlib import Path

import psycopg2
import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import free_ports
from tests.cluster.manifests import SLEEP, claim, deployment, job, on_node, pod, service, with_gpu
from tests.cluster.nodes import Node

pytestmark = pytest.mark.slow


def test_a_job_runs_to_success_and_its_log_can_be_read(cluster: Cluster, namespace: str) -> None:
    cluster.apply(job("hello", "echo first; echo second >&2; printf unfinished"), namespace=namespace)

    cluster.kubectl("wait", "job/hello", "-n", namespace, "--for=condition=complete", "--timeout=120s")
    assert cluster.kubectl("logs", "job/hello", "-n", namespace).split() == ["first", "second", "unfinished"]
    assert cluster.kubectl("logs", "job/hello", "-n", namespace, "--tail=1") == "unfinished\n"
    stamped = cluster.kubectl("logs", "job/hello", "-n", namespace, "--timestamps").split()[0]
    assert len(stamped.partition(".")[2]) == len("123456789Z")


def test_a_log_can_be_followed_to_its_end(cluster: Cluster, namespace: str) -> None:
    cluster.apply(pod("talks", "for i in 1 2 3; do echo $i; sleep 0.7; done"), namespace=namespace)
    cluster.wait_for_pod(namespace, "talks", "Running")

    assert cluster.kubectl("logs", "-f", "talks", "-n", namespace).split() == ["1", "2", "3"]


def test_a_failing_job_fails_with_its_exit_code(cluster: Cluster, namespace: str) -> None:
    cluster.apply(job("fails", "exit 7"), namespace=namespace)

    cluster.kubectl("wait", "job/fails", "-n", namespace, "--for=condition=failed", "--timeout=120s")
    (failed,) = cluster.core.list_namespaced_pod(namespace).items
    assert failed.status.container_statuses[0].state.terminated.exit_code == 7


def test_gpu_pods_run_on_the_gpu_node_one_at_a_time(cluster: Cluster, namespace: str) -> None:
    cluster.apply(pod("first", SLEEP, **with_gpu()), namespace=namespace)
    first = cluster.wait_for_pod(namespace, "first", "Running")
    cluster.apply(pod("second", "echo $NVIDIA_VISIBLE_DEVICES", **with_gpu()), namespace=namespace)

    def refused() -> bool:
        conditions = cluster.pod(namespace, "second").status.conditions or []
        return any(item.reason == "Unschedulable" for item in conditions)

    cluster.wait_for("the second pod is refused a node", refused)
    assert cluster.pod(namespace, "second").spec.node_name is None
    cluster.kubectl("delete", "pod", "first", "-n", namespace)
    second = cluster.wait_for_pod(namespace, "second", "Succeeded")
    assert first.spec.node_name == second.spec.node_name
    assert cluster.kubectl("logs", "second", "-n", namespace) != "void\n"


def test_pods_without_tolerations_stay_off_spot_nodes(cluster: Cluster, nodes: dict[str, Node], namespace: str) -> None:
    cluster.apply(*(pod(f"plain-{number}", "true") for number in range(4)), namespace=namespace)

    on = {cluster.wait_for_pod(namespace, f"plain-{number}", "Succeeded").spec.node_name for number in range(4)}
    assert on == {"system-1"}


def test_a_service_account_may_do_only_what_its_role_says(cluster: Cluster, namespace: str) -> None:
    role = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    group = "rbac.authorization.k8s.io"
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": [role]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
        },
        namespace=namespace,
    )
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    asks = f"""
        import ssl, urllib.error, urllib.request, os
        read = lambda name: open("{account}/" + name).read()
        server = "https://" + os.environ["KUBERNETES_SERVICE_HOST"] + ":" + os.environ["KUBERNETES_SERVICE_PORT"]
        for kind in ("pods", "secrets"):
            url = server + "/api/v1/namespaces/" + read("namespace") + "/" + kind
            request = urllib.request.Request(url, headers={{"Authorization": "Bearer " + read("token")}})
            try:
                context = ssl.create_default_context(cafile="{account}/ca.crt")
                print(kind, urllib.request.urlopen(request, context=context).status)
            except urllib.error.HTTPError as refused:
                print(kind, refused.code)
    """
    program = "\n".join(line.removeprefix("        ") for line in asks.splitlines())
    container = {"image": "audience-platform:test", "command": ["python", "-c", program]}
    cluster.apply(pod("asks", "", serviceAccountName="reader", container=container), namespace=namespace)

    cluster.wait_for_pod(namespace, "asks", "Succeeded")
    assert cluster.kubectl("logs", "asks", "-n", namespace).split() == ["pods", "200", "secrets", "403"]


def test_the_platform_image_runs_this_checkout_as_its_own_user(cluster: Cluster, namespace: str) -> None:
    program = "import os, platform_assets; print(os.getuid(), os.getcwd(), platform_assets.__file__)"
    security = {"runAsNonRoot": True, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    container = {"image": "registry.example/x/audience-platform:any", "command": ["python", "-c", program]}
    cluster.apply(pod("is", "", container=container | {"securityContext": security}), namespace=namespace)

    cluster.wait_for_pod(namespace, "is", "Succeeded")
    said = cluster.kubectl("logs", "is", "-n", namespace).split()
    assert said == ["10001", "/opt/platform", "/opt/platform/platform_assets/__init__.py"]


def test_a_volume_over_tmp_can_be_written_below_a_read_only_root(cluster: Cluster, namespace: str) -> None:
    container = {
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    asked = pod("writes", "touch /tmp/x; touch /y || echo refused", container=container)
    asked["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    cluster.apply(asked, namespace=namespace)

    cluster.wait_for_pod(namespace, "writes", "Succeeded")
    assert "refused" in cluster.kubectl("logs", "writes", "-n", namespace)


def test_the_postgres_image_serves_the_database_it_was_asked_for(
    cluster: Cluster, nodes: dict[str, Node], namespace: str
) -> None:
    (port,) = free_ports(1)
    asked = {"POSTGRES_USER": "dagster", "POSTGRES_PASSWORD": "a 'b", "PGPORT": str(port)}
    container = {
        "image": "postgres:15@sha256:" + 64 * "0",
        "command": None,
        "args": ["postgres", "-c", "max_connections=33"],
        "env": [{"name": name, "value": value} for name, value in asked.items()],
        "securityContext": {"runAsUser": 999, "runAsNonRoot": True},
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
    }
    cluster.apply(pod("database", "", container=container), namespace=namespace)
    cluster.kubectl("wait", "pod/database", "-n", namespace, "--for=condition=ready", "--timeout=60s")

    connection = psycopg2.connect(host="127.0.0.1", port=port, user="dagster", password="a 'b", dbname="dagster")
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("show max_connections")
        assert cursor.fetchone() == ("33",)


def test_volumes_and_variables_contain_what_the_manifest_says(cluster: Cluster, namespace: str) -> None:
    text = "for f in /all/* /one/renamed /etc/app/sub.txt /claim/kept; do echo $f=$(cat $f); done; touch /ro/x || echo read-only"
    text += "; echo $A $B $C $POD $GREETING; ls /empty"
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"a": "1", "b": "2"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hush"}, "stringData": {"GREETING": "hello"}},
        claim("claim"),
        pod(
            "mounts",
            text,
            initContainers=[
                {
                    "name": "before",
                    "image": "busybox:1",
                    "command": ["sh", "-c", "echo yes > /claim/kept; touch /empty/made; touch /layer-of-before"],
                    "volumeMounts": [
                        {"name": "claim", "mountPath": "/claim"},
                        {"name": "empty", "mountPath": "/empty"},
                    ],
                }
            ],
            volumes=[
                {"name": "map", "configMap": {"name": "map"}},
                {"name": "item", "configMap": {"name": "map", "items": [{"key": "a", "path": "renamed"}]}},
                {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
                {"name": "empty", "emptyDir": {}},
            ],
            container={
                "envFrom": [{"secretRef": {"name": "hush"}}],
                "env": [
                    {"name": "A", "value": "x"},
                    {"name": "B", "value": "$(A)-$(NOBODY)-$$(A)"},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "b"}}},
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "volumeMounts": [
                    {"name": "map", "mountPath": "/all"},
                    {"name": "item", "mountPath": "/one"},
                    {"name": "map", "mountPath": "/etc/app/sub.txt", "subPath": "b"},
                    {"name": "claim", "mountPath": "/claim"},
                    {"name": "empty", "mountPath": "/empty"},
                    {"name": "empty", "mountPath": "/ro", "readOnly": True},
                ],
            },
        ),
        namespace=namespace,
    )

    cluster.wait_for_pod(namespace, "mounts", "Succeeded")
    lines = cluster.kubectl("logs", "mounts", "-n", namespace).splitlines()
    assert [line for line in lines if "touch:" not in line] == [
        *("/all/a=1", "/all/b=2", "/one/renamed=1", "/etc/app/sub.txt=2", "/claim/kept=yes", "read-only"),
        *("x x-$(NOBODY)-$(A) 2 mounts hello", "made"),
    ]
    assert not Path("/layer-of-before").exists()


def test_a_folder_that_a_link_leads_to_is_mounted_itself(
    cluster: Cluster, nodes: dict[str, Node], namespace: str, cluster_folder: Path
) -> None:
    (cluster_folder / "folder").mkdir()
    (cluster_folder / "link").symlink_to(cluster_folder / "folder")
    volume = {"volumes": [{"name": "work", "hostPath": {"path": str(cluster_folder / "link")}}]}
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    cluster.apply(pod("writer", "echo saved >/work/file", container=mount, **volume), namespace=namespace)

    cluster.wait_for_pod(namespace, "writer", "Succeeded")
    assert (cluster_folder / "folder" / "file").read_text() == "saved\n"


def test_what_a_pod_lacks_is_said_in_its_status_and_mended_by_providing_it(cluster: Cluster, namespace: str) -> None:
    waits = {"envFrom": [{"configMapRef": {"name": "late"}}]}
    nowhere = {"image": "nobody.invalid/knows:1"}
    cluster.apply(
        pod("waits", "echo $WORD", container=waits), pod("nowhere", "", container=nowhere), namespace=namespace
    )

    def reason(name: str) -> str | None:
        statuses = cluster.pod(namespace, name).status.container_statuses
        return statuses[0].state.waiting.reason if statuses and statuses[0].state.waiting else None

    cluster.wait_for("the image is refused", lambda: reason("nowhere") in ("ErrImagePull", "ImagePullBackOff"))
    cluster.wait_for("the ConfigMap is missed", lambda: reason("waits") == "CreateContainerConfigError")
    late = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"WORD": "there"}}
    cluster.apply(late, namespace=namespace)
    cluster.wait_for_pod(namespace, "waits", "Succeeded")
    assert cluster.kubectl("logs", "waits", "-n", namespace) == "there\n"


def test_a_container_that_fails_is_started_again(cluster: Cluster, namespace: str) -> None:
    volume = {"volumes": [{"name": "kept", "emptyDir": {}}], "restartPolicy": "Always"}
    mount = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    script = f"[ -e /kept/seen ] || {{ touch /kept/seen; echo broken; exit 3; }}; {SLEEP}"
    cluster.apply(pod("again", script, container=mount, **volume), namespace=namespace)

    def restarted() -> bool:
        statuses = cluster.pod(namespace, "again").status.container_statuses
        return bool(statuses and statuses[0].restart_count == 1 and statuses[0].ready)

    cluster.wait_for("it was started a second time", restarted)
    assert cluster.kubectl("logs", "again", "-n", namespace, "--previous") == "broken\n"


def test_a_service_name_leads_to_its_pod_on_the_service_port(
    cluster: Cluster, nodes: dict[str, Node], namespace: str
) -> None:
    port, target = free_ports(2)
    server = {"image": "audience-platform:test", "command": ["python", "-m", "http.server", str(target)]}
    ready = {"readinessProbe": {"tcpSocket": {"port": target}, "periodSeconds": 1}}
    cluster.apply(service("web", port, target), deployment("web", "", container=server | ready), namespace=namespace)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=120s")
    url = f"http://web.{namespace}.svc.cluster.local:{port}/"
    asks = f"import urllib.request, os; print(urllib.request.urlopen('{url}').status, os.environ['WEB_SERVICE_PORT'])"
    caller = {"image": "audience-platform:test", "command": ["python", "-c", asks]}
    cluster.apply(pod("caller", "", restartPolicy="OnFailure", container=caller), namespace=namespace)

    cluster.wait_for_pod(namespace, "caller", "Succeeded")
    assert cluster.kubectl("logs", "caller", "-n", namespace).split()[-2:] == ["200", str(port)]
    with pytest.raises(OSError, match="not known"):
        urllib.request.urlopen(url)  # in pods only


def test_a_readiness_probe_gates_endpoints_and_the_roll_out(cluster: Cluster, namespace: str) -> None:
    script = "while [ ! -e /gate/open ]; do sleep 0.2; done; touch /tmp/ready; " + SLEEP
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    gate = [{"name": "gate", "persistentVolumeClaim": {"claimName": "gate"}}]
    mount = {"volumeMounts": [{"name": "gate", "mountPath": "/gate"}]}
    cluster.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "gate"}, "spec": claim},
        service("slow", 9, 9),
        deployment("slow", script, container={"readinessProbe": probe} | mount, volumes=gate),
        namespace=namespace,
    )

    def subset() -> dict:
        found = json.loads(cluster.kubectl("get", "endpoints", "slow", "-n", namespace, "-o", "json"))
        return (found.get("subsets") or [{}])[0]

    cluster.wait_for("the pod is an endpoint that is not ready", lambda: subset().get("notReadyAddresses"))
    assert not cluster.apps.read_namespaced_deployment("slow", namespace).status.ready_replicas
    cluster.apply(pod("opens", "touch /gate/open", container=mount, volumes=gate), namespace=namespace)
    cluster.kubectl("rollout", "status", "deployment/slow", "-n", namespace, "--timeout=120s")
    cluster.wait_for("the endpoint is ready", lambda: subset().get("addresses"))


def test_deletion_lets_a_container_finish_within_its_grace(cluster: Cluster, namespace: str) -> None:
    volume = {"volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}}]}
    mount = {"volumeMounts": [{"name": "claim", "mountPath": "/kept"}]}
    script = "trap 'sleep 1; echo saved > /kept/work; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    cluster.apply(claim("claim"), pod("worker", script, container=mount, **volume), namespace=namespace)
    cluster.wait_for("it is up", lambda: "up" in cluster.kubectl("logs", "worker", "-n", namespace, check=False))
    cluster.kubectl("delete", "pod", "worker", "-n", namespace)
    cluster.apply(pod("reader", "cat /kept/work", container=mount, **volume), namespace=namespace)

    cluster.wait_for_pod(namespace, "reader", "Succeeded")
    assert cluster.kubectl("logs", "reader", "-n", namespace) == "saved\n"


def _marked(mark: str) -> bool:
    """Whether a process with this word among its arguments runs on this machine."""
    return subprocess.run(["pgrep", "-f", mark], capture_output=True).returncode == 0


def test_force_deletion_reaps_everything_a_container_started(
    cluster: Cluster, nodes: dict[str, Node], namespace: str
) -> None:
    mark = f"sleep 4{int(time.time())}"
    cluster.apply(pod("stubborn", f"trap '' TERM; (setsid {mark} &); {mark}"), namespace=namespace)
    cluster.wait_for("its processes run", lambda: _marked(f"^{mark}"))

    cluster.kubectl("delete", "pod", "stubborn", "-n", namespace, "--force", "--grace-period=0")
    cluster.wait_for("its processes are gone", lambda: not _marked(f"^{mark}"), 10)


def test_a_lost_nodes_pods_move_on_and_the_node_comes_back(
    cluster: Cluster, nodes: dict[str, Node], namespace: str
) -> None:
    lost, mark = nodes["cpu-spot-1"], f"sleep 5{int(time.time())}"
    cluster.apply(pod("bound", f"{mark} & wait", **on_node(lost.name)), namespace=namespace)
    pool = {"nodeSelector": {"platform-assets/pool": "cpu"}, "tolerations": on_node("")["tolerations"]}
    nodes["cpu-spot-2"].drain()
    cluster.apply(deployment("moves", SLEEP, **pool), namespace=namespace)
    cluster.kubectl("rollout", "status", "deployment/moves", "-n", namespace, "--timeout=120s")
    cluster.wait_for_pod(namespace, "bound", "Running")
    nodes["cpu-spot-2"].uncordon()

    lost.kill()
    assert not _marked(f"^{mark}"), "a lost machine's processes are gone at once"
    assert cluster.pod(namespace, "bound").status.phase == "Running", "nobody reports for a lost machine"

    def moved() -> bool:
        pods = cluster.core.list_namespaced_pod(namespace, label_selector="app=moves").items
        return any(item.spec.node_name == "cpu-spot-2" and item.status.phase == "Running" for item in pods)

    cluster.wait_for("the Deployment's pod runs on the other node", moved)
    cluster.wait_for(
        "the lost pod is to be deleted", lambda: cluster.pod(namespace, "bound").metadata.deletion_timestamp
    )
    lost.start()
    cluster.wait_for("the node that came back lets go of it", lambda: cluster.pod(namespace, "bound") is None)


def test_a_drained_node_is_empty_and_gets_no_pods(cluster: Cluster, nodes: dict[str, Node], namespace: str) -> None:
    cluster.apply(pod("leaves", SLEEP, **on_node("cpu-spot-2")), namespace=namespace)
    cluster.wait_for_pod(namespace, "leaves", "Running")

    nodes["cpu-spot-2"].drain()
    assert cluster.pod(namespace, "leaves") is None
    assert cluster.core.read_node("cpu-spot-2").spec.unschedulable


def test_pods_run_on_while_the_api_server_is_away_and_are_reported_afterwards(
    cluster: Cluster, nodes: dict[str, Node], namespace: str
) -> None:
    cluster.apply(pod("stays", SLEEP), pod("ends", "sleep 4; echo done; exit 3"), namespace=namespace)
    cluster.wait_for_pod(namespace, "stays", "Running")
    cluster.wait_for_pod(namespace, "ends", "Running")

    with cluster.without_api_server():
        time.sleep(8)
    ended = cluster.wait_for_pod(namespace, "ends", "Failed")
    assert ended.status.container_statuses[0].state.terminated.exit_code == 3
    assert cluster.kubectl("logs", "ends", "-n", namespace) == "done\n"
    stayed = cluster.pod(namespace, "stays").status.container_statuses[0]
    assert stayed.state.running
    assert stayed.restart_count == 0
