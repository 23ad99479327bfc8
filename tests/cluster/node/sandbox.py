"""The command that runs a container: namespaces, a root file system of its own, mounts, user.

Belongs here: what isolates a process. A container sees this machine's root file system as its image and writes into a
layer that is gone with it; processes, mounts, host name and IPC are its own; the network is the machine's.
"""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

# From util-linux. The node's thread that starts containers lives as long as the node: what it started dies with it.
BOUND = ("/usr/bin/setpriv", "--pdeathsig", "KILL")
OWN = ("/usr/bin/unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL")


@dataclass(frozen=True)
class Mount:
    """source: a file or folder of this machine."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Sandbox:
    """layer: an empty folder of this machine, for the container's own files. mounts: what its volumes are; folders,
    traversable, accounts, writable: of its image (images.py)."""

    layer: Path
    host_name: str
    cwd: str
    user: int
    group: int
    groups: tuple[int, ...] = ()
    mounts: list[Mount] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)
    traversable: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    read_only: bool = False
    no_new_privileges: bool = False

    def command(self, command: list[str]) -> list[str]:
        """Runs the container's command as process 1 of a process namespace; when that ends, all of it ends."""
        return [*BOUND, *OWN, "/bin/sh", "-c", self._script(), "container", *command]

    def inside(self, first_process: int, command: list[str]) -> list[str]:
        """Runs one more command in the running container."""
        enter = ["/usr/bin/nsenter", f"--target={first_process}", "--mount", "--uts", "--ipc", "--pid"]
        return [*enter, *self._as_user(), *command]

    def _as_user(self) -> list[str]:
        groups = ",".join(str(group) for group in self.groups)
        return [
            *BOUND,
            f"--reuid={self.user}",
            f"--regid={self.group}",
            f"--groups={groups}" if groups else "--clear-groups",
            *(["--no-new-privs"] if self.no_new_privileges else []),
        ]

    def _script(self) -> str:
        layer = shlex.quote(str(self.layer.resolve()))
        lines = [
            "set -e; own_path=$PATH; PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            # Overlays may not lie inside what they cover: the upper layer is memory.
            f"mount -t tmpfs -o mode=755 layer {layer}",
            f"cd {layer}; mkdir upper work root; mkdir -m 1777 tmp; mkdir run",
            f"mount -t overlay image -o lowerdir=/,upperdir={layer}/upper,workdir={layer}/work root",
            "cd root; mkdir .host; mount --rbind /dev dev; mount --rbind /sys sys; pivot_root . .host; cd /",
            "mount -t proc proc /proc; mount -t tmpfs -o mode=1777 shm /dev/shm",
            f"mount --bind /.host{layer}/tmp /tmp; mount --bind /.host{layer}/run /run",
            f"printf %s {shlex.quote(self.host_name)} >/proc/sys/kernel/hostname",
        ]
        lines += [f"chmod o+x {shlex.quote(folder)}" for folder in self.traversable]
        lines += [f"sed -i {shlex.quote(f'1i {account}')} /etc/passwd" for account in self.accounts]
        lines += [f"mkdir -p {shlex.quote(folder)}; chmod 1777 {shlex.quote(folder)}" for folder in self.writable]
        for number, (target, source) in enumerate(sorted(self.folders.items())):
            over, upper = shlex.quote(target), f"/.host{layer}/folder{number}"
            lower = _of_host(Path(source))
            lines.append(f"mkdir -p {over} {upper} {upper}.work")
            lines.append(f"mount -t overlay image -o lowerdir={lower},upperdir={upper},workdir={upper}.work {over}")
        for mount in sorted(self.mounts, key=lambda mount: mount.target):
            lines.append(_bind(mount))
        lines.append(f"mkdir -p {shlex.quote(self.cwd)}; cd {shlex.quote(self.cwd)}; umount -l /.host; rmdir /.host")
        if self.read_only:
            # A volume mounted over /tmp or /run stays what it is.
            covered = {mount.target for mount in self.mounts}
            lines += [f"mount -o remount,bind,ro {place}" for place in ("/", "/tmp", "/run") if place not in covered]
        lines.append(f'PATH=$own_path; exec {shlex.join(self._as_user())} "$@"')
        return "\n".join(lines)


def _bind(mount: Mount) -> str:
    target, source = shlex.quote(mount.target), _of_host(mount.source)
    if mount.source.is_dir():
        made = f"mkdir -p {target}"
    else:
        made = f"mkdir -p {shlex.quote(str(Path(mount.target).parent))}; [ -e {target} ] || : >{target}"
    read_only = f"; mount -o remount,bind,ro {target}" if mount.read_only else ""
    return f"{made}; mount --bind {source} {target}{read_only}"


def _of_host(path: Path) -> str:
    """Where this machine's path is while a container is made. A link in it would lead into the container's own layer."""
    return shlex.quote(f"/.host{path.resolve()}")
