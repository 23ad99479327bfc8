"""Who may call the API server, who may talk to whom, who knows which password: exactly what is needed, and nothing else."""

from itertools import product

import pytest

from platform_assets.operations.database import RIGHTS
from tests.deploy.manifests import OVERLAYS, Manifest, of_kind, overlay, pod_templates, selects

pytestmark = pytest.mark.programs("kubectl")

JOBS, PODS = "batch/jobs", "/pods"
# The calls of dagster-k8s' client, of the platform's launcher and executor, and of the janitor.
LOOK = {f"{PODS} get", f"{PODS} list", f"{JOBS} get", f"{JOBS} list", f"{JOBS}/status get"}
END = {f"{JOBS} delete", f"{PODS} delete"}
TELL = {f"{PODS}/log get", "/events list"}
NEEDED = {
    "dagster-daemon": LOOK | END | TELL | {f"{JOBS} create", f"{JOBS} deletecollection"},
    "dagster-webserver": LOOK | END | {f"{JOBS} deletecollection"},
    "platform-run": LOOK | END | TELL | {f"{JOBS} create"},
    "janitor": {f"{JOBS} list", f"{JOBS} delete", f"{PODS} list", f"{PODS} delete"},
}
# As dagster-k8s labels the pods it makes.
COMPONENTS = {"run_worker", "step_worker"}
OPENS_INSTANCE = {"web-server", "daemon", "code-location", "janitor", "run_worker", "step_worker"}
TALKS = {
    *((one, "database", 5432) for one in OPENS_INSTANCE),
    ("web-server", "code-location", 4266),
    ("daemon", "code-location", 4266),
}
CALLS_API_SERVER = {"web-server", "daemon", "janitor", "run_worker"}
PORTS = (80, 443, 3000, 3001, 4266, 5432, 6006, 6443, 9464)


def rights(objects: list[Manifest]) -> dict[str, set[str]]:
    """`<group>/<resource> <verb>` by service account."""
    roles, found = of_kind(objects, "Role"), {}
    for binding in of_kind(objects, "RoleBinding").values():
        [subject] = binding["subjects"]
        assert (subject["kind"], binding["roleRef"]["kind"]) == ("ServiceAccount", "Role")
        found[subject["name"]] = {
            f"{group}/{resource} {verb}"
            for rule in roles[binding["roleRef"]["name"]]["rules"]
            for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }
    return found


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_process_may_do_what_it_calls_and_nothing_else(name: str) -> None:
    assert rights(overlay(name)) == NEEDED


@pytest.mark.parametrize("name", OVERLAYS)
def test_nobody_has_wildcards_secrets_or_rights_beyond_the_namespace(name: str) -> None:
    objects = overlay(name)
    assert not {"ClusterRole", "ClusterRoleBinding"} & {item["kind"] for item in objects}
    granted = {right for of_one in rights(objects).values() for right in of_one}
    assert not [right for right in granted if "*" in right or "secrets" in right or "exec" in right]


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_token_is_mounted_unless_a_pod_says_so(name: str) -> None:
    accounts = of_kind(overlay(name), "ServiceAccount")
    assert {account["automountServiceAccountToken"] for account in accounts.values()} == {False}


def policies(objects: list[Manifest], component: str, direction: str) -> list[Manifest]:
    """The rules that apply to a component's pods in one direction (`ingress`, `egress`)."""
    of_one = [
        item["spec"]
        for item in of_kind(objects, "NetworkPolicy").values()
        if selects(item["spec"]["podSelector"], {"app.kubernetes.io/component": component})
        and direction.capitalize() in item["spec"]["policyTypes"]
    ]
    assert of_one, f"no NetworkPolicy restricts {direction} of {component}"
    return [rule for spec in of_one for rule in spec.get(direction, [])]


def admits(rule: Manifest, peers: str, component: str, port: int) -> bool:
    """Whether a rule lets through a pod of this namespace at a TCP port; peers is `from` or `to`."""
    if not any(entry["protocol"] == "TCP" and entry["port"] == port for entry in rule["ports"]):
        return False
    labels = {"app.kubernetes.io/component": component}
    return peers not in rule or any(
        "podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], labels)
        for peer in rule[peers]
    )


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_reach_each_other_only_where_one_asks_the_other(name: str) -> None:
    objects = overlay(name)
    components = COMPONENTS | {pod.labels["app.kubernetes.io/component"] for pod in pod_templates(objects)}
    reached = {
        (one, other, port)
        for one, other, port in product(components, components, PORTS)
        if any(admits(rule, "to", other, port) for rule in policies(objects, one, "egress"))
        and any(admits(rule, "from", one, port) for rule in policies(objects, other, "ingress"))
    }
    assert reached == TALKS


@pytest.mark.parametrize("name", OVERLAYS)
def test_only_those_with_a_role_reach_the_api_server_and_the_database_calls_nobody(name: str) -> None:
    objects = overlay(name)
    components = COMPONENTS | {pod.labels["app.kubernetes.io/component"] for pod in pod_templates(objects)}
    [to_api_server] = of_kind(objects, "NetworkPolicy")["api-server"]["spec"]["egress"]
    assert {one for one in components if to_api_server in policies(objects, one, "egress")} == CALLS_API_SERVER
    assert policies(objects, "database", "egress") == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_only_prometheus_enters_from_another_namespace_and_only_to_read_metrics(name: str) -> None:
    for item in of_kind(overlay(name), "NetworkPolicy").values():
        for rule in item["spec"].get("ingress", []):
            assert rule["from"], f"{item['metadata']['name']} admits everybody"
            if any("namespaceSelector" in peer for peer in rule["from"]):
                assert rule["ports"] == [{"protocol": "TCP", "port": 9464}]


def test_on_gke_the_metadata_server_gives_tokens_to_all_but_the_database() -> None:
    [spec] = [
        item["spec"] for name, item in of_kind(overlay("gke"), "NetworkPolicy").items() if name == "workload-identity"
    ]
    asked = {pod.labels["app.kubernetes.io/component"] for pod in pod_templates(overlay("gke"))} | COMPONENTS
    admitted = {one for one in asked if selects(spec["podSelector"], {"app.kubernetes.io/component": one})}
    assert admitted == asked - {"database"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_pages_have_no_right_but_to_read_what_people_may_look_at(name: str) -> None:
    objects = overlay(name)
    [pod] = [pod for pod in pod_templates(objects) if pod.owner == "Deployment/pages"]
    account = of_kind(objects, "ServiceAccount")[pod.spec["serviceAccountName"]]
    google = account["metadata"].get("annotations", {}).get("iam.gke.io/gcp-service-account", "")
    assert google.partition("@")[0] == ("audience-platform-reader" if name == "gke" else "")
    assert account["metadata"]["name"] not in rights(objects)
    written = {mount["name"] for mount in pod.containers[0]["volumeMounts"] if not mount.get("readOnly")}
    empty = {volume["name"] for volume in pod.spec["volumes"] if "emptyDir" in volume}
    assert written == empty
    assert not policies(objects, "pages", "ingress")


# Which Secrets the containers of a pod take variables from.
SECRETS = {
    ("Deployment/dagster-webserver", "web-server"): {"postgres-webserver"},
    ("Deployment/dagster-daemon", "daemon"): {"postgres-daemon"},
    ("Deployment/dagster-daemon", "database"): {"postgres-owner"},
    ("Deployment/janitor", "janitor"): {"postgres-janitor"},
    ("Deployment/code-platform", "code-location"): {"postgres-code"},
    ("StatefulSet/postgres", "postgres"): {"postgres-owner"},
}


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_process_has_the_password_of_its_own_role_and_none_has_the_owners(name: str) -> None:
    given = {}
    for pod in pod_templates(overlay(name)):
        for container in pod.containers:
            entries = [entry["valueFrom"]["secretKeyRef"] for entry in container.get("env", []) if "valueFrom" in entry]
            if entries:
                given[pod.owner, container["name"]] = {entry["name"] for entry in entries}
            assert not [source for source in container.get("envFrom", []) if "secretRef" in source]
    assert given == SECRETS


@pytest.mark.parametrize("name", OVERLAYS)
def test_all_roles_passwords_are_mounted_by_the_container_that_sets_them_alone(name: str) -> None:
    [daemon] = [pod for pod in pod_templates(overlay(name)) if pod.owner == "Deployment/dagster-daemon"]
    [volume] = [volume for volume in daemon.spec["volumes"] if volume["name"] == "credentials"]
    shown = {
        item["path"]: (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    keys = ("username", "password")
    assert shown == {f"{role}/{key}": (f"postgres-{role}", key) for role in RIGHTS for key in keys}
    mounted = [c["name"] for c in daemon.containers for mount in c["volumeMounts"] if mount["name"] == "credentials"]
    assert mounted == ["database"]
    mounting = {
        (pod.owner, volume["name"])
        for pod in pod_templates(overlay(name))
        for volume in pod.spec.get("volumes", [])
        if "secret" in volume or "projected" in volume
    }
    tls = {("StatefulSet/postgres", "tls")} if name == "gke" else set()
    assert mounting == {("Deployment/dagster-daemon", "credentials"), *tls}
