"""The code closure's promises: comments and docstrings do not count, constants and imports do."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_assets.foundation.artifacts import code, code_of

PACKAGE = "house_under_test"
FILES = {
    "__init__.py": "",
    "group.py": '"""Doc."""\nfrom house_under_test.windows import days\nDAYS = 7\ndef build():\n    """Doc."""\n    return days(DAYS)\n',
    "windows.py": "import json\ndef days(n):\n    from house_under_test import late\n    return n\n",
    "late.py": "import pytest\nVALUE = 1\n",
    "unrelated.py": "VALUE = 1\n",
}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / PACKAGE).mkdir(exist_ok=True)
        (tmp_path / PACKAGE / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code, "FIRST_PARTY", PACKAGE)
    for cached in (code._read, code._is_module):
        cached.cache_clear()
    yield tmp_path / PACKAGE
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    for cached in (code._read, code._is_module):
        cached.cache_clear()


def closure() -> dict[str, str]:
    return code_of(f"{PACKAGE}.group")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    code._read.cache_clear()


def test_the_closure_follows_imports_inside_functions_and_names_distributions(house: Path) -> None:
    assert set(closure()) == {f"{PACKAGE}.group", f"{PACKAGE}.windows", f"{PACKAGE}.late", "pytest"}


@pytest.mark.parametrize(
    ("old", "new"),
    [("DAYS = 7", "# weekly\nDAYS = 7"), ('"""Doc."""', '"""Other words."""'), ("DAYS = 7", "DAYS  =  7")],
)
def test_comments_docstrings_and_layout_change_nothing(house: Path, old: str, new: str) -> None:
    before = closure()
    edit(house / "group.py", old, new)
    assert closure() == before


def test_a_constant_changes_its_module_and_no_other(house: Path) -> None:
    before = closure()
    edit(house / "group.py", "DAYS = 7", "DAYS = 8")
    after = closure()
    assert {name for name in before if before[name] != after[name]} == {f"{PACKAGE}.group"}


def test_a_change_in_a_module_imported_at_depth_changes_the_closure(house: Path) -> None:
    before = closure()
    edit(house / "late.py", "VALUE = 1", "VALUE = 2")
    assert closure() != before


def test_a_module_that_is_not_imported_does_not_count(house: Path) -> None:
    before = closure()
    edit(house / "unrelated.py", "VALUE = 1", "VALUE = 2")
    assert closure() == before


def test_an_import_of_nothing_is_refused_by_name(house: Path) -> None:
    (house / "windows.py").unlink()
    code._is_module.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="windows"):
        closure()
