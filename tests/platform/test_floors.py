"""The house: every room stands on a floor that the import contracts name, and says what belongs in it."""

import ast
import subprocess
import sys
from pathlib import Path

from platform_assets.environment import PACKAGE, REPOSITORY

# A room with more files is two rooms.
MOST_FILES = 12


def test_imports_point_down_as_the_contracts_say() -> None:
    """`pyproject.toml` names the floors; a room that no contract names breaks them too."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_file_says_what_belongs_in_it() -> None:
    undescribed = [path for path in PACKAGE.rglob("*.py") if ast.get_docstring(ast.parse(path.read_text())) is None]
    assert undescribed == []


def test_no_room_holds_more_files_than_a_newcomer_reads() -> None:
    rooms = {path.parent for path in PACKAGE.rglob("__init__.py")}
    files = {str(room.relative_to(PACKAGE)): len(list(room.glob("*.py"))) - 1 for room in rooms}
    assert {room: count for room, count in files.items() if count > MOST_FILES} == {}
