"""What other processes do in the tests of storage: `python -m tests.foundation.storage.actors ACT ROOT ARGUMENT…`.

Belongs here: acts, and starting them. An actor tells what it does line by line, and goes on when it is sent a line.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from platform_assets.foundation.storage import Lease, LeaseLost, files_at

REPOSITORY = Path(__file__).resolve().parents[3]
TORN_SIZE = 200_000


def started(act: str, *arguments: object, module: str = __name__) -> subprocess.Popen[str]:
    """A process that performs `act`."""
    command = [sys.executable, "-m", module, act, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(actor: subprocess.Popen[str]) -> str:
    """The actor's next line."""
    assert actor.stdout is not None
    return actor.stdout.readline().strip()


def go_on(actor: subprocess.Popen[str]) -> None:
    assert actor.stdin is not None
    actor.stdin.write("\n")
    actor.stdin.flush()


def tell(line: str) -> None:
    print(line, flush=True)


def await_word() -> None:
    sys.stdin.readline()


def increment(root: str, times: str) -> None:
    """Count on, by update."""
    for _ in range(int(times)):
        files_at(root).update("counter", lambda before: str(int(before or b"0") + 1).encode())


def increment_under_lease(root: str, times: str) -> None:
    """Count on by reading and writing, which only a lock makes right."""
    files = files_at(root)
    for _ in range(int(times)):
        with Lease(files, "leases/counter.json"):
            before = files.read("counter")
            files.write("counter", str(int(before.content if before else 0) + 1).encode())


def create(root: str, name: str) -> None:
    """Create a file once; tell whether it was made."""
    tell(str(files_at(root).create("once", name.encode())))


def hold(root: str, seconds: str) -> None:
    """Hold a lease until told to go on; tell whether it was held to the end."""
    with Lease(files_at(root), "lease.json", float(seconds)) as lease:
        tell("held")
        await_word()
        try:
            lease.require()
            tell("still held")
        except LeaseLost:
            tell("lost")


def write_endlessly(root: str) -> None:
    """Replace one file by another over and over."""
    files = files_at(root)
    files.write("torn", b"a" * TORN_SIZE)
    tell("writing")
    while True:
        for letter in b"ba":
            files.write("torn", bytes([letter]) * TORN_SIZE)


def main(acts: dict[str, Callable[..., None]]) -> None:
    act, *arguments = sys.argv[1:]
    acts[act](*arguments)


if __name__ == "__main__":
    main(globals())
