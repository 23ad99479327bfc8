"""A Kubernetes control plane as processes of this one: etcd, API server, controller manager and scheduler on loopback.

Belongs here: where the programs are, keys and certificates, starting and stopping. Nodes are in nodes.py, what a cloud
adds to a cluster (Services, volumes) in cloud.py. RBAC decides who may do what, as everywhere else.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUILT = REPOSITORY / ".cluster" / "bin"
STATES = REPOSITORY / ".cluster" / "state"
LEASH = HERE.parent / "emulators" / "leash.py"
LOCK = "lock"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
PATIENCE_SECONDS = 120
# A node that is silent for so long is lost; its pods tolerate that for EVICTION_SECONDS more.
NODE_GRACE_SECONDS = 12
EVICTION_SECONDS = 5


class ClusterMissing(Exception):
    """The cluster's programs have not been built, or cannot run here."""


class ClusterFailed(Exception):
    """A part of the cluster ended, or did not answer in time."""


class Process:
    """A program that cannot outlive this process, and its log."""

    def __init__(
        self, name: str, command: list[str], log: Path, variables: dict[str, str] | None = None, leashed: bool = True
    ) -> None:
        """leashed: wrapped in a leash; otherwise the program itself must end when its standard input closes."""
        self.name, self.log = name, log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(LEASH), *command] if leashed else command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | (variables or {}),
                cwd=REPOSITORY,
                start_new_session=True,
            )

    def stop(self) -> None:
        """The program is killed, whatever it is doing."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def wait_for(self, what: str, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Returns when the condition holds. Raises ClusterFailed with the end of the log when it does not come to that."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise self._failure(f"ended while waiting until {what}")
            if time.monotonic() > deadline:
                raise self._failure(f"runs, but after {seconds} s it is not so that {what}")
            time.sleep(0.1)

    def _failure(self, what: str) -> ClusterFailed:
        end = self.log.read_text(errors="replace")[-3000:]
        return ClusterFailed(f"{self.name} {what}. Its log {self.log}:\n{end}")


class ControlPlane:
    """The four programs; `kubeconfig` is the administrator's. Made by `running`."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.pki = folder / "pki"
        self.kubeconfig = folder / "admin.kubeconfig"
        self.port, self._etcd_port, self._peer_port = free_ports(3)
        self._token = secrets.token_hex(16)
        self._api_server: Process | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Writes keys, certificates and the administrator's kubeconfig."""
        self.pki.mkdir(parents=True, mode=0o700)
        _make_certificates(self.pki)
        (self.folder / "tokens.csv").write_text(f"{self._token},admin,admin,system:masters\n")
        cluster = {"server": self.url, "certificate-authority": str(self.pki / "ca.crt")}
        context = {"cluster": "test", "user": "admin", "namespace": "default"}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(json.dumps(kubeconfig, indent=1))
        self.kubeconfig.chmod(0o600)

    def start(self, stack: contextlib.ExitStack) -> None:
        """Starts everything and waits until service accounts are made."""
        etcd, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._run(
            stack,
            "etcd",
            {
                "data-dir": self.folder / "etcd",
                "listen-client-urls": etcd,
                "advertise-client-urls": etcd,
                "listen-peer-urls": peer,
                "initial-advertise-peer-urls": peer,
                "initial-cluster": f"default={peer}",
                "logger": "zap",
                "log-level": "warn",
                "unsafe-no-fsync": "true",  # a test cluster that loses power is not missed
            },
        )
        stack.callback(self.stop_api_server)
        self.start_api_server()
        self._run(
            stack,
            "kube-controller-manager",
            {
                "kubeconfig": self.kubeconfig,
                "service-account-private-key-file": self.pki / "sa.key",
                "root-ca-file": self.pki / "ca.crt",
                "use-service-account-credentials": "true",
                "leader-elect": "false",
                "bind-address": "127.0.0.1",
                "secure-port": 0,
                "port": 0,
                "node-monitor-period": "1s",
                "node-monitor-grace-period": f"{NODE_GRACE_SECONDS}s",
                # The default evicts from a node every ten seconds, and from none when most of a small cluster is lost.
                "node-eviction-rate": 10,
                "secondary-node-eviction-rate": 10,
                "large-cluster-size-threshold": 0,
                "feature-gates": "TTLAfterFinished=true",
            },
        )
        scheduler = {"kubeconfig": self.kubeconfig, "leader-elect": "false", "secure-port": 0, "port": 0}
        self._run(stack, "kube-scheduler", scheduler)
        assert self._api_server is not None
        self._api_server.wait_for(
            "namespace `default` has a service account",
            lambda: self._get("/api/v1/namespaces/default/serviceaccounts/default") == 200,
        )

    def start_api_server(self) -> None:
        """On the same port each time; returns when it is ready."""
        options = {
            "etcd-servers": f"http://127.0.0.1:{self._etcd_port}",
            "secure-port": self.port,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            # An address in 127/8 may not be an endpoint; pods are given the address by their node.
            "endpoint-reconciler-type": "none",
            "kubelet-preferred-address-types": "InternalIP",
            "cert-dir": self.pki,
            "tls-cert-file": self.pki / "server.crt",
            "tls-private-key-file": self.pki / "server.key",
            "service-cluster-ip-range": "10.96.0.0/24",
            "authorization-mode": "RBAC",
            "token-auth-file": self.folder / "tokens.csv",
            "service-account-key-file": self.pki / "sa.pub",
            "service-account-signing-key-file": self.pki / "sa.key",
            "service-account-issuer": "https://kubernetes.default.svc",
            "api-audiences": "https://kubernetes.default.svc",
            "allow-privileged": "true",
            # Tokens bound to their pod, mounted as a projected volume: as every newer version does it.
            "feature-gates": "TTLAfterFinished=true,BoundServiceAccountTokenVolume=true",
            "default-unreachable-toleration-seconds": EVICTION_SECONDS,
            "default-not-ready-toleration-seconds": EVICTION_SECONDS,
        }
        self._api_server = self._process("kube-apiserver", options)
        self._api_server.wait_for("the API server is ready", lambda: self._get("/readyz") == 200)

    def stop_api_server(self) -> None:
        """Kills it: clients' connections break, and new ones are refused until start_api_server."""
        if self._api_server is not None:
            self._api_server.stop()
            self._api_server = None

    @contextlib.contextmanager
    def without_api_server(self) -> Iterator[None]:
        """The API server is away as long as the context is open."""
        self.stop_api_server()
        try:
            yield
        finally:
            self.start_api_server()

    def _run(self, stack: contextlib.ExitStack, name: str, options: dict[str, object]) -> None:
        stack.callback(self._process(name, options).stop)

    def _process(self, name: str, options: dict[str, object]) -> Process:
        command = [str(self.programs / name), *(f"--{option}={value}" for option, value in options.items())]
        return Process(name, command, self.folder / f"{name}.log")

    def _get(self, path: str) -> int | None:
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return None


@contextlib.contextmanager
def running(folder: Path | None = None, programs: Path = BUILT) -> Iterator[ControlPlane]:
    """A control plane without nodes, as long as the context is open and no longer than this process.

    folder: for its state, removed afterwards; by default one below `.cluster/state`. Not below /tmp, which pods see
    their own of. Raises ClusterMissing and ClusterFailed.
    """
    absent = [name for name in PROGRAMS if not os.access(programs / name, os.X_OK)]
    if absent:
        raise ClusterMissing(f"No {', '.join(absent)} in {programs}: run `make cluster`.")
    if folder is None:
        _remove_what_was_left()
        folder = STATES / secrets.token_hex(4)
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context((folder / LOCK).open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        stack.callback(shutil.rmtree, folder)
        plane = ControlPlane(folder, programs)
        plane.prepare()
        plane.start(stack)
        yield plane


def _remove_what_was_left() -> None:
    """States of clusters whose process was killed: nobody holds their lock."""
    for file in STATES.glob(f"*/{LOCK}"):
        with file.open() as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent)


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 on which nobody listens."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]


def _make_certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        made = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
        if made.returncode:
            raise ClusterFailed(f"openssl {' '.join(arguments)} failed:\n{made.stderr}")

    key = ("-newkey", "rsa:2048", "-nodes", "-days", "30")
    openssl("genrsa", "-out", "sa.key", "2048")
    openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    usage = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test-cluster", "-addext", usage)
    openssl("req", *key[:3], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=kube-apiserver")
    (folder / "server.ext").write_text(
        "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1\n"
        "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    issuer = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
    openssl("x509", "-req", "-in", "server.csr", *issuer, "-out", "server.crt", *key[3:], "-extfile", "server.ext")
