"""Stubs of a project's readers: what an editor shows of a mart is what it declares."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from platform_assets.cli import main
from platform_assets.environment import REPOSITORY
from platform_assets.readers.stubs import STUB, stub_of
from tests.readers.worlds import ROWS, World
from tests.support.processes import run_python

GOOD = """
from platform_assets.readers import arrow, open_marts, orders, viewers

spent = orders(since="1998-01-01", columns=["customer_id", "amount"])
rows = viewers.arrow(as_of="1998-05-01", columns=["viewer_id", "zip_code"])
marts = open_marts()
counted = arrow(marts.orders().count())
"""
WRONG = {
    'orders(columns=["amout"])': "amout",
    'films(as_of="1998-01-01")': "as_of",
    'viewers(since="1998-01-01")': "since",
    "orders(since=5)": "since",
    "open_marts().odrers": "odrers",
}


def test_the_command_prints_a_stub_or_writes_it_where_type_checkers_look(world: World, tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["stubs"])
    assert shown.exit_code == 0, shown.output
    written = CliRunner().invoke(main, ["stubs", "--output", str(tmp_path / "typings")])
    assert written.stdout == f"{tmp_path / 'typings' / STUB}\n"
    assert (tmp_path / "typings" / STUB).read_text(encoding="utf-8") == shown.stdout
    for text in ("One row per order.", "zip_code (varchar, personal: only when named): Postal code.", *ROWS):
        assert text in shown.stdout


def test_whatever_people_write_of_a_mart_is_text_in_the_stub(world: World) -> None:
    orders = world.catalog.marts["orders"]
    said = 'Ends in a "quote"\n"""\nimport os\n\\" and \\'
    odd = replace(orders, description=said, descriptions=dict.fromkeys(orders.columns, said))
    named = {"items": odd, "class": odd, "two words": odd, "arrow": odd, "_own": odd, "date": odd}
    marts = {name: replace(mart, name=name) for name, mart in named.items()}
    tree = ast.parse(stub_of(replace(world.catalog, marts=marts)))
    readers = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("_Reader_")]
    assert [reader.name for reader in readers] == ["_Reader_items", "_Reader_date"]
    [reader, _] = readers
    assert 'Ends in a "quote"' in str(ast.get_docstring(reader))
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert "os" not in imported


@pytest.mark.slow
def test_a_type_checker_knows_each_mart_s_columns_and_arguments(world: World, tmp_path: Path) -> None:
    CliRunner().invoke(main, ["stubs", "--output", str(tmp_path / "typings")])
    lines = [f"{line}\n" for line in WRONG]
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "wrong.py").write_text(
        "from platform_assets.readers import films, open_marts, orders, viewers\n" + "".join(lines)
    )
    options = ("--no-site-packages", "--ignore-missing-imports", "--strict", f"--cache-dir={tmp_path / 'cache'}")
    checked = run_python(
        "-m", "mypy", *options, "good.py", "wrong.py", folder=tmp_path,
        variables={"MYPYPATH": str(tmp_path / "typings"), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert {line.partition(": ")[0] for line in errors} == {f"wrong.py:{n}" for n in range(2, 2 + len(WRONG))}, checked
    for error, said in zip(sorted(errors), WRONG.values(), strict=True):
        assert said in error
