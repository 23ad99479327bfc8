"""The house: a room uses only rooms on floors below it, and `learning` uses none."""

import ast
from pathlib import Path

import pytest

from platform_assets.environment import PACKAGE

FLOORS = (
    {"execution", "storage"},
    {"learning", "artifacts", "warehouse", "quality"},
    {"exports", "features", "transform"},
    {"campaigns"},
    {"audiences"},
    {"components"},
    {"automation", "operations"},
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def rooms_used(room: str) -> set[str]:
    used = set()
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            used |= {name.split(".")[1] for name in names if name.startswith("platform_assets.")}
    return used - {room}


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_a_room_uses_only_what_stands_below_it(room: str) -> None:
    # Where things are (the environment) may be known on every floor.
    assert {other for other in rooms_used(room) - {"environment"} if FLOOR_OF[other] >= FLOOR_OF[room]} == set()


def test_learning_could_be_published_alone() -> None:
    assert rooms_used("learning") == set()


def test_every_room_stands_on_a_floor_and_says_what_belongs_in_it() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(FLOOR_OF)
    undescribed = [
        path for path in PACKAGE.rglob("*.py") if ast.get_docstring(ast.parse(Path(path).read_text())) is None
    ]
    assert undescribed == []
