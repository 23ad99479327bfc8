"""A project's own feature groups: a file adds one, whatever it imports remakes it, and a mistake is told with its line."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_assets.data.features.derived.groups import DerivedGroup
from platform_assets.data.features.registry import GroupRefused, find_holdings
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_recipe, feature_table
from platform_assets.foundation.artifacts import code
from tests.data.features.conftest import AS_OF, CATALOG, Platform

ADDED = '''"""Added by a file."""

import beside_the_project
from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.windows import so_far, total

from ._money import factor


def build(marts, spine):
    """Nothing but a sum."""
    spent = so_far(marts["orders"], spine, {"spent": total("amount")})
    return spent.mutate(spent=spent.spent * factor() * beside_the_project.RATE)


FEATURES = {"spent": Feature("dollars")}
GROUP = FeatureGroup("added", "customer", "Added", ("orders",), FEATURES, build, __name__)
'''
PLAIN = ADDED.replace("import beside_the_project\n", "").replace(" * beside_the_project.RATE", "")
FILES = {
    "features/added.py": ADDED,
    "features/_money.py": "def factor():\n    from .shared.rates import TWO\n    return TWO\n",
    "features/shared/rates.py": "from .deep import deeper\nTWO = 2\n",
    "features/shared/deep/deeper.py": "VALUE = 1\n",
    "beside_the_project.py": "RATE = 1\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One group, which imports helpers of three kinds."""
    folder = tmp_path / "project"
    for name, text in FILES.items():
        write(folder / name, text)
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("beside_the_project", None)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    code._read.cache_clear()


def fingerprint(project: Path, platform: Platform) -> str:
    group = find_holdings(project, CATALOG).groups["customer"]["added"]
    spine = Spine.of_population(CATALOG.entities["customer"], AS_OF)
    return feature_recipe(group, spine, platform.warehouse).fingerprint


def refusal(project: Path) -> str:
    with pytest.raises(GroupRefused) as refused:
        find_holdings(project, CATALOG)
    return str(refused.value)


def test_a_file_adds_a_group_and_without_one_all_are_derived(project: Path, platform: Platform) -> None:
    spine = Spine.of_population(CATALOG.entities["customer"], AS_OF)
    group = find_holdings(project, CATALOG).groups["customer"]["added"]
    table = feature_table([group], spine, platform.warehouse, platform.store).table
    assert table["spent"].to_pylist() == [264.98, 20.0, 20.0]
    derived = find_holdings(platform.folder / "nothing", CATALOG).groups.get("customer", {})
    assert all(isinstance(group, DerivedGroup) for group in derived.values())


def test_two_projects_in_one_process_stay_apart(project: Path, platform: Platform, tmp_path: Path) -> None:
    other = shutil.copytree(project, tmp_path / "other")
    write(other / "features/shared/rates.py", "TWO = 5\n")
    groups = [find_holdings(folder, CATALOG).groups["customer"]["added"] for folder in (project, other, project)]
    spine = Spine.of_population(CATALOG.entities["customer"], AS_OF)
    first, second, third = (feature_recipe(group, spine, platform.warehouse).fingerprint for group in groups)
    assert first == third != second
    tables = [feature_table([group], spine, platform.warehouse, platform.store).table for group in groups]
    assert [table["spent"][1].as_py() for table in tables] == [20.0, 50.0, 20.0]


def test_a_fingerprint_is_the_same_wherever_the_project_lies(project: Path, platform: Platform, tmp_path: Path) -> None:
    before = fingerprint(project, platform)
    assert fingerprint(shutil.copytree(project, tmp_path / "elsewhere"), platform) == before


def test_a_comment_remakes_nothing(project: Path, platform: Platform) -> None:
    before = fingerprint(project, platform)
    write(
        project / "features/added.py",
        ADDED.replace("Nothing but a sum", "Just a sum").replace("GROUP =", "# Ours.\nGROUP ="),
    )
    write(project / "features/_unused.py", "VALUE = 1\n")
    assert fingerprint(project, platform) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("features/added.py", "factor() *", "factor() * 2 *"),
        ("features/_money.py", "return TWO", "return -TWO"),
        ("features/shared/rates.py", "TWO = 2", "TWO = 3"),
        ("features/shared/deep/deeper.py", "VALUE = 1", "VALUE = 2"),
        ("features/shared/__init__.py", "", "VALUE = 1\n"),
        ("beside_the_project.py", "RATE = 1", "RATE = 2"),
    ],
)
def test_every_module_of_the_project_that_a_group_imports_remakes_it(
    project: Path, platform: Platform, file: str, old: str, new: str
) -> None:
    before = fingerprint(project, platform)
    write(project / file, FILES.get(file, "").replace(old, new) if old else new)
    assert fingerprint(project, platform) != before


def test_an_edit_within_the_second_is_what_runs(project: Path, platform: Platform) -> None:
    spine = Spine.of_population(CATALOG.entities["customer"], AS_OF)
    spent = []
    for two in (2, 3):
        write(project / "features/shared/rates.py", f"TWO = {two}\n")
        group = find_holdings(project, CATALOG).groups["customer"]["added"]
        spent.append(feature_table([group], spine, platform.warehouse, platform.store).table["spent"][1].as_py())
    assert spent == [20.0, 30.0]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\ndef build(:\n", 2, "is not Python: invalid syntax"),
        ("import nobody_has_this\n", 1, "cannot be imported: ModuleNotFoundError: No module named 'nobody_has_this'"),
        ("\n\nRATE = 1 / 0\n", 3, "cannot be imported: ZeroDivisionError: division by zero"),
        ("VALUE = 1\n", 1, "declares no group: write GROUP = FeatureGroup"),
        ("\nGROUP = 3\n", 2, "GROUP is a int; write GROUP = FeatureGroup"),
        (
            PLAIN.replace("__name__", '"elsewhere"'),
            16,
            "GROUP is declared with module='elsewhere'; write module=__name__",
        ),
        (PLAIN.replace('"added"', '"not so"'), 16, "'not so' is not letters, digits and _"),
        (PLAIN.replace('"customer"', '"costumer"'), 16, "there is no entity 'costumer'"),
        (PLAIN.replace('("orders",)', '("order",)'), 16, "there is no mart 'order'"),
        (PLAIN, 16, "group added of customer is declared at {first}:17 already; rename one"),
        (
            PLAIN.replace('"added"', '"more"'),
            15,
            "feature spent of customer is declared at {first}:16 already; rename one",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(project: Path, text: str, line: int, said: str) -> None:
    file = project.resolve() / "features" / "second.py"
    write(file, text)
    told = refusal(project)
    assert told.startswith(f"{file}:{line}: "), told
    assert said.format(first=file.with_name("added.py")) in told


def test_what_is_wrong_with_a_helper_is_told_in_the_helper(project: Path) -> None:
    write(project / "features/_money.py", "def factor(\n")
    assert refusal(project).startswith(f"{project.resolve()}/features/_money.py:1: is not Python: ")
    write(project / "features/_money.py", "\nRATE = {}['dollar']\n")
    assert refusal(project) == f"{project.resolve()}/features/_money.py:2: cannot be imported: KeyError: 'dollar'"


def test_a_name_that_cannot_be_imported_is_refused(project: Path) -> None:
    write(project / "features/order-peaks.py", PLAIN)
    assert "order-peaks.py: its name cannot be imported; name it with letters, digits and _" in refusal(project)
