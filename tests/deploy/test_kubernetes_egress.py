"""What a pod reaches outside the cluster: the addresses that an overlay writes down, and no other."""

import os
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.deploy.manifests import KUBERNETES, NAMESPACE, OVERLAYS, Manifest, kustomize, of_kind, overlay, pod_templates
from tests.deploy.test_kubernetes_access import COMPONENTS, policies

pytestmark = pytest.mark.programs("kubectl")

EXCEPTION = "egress-443-anywhere"
# restricted.googleapis.com, of either protocol.
RESTRICTED = ("199.36.153.4", "199.36.153.5", "199.36.153.6", "199.36.153.7", "2600:2d00:2:1000::")
# private.googleapis.com, which serves more than VPC Service Controls know; storage.googleapis.com and a name server of
# Google's by their public addresses; somebody else's; addresses within a VPC.
ELSEWHERE = (
    "199.36.153.8",
    "199.36.153.3",
    "142.250.185.187",
    "8.8.8.8",
    "151.101.0.223",
    "10.0.0.1",
    "2001:4860:4860::8888",
)
PUBLIC = ("142.250.185.187", "151.101.0.223", "199.36.153.8")
PRIVATE = ("10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.2", "192.168.0.1")
METADATA_SERVER = {
    ("169.254.169.254", 80),
    ("169.254.169.254", 8080),
    ("169.254.169.252", 987),
    ("169.254.169.252", 988),
}
# Beside these, the metadata server, names and the API server; the last is a placeholder in the gke overlay.
WRITTEN_DOWN = {
    "gke": {
        "199.36.153.4/30", "2600:2d00:2:1000::/56", "169.254.169.254/32", "169.254.169.252/32", "169.254.20.10/32",
        "REPLACE-control-plane/32",
    },
    "kind": {"172.16.0.0/12", "192.168.0.0/16"},
    "test": {"127.0.0.1/32"},
}  # fmt: skip


def components(objects: list[Manifest]) -> set[str]:
    return COMPONENTS | {pod.labels["app.kubernetes.io/component"] for pod in pod_templates(objects)}


def within(address: str, block: Manifest) -> bool:
    """Whether an address is one of an ipBlock's; a placeholder holds none."""
    if "REPLACE" in block["cidr"]:
        return False
    outside = any(ip_address(address) in ip_network(excepted) for excepted in block.get("except", []))
    return ip_address(address) in ip_network(block["cidr"]) and not outside


def reaches(objects: list[Manifest], component: str, address: str, port: int) -> bool:
    """Whether the policies let a component's pods open a TCP connection to an address outside the cluster."""
    return any(
        any(entry["protocol"] == "TCP" and entry["port"] == port for entry in rule["ports"])
        and ("to" not in rule or any(within(address, peer["ipBlock"]) for peer in rule["to"] if "ipBlock" in peer))
        for rule in policies(objects, component, "egress")
    )


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_way_out_has_an_address_that_is_written_down(name: str) -> None:
    rules = [
        rule for item in of_kind(overlay(name), "NetworkPolicy").values() for rule in item["spec"].get("egress", [])
    ]
    assert all(rule["to"] and rule["ports"] for rule in rules)
    assert {peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"] if "ipBlock" in peer} == WRITTEN_DOWN[name]


def test_a_placeholder_left_for_the_control_plane_is_no_address_that_kubernetes_takes() -> None:
    [rule] = of_kind(overlay("gke"), "NetworkPolicy")["api-server"]["spec"]["egress"]
    [peer] = rule["to"]
    with pytest.raises(ValueError, match="REPLACE-control-plane"):
        ip_network(peer["ipBlock"]["cidr"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_google_is_reached_at_its_restricted_address_alone_and_only_where_there_is_a_cloud(name: str) -> None:
    objects = overlay(name)
    callers = {one for one in components(objects) if any(reaches(objects, one, address, 443) for address in RESTRICTED)}
    assert callers == (components(objects) - {"database"} if name == "gke" else set())
    for one in callers:
        assert all(reaches(objects, one, address, 443) for address in RESTRICTED)
    assert [(one, to) for one in components(objects) for to in ELSEWHERE if reaches(objects, one, to, 443)] == []


def test_on_gke_the_metadata_server_answers_at_its_own_ports_and_no_others() -> None:
    objects, ports = overlay("gke"), (22, 80, 443, 987, 988, 8080)
    for one in components(objects) - {"database"}:
        addresses = {address for address, _ in METADATA_SERVER}
        assert {(to, port) for to in addresses for port in ports if reaches(objects, one, to, port)} == METADATA_SERVER


def test_https_to_anybody_is_an_exception_that_says_so_and_that_no_overlay_has(tmp_path: Path) -> None:
    below = {
        name: os.path.relpath(KUBERNETES / name, tmp_path.resolve())
        for name in ("overlays/gke", f"exceptions/{EXCEPTION}")
    }
    added, before = kustomize(tmp_path, namespace=NAMESPACE, resources=[below["overlays/gke"]],
                              components=[below[f"exceptions/{EXCEPTION}"]]), overlay("gke")  # fmt: skip
    new = of_kind(added, "NetworkPolicy").keys() - of_kind(before, "NetworkPolicy").keys()
    assert (new, len(added)) == ({EXCEPTION}, len(before) + 1)
    assert not any(EXCEPTION in of_kind(overlay(name), "NetworkPolicy") for name in OVERLAYS)
    for one in components(added) - {"database"}:
        assert all(reaches(added, one, address, 443) for address in PUBLIC)
        assert not any(reaches(added, one, address, 443) for address in PRIVATE)
    assert not any(reaches(added, "database", address, 443) for address in (*PUBLIC, *RESTRICTED))
