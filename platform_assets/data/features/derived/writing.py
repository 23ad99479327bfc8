"""Leading values written into `features/<entity>.yaml`, and nothing else of the file touched.

Belongs here: which lines change. Does not belong here: counting (`leading`), what may stand in the file (`declaration`).
"""

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.features.derived.declaration import FeatureDeclaration, read_features
from platform_assets.data.features.derived.leading import Leading
from platform_assets.foundation.documents.reading import DeclarationError, Document, read_document

_STEP = "  "


def write_leading(
    path: Path, entity: str, found: Iterable[Leading], before: date, catalog: Catalog
) -> FeatureDeclaration:
    """Write leading values into the file of an entity, which is made where it is not there; all of them, or none.

    Returns:
        what the file says now.

    Raises:
        DeclarationError: the file cannot be read, or is written so that these lines cannot be changed alone.
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new") / path.name
    aside.parent.mkdir(exist_ok=True)
    try:
        aside.write_text(
            path.read_text(encoding="utf-8") if path.exists() else f"entity: {entity}\nfeatures:\n", encoding="utf-8"
        )
        for one in found:
            if one.values:
                aside.write_text(_with(read_document(aside), one, before, path), encoding="utf-8")
        try:
            declaration = read_features(aside, catalog)
        except DeclarationError as error:
            raise DeclarationError(str(error).replace(str(aside), str(path))) from error
        for one in found:
            written = declaration.of(one.mart).categories.get(one.column)
            if one.values and (written is None or written.values != one.values):
                raise _by_hand(path, one, before)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
        aside.parent.rmdir()
    return declaration


def _with(document: Document, one: Leading, before: date, path: Path) -> str:
    """The text with one category's values: in its place, or below the nearest key that stands there."""
    lines = document.path.read_text(encoding="utf-8").splitlines()
    value = document.value if isinstance(document.value, dict) else {}
    keys = ("features", one.mart, "categories", one.column)
    there = 0
    while there < len(keys) and isinstance(value, dict) and keys[there] in value:
        value = value[keys[there]]
        there += 1
    said = _said(one, before)
    if there == len(keys):
        begins, ends = _block(lines, document.lines[keys])
        indent = lines[begins][: len(lines[begins]) - len(lines[begins].lstrip())]
        return _joined([*lines[:begins], f"{indent}{said}", *lines[ends:]])
    if there == 0:
        missing = _nested(list(keys[:-1]), said, "")
        return _joined([*lines, *missing])
    if isinstance(value, str) or (value is not None and not isinstance(value, dict)):
        raise _by_hand(path, one, before)
    begins, ends = _block(lines, document.lines[keys[:there]])
    own = lines[begins]
    indent = own[: len(own) - len(own.lstrip())]
    if not own.split(" #")[0].rstrip().endswith(":"):
        if own.split(" #")[0].rstrip().endswith("{}"):
            lines[begins] = own.split(" #")[0].rstrip()[:-2].rstrip()
        else:
            raise _by_hand(path, one, before)
    inside = next((line for line in lines[begins + 1 : ends] if line.strip() and not line.lstrip().startswith("#")), "")
    below = inside[: len(inside) - len(inside.lstrip())] or indent + _STEP
    missing = _nested(list(keys[there:-1]), said, below)
    return _joined([*lines[: begins + 1], *missing, *lines[begins + 1 :]])


def _block(lines: list[str], line: int) -> tuple[int, int]:
    """The lines of a key that stands on line `line`, counted from 1: from its own to before the next that is no deeper."""
    begins = line - 1
    depth = len(lines[begins]) - len(lines[begins].lstrip())
    ends = begins + 1
    while ends < len(lines) and (not lines[ends].strip() or len(lines[ends]) - len(lines[ends].lstrip()) > depth):
        ends += 1
    while ends > begins + 1 and not lines[ends - 1].strip():
        ends -= 1
    return begins, ends


def _nested(keys: list[str], said: str, indent: str) -> list[str]:
    nested = [f"{indent}{_STEP * depth}{key}:" for depth, key in enumerate(keys)]
    return [*nested, f"{indent}{_STEP * len(keys)}{said}"]


def _said(one: Leading, before: date) -> str:
    # JSON's quotes are YAML's too, and no value can then be taken for anything but a text.
    values = ", ".join(json.dumps(value, ensure_ascii=False) for value in one.values)
    return f"{one.column}: {{values: [{values}], counted_before: {before.isoformat()}}}"


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _by_hand(path: Path, one: Leading, before: date) -> DeclarationError:
    return DeclarationError(
        f"{path}: features.{one.mart}.categories.{one.column} cannot be written beside what stands there in braces; put each "
        f"key on a line of its own, or write below categories: {_said(one, before)}"
    )
