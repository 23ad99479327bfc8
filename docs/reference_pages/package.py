"""The package as files: where its modules lie, and what their docstrings say.

Belongs here: finding modules by what they define, never by where they are thought to lie. Does not belong here: a page.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from reference_pages.markdown import text_of

REPOSITORY = Path(__file__).resolve().parents[2]
# What stands at its top stands beside the rooms.
TOP = "platform_assets"
PACKAGE = REPOSITORY / TOP


@cache
def module_that_defines(name: str) -> Any:
    """The module of the package that holds class `name`, wherever it lies."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if re.search(rf"^class {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            return importlib.import_module(module_of(path))
    raise LookupError(f"no module of {PACKAGE} defines {name}")


def module_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def path_of(module: str) -> str:
    place = REPOSITORY.joinpath(*module.split("."))
    return (place if place.is_dir() else place.with_suffix(".py")).relative_to(REPOSITORY).as_posix()


def docstring_of(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    blocks: list[str] = []
    drawn: list[str] = []
    prose: list[str] = []

    def close(lines: list[str], shape: Callable[[str], str]) -> None:
        if any(line.strip() for line in lines):
            blocks.append(shape("\n".join(lines).strip("\n")))
        lines.clear()

    for line in said.splitlines():
        if line.startswith("    "):
            close(prose, text_of)
            drawn.append(line)
        elif line.strip():
            close(drawn, _drawn)
            prose.append(line)
        else:
            close(prose, text_of)
            close(drawn, _drawn)
    close(prose, text_of)
    close(drawn, _drawn)
    return "\n\n".join(blocks)


def _drawn(text: str) -> str:
    return f"```text\n{text}\n```"


def summary_of(documented: type) -> str:
    """What the docstring of a class says before its attributes."""
    return inspect.cleandoc(documented.__doc__ or "").partition("\nAttributes:")[0].strip()


def meanings_of(documented: type) -> dict[str, str]:
    """Attribute → what the docstring of its class, or of one that it is derived from, says of it."""
    meanings: dict[str, str] = {}
    for of in reversed(documented.__mro__):
        listed = inspect.cleandoc(of.__doc__ or "").partition("Attributes:\n")[2]
        for name, said in re.findall(r"^ {4}(\w+): ((?:.*\n?)(?: {8}.*\n?)*)", listed, re.MULTILINE):
            meanings[name] = " ".join(said.split())
    return meanings
