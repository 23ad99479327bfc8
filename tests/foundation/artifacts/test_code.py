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
    code._read.cache_clear()
    yield tmp_path / PACKAGE
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    code._read.cache_clear()


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
    with pytest.raises(ModuleNotFoundError, match="windows"):
        closure()


@pytest.fixture
def helped(house: Path) -> Path:
    """The house with a group that imports helpers of nobody's distribution: a module and a folder beside the package."""
    beside = house.parent
    (beside / "helper_under_test.py").write_text("RATE = 1\n")
    for name, text in {
        "__init__.py": "LEVEL = 1\n",
        "_money.py": "from . import _rounding\n",
        "_rounding.py": "TO = 2\n",
    }.items():
        (beside / "own_under_test").mkdir(exist_ok=True)
        (beside / "own_under_test" / name).write_text(text)
    (house / "group.py").write_text(
        "import helper_under_test\nfrom own_under_test._money import x\nimport nobody_has_this\n"
    )
    return beside


@pytest.mark.parametrize(
    ("file", "old"),
    [
        ("helper_under_test.py", "RATE = 1"),
        ("own_under_test/_rounding.py", "TO = 2"),
        ("own_under_test/__init__.py", "LEVEL = 1"),
    ],
)
def test_a_helper_outside_the_package_changes_the_closure(helped: Path, file: str, old: str) -> None:
    before = closure()
    edit(helped / file, old, "OTHER = 3")
    assert closure() != before


def test_an_installed_package_counts_by_its_version_wherever_it_was_installed(helped: Path) -> None:
    (helped / "helper_under_test-1.dist-info").mkdir()
    (helped / "helper_under_test-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: helper-under-test\nVersion: 1\n"
    )
    (helped / "helper_under_test-1.dist-info" / "top_level.txt").write_text("helper_under_test\nown_under_test\n")
    cached = (code._distributions, code._distribution_versions, code._was_installed_into)
    for each in cached:
        each.cache_clear()
    try:
        assert closure()["helper-under-test"] == "1"
        assert not {name for name in closure() if name.startswith("own_under_test")}
    finally:
        for each in cached:
            each.cache_clear()


def test_a_folder_without_code_of_its_own_is_no_missing_module(helped: Path) -> None:
    (helped / "own_under_test" / "__init__.py").unlink()
    assert set(closure()) == {
        f"{PACKAGE}.group",
        "helper_under_test",
        "own_under_test._money",
        "own_under_test._rounding",
    }
