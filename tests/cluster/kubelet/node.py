"""A real node for the test control plane: containerd, runc and a kubelet, in namespaces that end with this process.

Belongs here: what a node needs that cannot pull images and may not touch the machine it runs on. Does not belong
here: the pod that is tried on it. `isolated` gives a command its own process, mount and network namespaces: when it ends,
the kernel takes every process, mount, interface and firewall rule of the node with it. Its folder and its control
groups are all that stays; `own_folder` takes them away.
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.cluster.control_plane import BUILT, STATES, ControlPlane, Process

KUBELET = BUILT / "kubelet"
CNI_PLUGINS = Path("/usr/lib/cni")
BUSYBOX = Path("/bin/busybox")
CGROUPS = Path("/sys/fs/cgroup")
SOCKET = "/run/containerd/containerd.sock"
NAME = "real"
# A node's address may not be in 127/8.
ADDRESS = "10.240.0.1"
POD_NETWORK = "10.240.1.0/24"


class NodeFailed(Exception):
    """A part of the node could not be set up; the message holds what the program said."""


def missing() -> list[str]:
    """What this machine lacks to run a node, each with what to do about it; empty when it lacks nothing."""
    packages = {
        "containerd": "containerd",
        "ctr": "containerd",
        "runc": "runc",
        "ip": "iproute2",
        "unshare": "util-linux",
    }
    lacking = [
        f"{program} is not installed: apt-get install {package}"
        for program, package in packages.items()
        if shutil.which(program) is None
    ]
    if os.geteuid() != 0:
        lacking.append("namespaces and control groups take root")
    if not (CNI_PLUGINS / "ptp").is_file():
        lacking.append(f"no {CNI_PLUGINS}/ptp: apt-get install containernetworking-plugins")
    if not BUSYBOX.is_file() or b"/ld-linux" in BUSYBOX.read_bytes()[:4096]:
        lacking.append(f"no static {BUSYBOX}: apt-get install busybox-static")
    if not os.access(KUBELET, os.X_OK):
        lacking.append(f"no {KUBELET}: run `make cluster`")
    return lacking


def isolated(command: Sequence[str]) -> list[str]:
    """The command in namespaces of its own; whatever it starts is killed with it."""
    return ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--net", *command]


def prepare_namespaces() -> None:
    """First thing inside `isolated`: loopback, and mounts of our own where programs write outside the folder."""
    # Volumes mounted by the kubelet must reach containers; unshare has already cut off the machine's own mounts.
    _run("mount", "--make-rshared", "/")
    for folder in ("/run", "/var/log", "/var/lib/cni"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "tmpfs", folder)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for one node. It goes when the context closes, with the node's control groups: nothing may live in them."""
    # Not below /tmp, where a container has its own.
    for left in STATES.glob("kubelet-*"):
        # A killed process could not clean up.
        if not Path("/proc", left.name.partition("-")[2]).exists():
            _remove(left)
    folder = STATES / f"kubelet-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def running(plane: ControlPlane, folder: Path, images: Sequence[Path], sandbox_image: str) -> Iterator[None]:
    """A ready node of `plane` that holds `images` (archives as `docker save` writes them) and pulls nothing.

    Raises NodeFailed, and ClusterFailed.
    """
    _make_cgroups(_cgroup(folder))
    with contextlib.ExitStack() as stack:
        containerd = _containerd(folder, sandbox_image)
        stack.callback(containerd.stop)
        containerd.wait_for("containerd listens", lambda: Path(SOCKET).is_socket())
        for image in images:
            _run("ctr", "--address", SOCKET, "--namespace", "k8s.io", "images", "import", str(image))
        kubelet = _kubelet(plane, folder)
        stack.callback(kubelet.stop)
        kubelet.wait_for("the node is ready", _node_is_ready(plane))
        yield


def _containerd(folder: Path, sandbox_image: str) -> Process:
    network = {
        "cniVersion": "0.3.1",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {"type": "host-local", "subnet": POD_NETWORK, "routes": [{"dst": "0.0.0.0/0"}]},
            }
        ],
    }
    (folder / "cni").mkdir()
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(network))
    config = folder / "containerd.toml"
    # Scores below the parent's take rights that a container or a virtual machine may lack.
    config.write_text(f"""
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox_image}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
""")
    return Process("containerd", ["containerd", "--config", str(config)], folder / "containerd.log")


def _kubelet(plane: ControlPlane, folder: Path) -> Process:
    (folder / "resolv.conf").write_text("")
    config = folder / "kubelet.json"
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        # Nobody but the API server is in this network namespace.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{_cgroup(folder)}",
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "resolvConf": str(folder / "resolv.conf"),
        "evictionHard": {"memory.available": "50Mi"},
        "imageGCHighThresholdPercent": 100,
    }
    config.write_text(json.dumps(settings))
    options = {
        "config": config,
        "kubeconfig": plane.kubeconfig,
        "hostname-override": NAME,
        "node-ip": ADDRESS,
        "root-dir": folder / "kubelet",
        "cert-dir": folder / "kubelet-pki",
        "container-runtime": "remote",
        "container-runtime-endpoint": f"unix://{SOCKET}",
    }
    command = [str(KUBELET), *(f"--{option}={value}" for option, value in options.items())]
    return Process("kubelet", command, folder / "kubelet.log")


def _node_is_ready(plane: ControlPlane) -> Callable[[], bool]:
    from kubernetes import client, config

    api = client.CoreV1Api(config.new_client_from_config(str(plane.kubeconfig)))

    def ready() -> bool:
        conditions = {
            condition.type: condition.status for node in api.list_node().items for condition in node.status.conditions
        }
        return conditions.get("Ready") == "True"

    return ready


def _cgroup_roots() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").is_file():
        return [CGROUPS]
    return sorted({path.resolve() for path in CGROUPS.iterdir() if path.is_dir()})


def _cgroup(folder: Path) -> str:
    return f"platform-smoke-{folder.name}"


def _make_cgroups(name: str) -> None:
    for root in _cgroup_roots():
        (root / name).mkdir()
    # Without processors or memory nodes of its own, a new group of this controller takes no process.
    cpuset = CGROUPS / "cpuset"
    for setting in ("cpuset.cpus", "cpuset.mems"):
        if (cpuset / setting).is_file():
            (cpuset / name / setting).write_text((cpuset / setting).read_text())


def _remove(folder: Path) -> None:
    for root in _cgroup_roots():
        # Innermost first; a control group's files go with it.
        for group, _, _ in os.walk(root / _cgroup(folder), topdown=False):
            Path(group).rmdir()
    shutil.rmtree(folder)


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise NodeFailed(f"{' '.join(command)}: {(result.stderr or result.stdout).strip()}")
