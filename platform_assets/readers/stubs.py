"""Types of a project's readers, for editors and type checkers: its marts, their columns, and what each means.

Belongs here: the text of the stub. Does not belong here: where it is written.
"""

import keyword
from collections.abc import Iterator
from pathlib import Path

from platform_assets.data.catalog.catalog import Catalog, Mart
from platform_assets.readers import OFFERED
from platform_assets.readers.reader import described

# Below a folder of stubs, as type checkers look for it.
STUB = Path("platform_assets", "readers", "__init__.pyi")
_HEAD = '''"""Readers of the marts that this project declares, as `platform-assets stubs` writes them; write them again when marts change."""

from collections.abc import Iterable as _Iterable, Iterator as _Iterator
from datetime import date as _date, datetime as _datetime
from typing import Any as _Any, Literal as _Literal

import ibis.expr.types as _ir
import pyarrow as _pa

_Moment = _date | _datetime | str

class ReadRefused(ValueError): ...

class Reader:
    """One mart, as it is published when it is called."""

    name: str
    watermark: _datetime
    published: _Any
    def __call__(
        self,
        *,
        since: _Moment | None = None,
        as_of: _Moment | None = None,
        covers: _Moment | None = None,
        columns: _Iterable[str] | None = None,
    ) -> _ir.Table: ...
    def arrow(
        self,
        *,
        since: _Moment | None = None,
        as_of: _Moment | None = None,
        covers: _Moment | None = None,
        columns: _Iterable[str] | None = None,
    ) -> _pa.Table: ...
'''
_TAIL = '''
class Marts:
    """A reader for every mart, all of the versions that were published at one moment."""

{marts}
    def __getitem__(self, name: str) -> Reader: ...
    def __iter__(self) -> _Iterator[str]: ...
    def arrow(self, expression: _ir.Expr) -> _pa.Table: ...

def open_marts(environment: _Any = None) -> Marts: ...
def arrow(expression: _ir.Expr) -> _pa.Table: ...
'''


def stub_of(catalog: Catalog) -> str:
    """The stub of `platform_assets.readers` in a project with these marts.

    Marts that are reached by `open_marts()["<name>"]` alone, for their names are no names of Python's, are left out.
    """
    named = [mart for name, mart in catalog.marts.items() if _is_a_name(name)]
    classes = ["\n".join(_class_of(mart)) for mart in named]
    listed = [f"    {mart.name}: {_class_name(mart)}" for mart in named]
    variables = [line.strip() for line in listed]
    return "\n".join([_HEAD, *classes, *variables, _TAIL.format(marts="\n".join(listed))])


def _is_a_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_") and name not in OFFERED


def _class_name(mart: Mart) -> str:
    return f"_Reader_{mart.name}"


def _class_of(mart: Mart) -> Iterator[str]:
    """The class of a mart's reader; it takes what the mart answers."""
    takes = [
        *(["since"] if mart.event_time is not None else []),
        *(["as_of"] if mart.event_time is not None or mart.history == "scd2" else []),
        "covers",
    ]
    columns = ", ".join(f'"{name}"' if '"' not in name and "\\" not in name else repr(name) for name in mart.columns)
    yield f"class {_class_name(mart)}:"
    yield f"    {_docstring(described(mart))}"
    yield ""
    yield "    name: str"
    yield "    watermark: _datetime"
    yield "    published: _Any"
    for called, gives in (("__call__", "_ir.Table"), ("arrow", "_pa.Table")):
        yield f"    def {called}("
        yield "        self,"
        yield "        *,"
        yield from (f"        {name}: _Moment | None = None," for name in takes)
        yield f"        columns: _Iterable[_Literal[{columns}]] | None = None,"
        yield f"    ) -> {gives}: ..."
    yield ""


def _docstring(text: str) -> str:
    escaped = text.strip().replace("\\", "\\\\").replace('"', '\\"')
    return '"""' + "\n".join(f"    {line}".rstrip() for line in escaped.splitlines()).strip() + '\n    """'
