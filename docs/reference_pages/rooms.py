"""Pages on the rooms of the package: what belongs in each module, and what it offers.

Belongs here: a page a room, out of docstrings and signatures.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reference_pages.markdown import page, table, text_of
from reference_pages.package import PACKAGE, docstring_of


def room_pages() -> Iterator[tuple[str, str]]:
    """A page for what stands at the top of the package, and one for each folder there."""
    top = [path for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"]
    yield (
        "top",
        page("At the top", docstring_of(PACKAGE / "__init__.py"), *(part for path in top for part in _module(path))),
    )
    for folder in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        files = sorted(folder.rglob("*.py"), key=_outside_in)
        first, rest = files[0], files[1:]
        yield (
            folder.name,
            page(
                f"`{folder.name}`",
                docstring_of(first),
                *_names(first),
                *(part for path in rest for part in _module(path)),
            ),
        )


def _outside_in(path: Path) -> tuple[Any, ...]:
    folder = path.parent.relative_to(PACKAGE).parts
    return (folder, path.name != "__init__.py", path.name)


def _module(path: Path) -> Iterator[str]:
    shown = path.parent if path.name == "__init__.py" else path
    level = "#" * max(2, len(shown.relative_to(PACKAGE).parts))
    yield f"{level} `{shown.relative_to(PACKAGE).as_posix()}{'/' if shown.is_dir() else ''}`"
    yield docstring_of(path)
    yield from _names(path)


def _names(path: Path) -> Iterator[str]:
    """Public classes and functions with the first line of what they say."""
    rows = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            said = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
            called = node.name if isinstance(node, ast.ClassDef) else f"{node.name}({', '.join(_arguments(node))})"
            rows.append((f"`{called}`", text_of(said)))
    if rows:
        yield table(("name", "what it is"), rows)


def _arguments(node: ast.FunctionDef) -> list[str]:
    return [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if one.arg != "self"]
