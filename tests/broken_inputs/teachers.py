"""Teacher files that cannot be trusted."""

from collections.abc import Callable
from pathlib import Path

from samples.teachers import SCIFI_FILE
from tests.broken_inputs.world import MARK, Broken, World, emptied

Lines = list[str]


def teacher(what: str, change: Callable[[Lines], Lines], *names: str) -> Broken:
    """The demo's teacher file with other lines, the header first."""

    def rewrite(world: World) -> Path:
        path = Path(world.environment.teachers) / SCIFI_FILE
        path.write_text("\n".join(change(path.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8")
        return path

    return Broken(what, rewrite, lambda world: world.said_by_run("scifi_fans/training_set"), names)


def as_bytes(what: str, content: bytes, *names: str) -> Broken:
    def rewrite(world: World) -> Path:
        path = emptied(Path(world.environment.teachers) / SCIFI_FILE)
        path.write_bytes(content)
        return path

    return Broken(what, rewrite, lambda world: world.said_by_run("scifi_fans/training_set"), names)


def absent(world: World) -> Path:
    path = Path(world.environment.teachers) / SCIFI_FILE
    return path.rename(path.with_name("scifi_fan.csv")).with_name(SCIFI_FILE)


ROWS = (
    teacher("a teacher file without a column", lambda lines: [line.rpartition(",")[0] for line in lines], "label"),
    teacher(
        "a teacher file with a row too long",
        lambda lines: [*lines, f"1,1998-01-15T00:00:00Z,1,{MARK}"],
        "column",
    ),
    teacher(
        "a teacher file with a label that is neither 0 nor 1",
        lambda lines: [*lines[:-1], lines[-1][:-1] + "2"],
        "label",
    ),
    teacher(
        "a teacher file with an address for a label", lambda lines: [*lines, f"1,1998-01-15T00:00:00Z,{MARK}"], "label"
    ),
    teacher("a teacher file with an address for a time", lambda lines: [*lines, f"1,{MARK},1"], "as_of"),
    teacher(
        "a teacher file with an address for a key",
        lambda lines: [*lines, f"{MARK},1998-01-15T00:00:00Z,1"],
        "viewer_id",
    ),
    teacher(
        "a teacher file without its header", lambda lines: [f"{MARK},1998-01-15T00:00:00Z,1", *lines[1:]], "viewer_id"
    ),
    teacher("a teacher file with a time without its zone", lambda lines: [*lines, "1,1998-01-15T00:00:00,1"], "as_of"),
    teacher("a teacher file with a row twice", lambda lines: [*lines, lines[1]], "viewer_id"),
    teacher(
        "a teacher file about people whom nobody knows",
        lambda lines: [*lines, "999999,1998-01-15T00:00:00Z,1"],
        "viewer_id",
    ),
    teacher(
        "a teacher file of one class", lambda lines: [lines[0], *(line[:-1] + "1" for line in lines[1:])], "negatives"
    ),
    as_bytes("a teacher file that is empty", b""),
    as_bytes("a teacher file that is no text", MARK.encode() + b"\x00\xff\xfe" * 100),
    Broken(
        "a teacher file that is absent",
        absent,
        lambda world: world.said_by_run("scifi_fans/training_set"),
        ("scifi_fan.csv",),
    ),
)
