"""The documentation keeps its promises: what it tells people to type can be typed, what it names is there.

Belongs here: pages as text, against the parsers, files and declarations they speak of. What a command then does is tested where
that is: the demo, the commands and the doctor have tests of their own.
"""

import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from platform_assets.environment import EMULATOR_VARIABLES, REPOSITORY, VARIABLES
from tests.support.processes import run_python

DOCS = REPOSITORY / "docs"
PAGES = sorted(
    [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    + [page for page in DOCS.rglob("*.md") if not {"_build", "generated"} & set(page.parts)]
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))

NEEDS = ("*Needs a cloud.*", "*Needs a cluster.*")
# Typed as they stand, and no program of this repository.
KNOWN = ("git pull", "cd grocery", "cp -r ../exports/grocer .data/lake/exports/")
# Of the shell around the platform, beside the platform's own.
OTHER_VARIABLES = ("DAGSTER_HOME",)
# Words of the dbt project, which pages may name to say that the platform refuses them.
DBT_ALONE = ("PLATFORM_RAW_STAGE",)
PATH = re.compile(
    r"(?:platform_assets|dbt_project|defs|features|deploy|docs|samples|tests|benchmarks|\.github|\.ci)/[\w./-]*"
)
# What a reader makes.
MADE = ("defs/campaigns/big_baskets/defs.yaml", "defs/campaigns/tropical/defs.yaml", "docs/_build/html/index.html")
MOST_LINES, MOST_BYTES = 130, 200_000


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its lines, and the last line with words before it."""

    language: str
    lines: tuple[str, ...]
    above: str

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def blocks_of(page: Path) -> Iterator[Block]:
    above, language, indent, lines = "", None, 0, list[str]()
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = re.match(r"( *)```(\S*)", line)
        if language is None and fence:
            language, indent, lines = fence[2], len(fence[1]), []
        elif language is not None and fence and not fence[2]:
            yield Block(language, tuple(lines), above)
            language = None
        elif language is not None:
            lines.append(line[indent:])
        elif line.strip():
            above = line.strip()


def commands_of(block: Block) -> Iterator[str]:
    """What a console block tells people to type, a command each."""
    typed = ""
    for line in block.lines:
        if line.startswith("$ ") or typed:
            typed += line.removeprefix("$ ")
            if typed.endswith("\\"):
                typed = typed[:-1]
                continue
            yield typed
            typed = ""


def spans_of(page: Path) -> list[str]:
    """Everything in backticks outside of fenced blocks."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text)


@cache
def make_targets() -> frozenset[str]:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return frozenset(name for rule in re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE) for name in rule.split())


def parsed(program: click.Command, arguments: list[str]) -> None:
    """Take arguments apart as the program itself does, and do nothing. Raises click.UsageError."""
    command, rest = program, list(arguments)
    while isinstance(command, click.Group):
        assert rest, f"{command.name}: names no command"
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            raise click.UsageError(f"no such command: {rest[0]}")
        command, rest = found, rest[1:]
    command.make_context(command.name, rest)


def refusal_of(typed: str) -> str | None:
    """Why a command cannot be typed as it stands, or None."""
    words = shlex.split(typed, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if not words or " ".join(words) in KNOWN:
        return None
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    try:
        if program == "make":
            unknown = [word for word in rest if "=" not in word and word not in make_targets()]
            return f"the Makefile has no target {unknown[0]}" if unknown else None
        if program == "platform-assets":
            from platform_assets.cli import main

            parsed(main, rest)
            return None
        if program == "dagster":
            from dagster._cli import create_dagster_cli

            parsed(create_dagster_cli(), rest)
            return None
        if program == "export":
            names = [word.partition("=")[0] for word in rest]
            unknown = [name for name in names if name not in (*VARIABLES, *EMULATOR_VARIABLES, *OTHER_VARIABLES)]
            return f"nothing reads {unknown[0]}" if unknown else None
        if program == "python" and rest[0] == "-m":
            if importlib.util.find_spec(rest[1]) is None:
                return f"there is no module {rest[1]}"
            lost = [word for word in rest[2:] if "/" in word and not (REPOSITORY / word).exists()]
            return f"{lost[0]} is not there" if lost else None
    except click.UsageError as error:
        return error.format_message()
    return f"no test knows {program}; say above the block what it needs ({' or '.join(NEEDS)})"


@each_page
def test_every_command_on_a_page_can_be_typed_or_says_what_it_needs(page: Path) -> None:
    blocks = [block for block in blocks_of(page) if block.language == "console" and block.above not in NEEDS]
    refused = {typed: why for block in blocks for typed in commands_of(block) if (why := refusal_of(typed))}
    assert refused == {}


@each_page
def test_a_console_block_holds_commands(page: Path) -> None:
    empty = [block.text for block in blocks_of(page) if block.language == "console" and not [*commands_of(block)]]
    assert empty == []


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("make dmeo", "no target dmeo"),
        (".venv/bin/platform-assets prevew big_baskets", "no such command: prevew"),
        (".venv/bin/platform-assets new big_baskets --lik repeat_buyers", "--lik"),
        (".venv/bin/dagster job execute --jbo x", "--jbo"),
        (".venv/bin/python -m samples.picture", "no module samples.picture"),
        ("export PLATFORM_RAW_STAGE=prod", "nothing reads PLATFORM_RAW_STAGE"),
        ("gcloud auth login", "Needs a cloud"),
    ],
)
def test_a_command_that_cannot_be_typed_is_found(typed: str, why: str) -> None:
    assert why in (refusal_of(typed) or "")


@each_page
def test_targets_and_commands_named_in_a_sentence_are_there(page: Path) -> None:
    from platform_assets.cli import main

    named = [re.match(r"(make|platform-assets) ([a-z][a-z-]*)", span) for span in spans_of(page)]
    known = {"make": make_targets(), "platform-assets": frozenset(main.commands)}
    assert [found[0] for found in named if found and found[2] not in known[found[1]]] == []


@each_page
def test_every_path_named_on_a_page_is_there(page: Path) -> None:
    named = {span for span in spans_of(page) if PATH.fullmatch(span) and span not in MADE}
    # A module may be named without its ending, as a reader may find a file or a folder there.
    lost = sorted(
        path for path in named if not (REPOSITORY / path).exists() and not (REPOSITORY / f"{path}.py").is_file()
    )
    assert lost == []


@each_page
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    # Pages that the build writes are there when it is done.
    lost = [t for t in targets if t and "generated/" not in t and not (page.parent / t).exists()]
    assert lost == []


@each_page
def test_environment_variables_named_on_a_page_are_known(page: Path) -> None:
    named = set(re.findall(r"\bPLATFORM_[A-Z_]+\b", page.read_text(encoding="utf-8")))
    assert named - {*VARIABLES, *DBT_ALONE} == set()


def declarations() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(blocks_of(page)):
            if block.language == "yaml" and "type: platform_assets.components." in block.text:
                yield pytest.param(block.text, id=f"{page.relative_to(REPOSITORY)}-{number}")


@pytest.mark.parametrize("text", [*declarations()])
def test_a_yaml_file_on_a_page_is_one(text: str) -> None:
    from platform_assets import components

    written = yaml.safe_load(text)
    component = getattr(components, written["type"].rpartition(".")[2])
    model = component.get_model_cls()
    assert model is not None
    model.model_validate(written["attributes"])


def test_the_feature_file_on_the_page_can_be_honoured_where_marts_declare_what_the_page_says(tmp_path: Path) -> None:
    from dataclasses import replace

    from platform_assets.data.catalog.catalog import Catalog
    from platform_assets.data.catalog.column import column_of
    from platform_assets.data.features.derived.declaration import read_features

    page = DOCS / "how-to" / "derive-features.md"
    columns_text, file_text = [block.text for block in blocks_of(page) if block.language == "yaml"]
    columns = {column["name"]: column_of("ratings", column) for column in yaml.safe_load(columns_text)}
    catalog = Catalog.from_manifest(REPOSITORY / "dbt_project" / "target" / "manifest.json")
    ratings = catalog.mart("ratings")
    assert [name for name, one in columns.items() if one.kind != ratings.columns[name].kind] == []
    marts = catalog.marts | {"ratings": replace(ratings, columns={**ratings.columns, **columns})}
    (tmp_path / "viewer.yaml").write_text(file_text, encoding="utf-8")
    assert read_features(tmp_path / "viewer.yaml", replace(catalog, marts=marts)).of("ratings").windows


def test_the_feature_group_on_the_page_is_one() -> None:
    page = DOCS / "how-to" / "add-a-feature-group.md"
    (code,) = [block.text for block in blocks_of(page) if block.language == "python"]
    module: dict[str, Any] = {"__name__": "order_peaks"}
    exec(compile(code, str(page), "exec"), module)
    group = module["GROUP"]
    assert (group.key, group.module) == ("features/customer/order_peaks", "order_peaks")


def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= MOST_LINES
    pictures = [REPOSITORY / name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", readme)]
    assert [picture.name for picture in pictures] == ["graph.png", "report.png"]
    assert all(picture.stat().st_size <= MOST_BYTES for picture in pictures)


def test_the_reference_has_every_variable_command_key_and_module(reference: dict[str, str]) -> None:
    told = reference
    assert [name for name in (*VARIABLES, *EMULATOR_VARIABLES) if f"| `{name}` |" not in told["environment"]] == []
    assert [name for name in make_targets() if f"| `make {name}` |" not in told["commands"]] == []

    from platform_assets.cli import main
    from platform_assets.components import Campaign, ExportSource, SaasSource

    assert [name for name in main.commands if f"platform-assets {name}" not in told["commands"]] == []
    for page, component in (
        ("campaign-file", Campaign),
        ("source-file", ExportSource),
        ("source-file", SaasSource),
    ):
        fields = component.get_model_cls().model_fields
        assert [name for name, key in fields.items() if f"| `{key.alias or name}` |" not in told[page]] == []

    from platform_assets.data.catalog.declaration import KINDS
    from platform_assets.data.features.derived.declaration import FeatureDeclaration, Leading, MartFeatures

    marts: list[tuple[str, type[BaseModel]]] = [(f"kind `{kind}`", model) for kind, model in KINDS.items()]
    files: list[tuple[str, type[BaseModel]]] = [
        ("The file", FeatureDeclaration),
        ("MartFeatures", MartFeatures),
        ("Leading", Leading),
    ]
    for page, models in (("mart-declaration", marts), ("feature-file", files)):
        for title, model in models:
            _, _, section = told[page].partition(f"{title}\n")
            assert [key for key in model.model_fields if f"| `{key}` |" not in section.partition("\n## ")[0]] == []

    rooms = "\n".join(text for name, text in told.items() if name.startswith("rooms-"))
    package = REPOSITORY / "platform_assets"
    modules = [path for path in package.rglob("*.py") if path.name != "__init__.py"]
    assert [str(path) for path in modules if f"`{path.relative_to(package).as_posix()}`" not in rooms] == []


def test_every_key_variable_and_option_of_the_reference_says_what_it_means(reference: dict[str, str]) -> None:
    people_write = ("environment", "campaign-file", "source-file", "mart-declaration", "feature-file", "commands")
    rows = [(page, row) for page in people_write for row in reference[page].splitlines() if row.startswith("| `")]
    assert len(rows) > 150
    assert [(page, row) for page, row in rows if re.match(r"\| `[^`]+` \|\s*\|", row)] == []


def test_the_reference_forgets_a_page_that_nothing_makes_any_more(reference: dict[str, str]) -> None:
    assert "rooms-top" in reference
    assert "rooms-cellar" not in reference


def test_metadata_keys_are_read_from_every_way_in_which_code_tells_them(reference_pages: Any) -> None:
    import ast

    code = """
import dagster as dg
metadata = shown(made, "rows") | {"base_rate": 0.5, **{"auc": 1}}
metadata["leaderboard"] = table
result = dg.AssetCheckResult(passed=True, metadata={"file": "f", **rest})
output = output_of(made, {"csv": 1})
def _metadata(): return {"folder": 1}
elsewhere = {"not_told": 1}
"""
    told = {"rows", "base_rate", "auc", "leaderboard", "file", "csv", "folder"}
    assert reference_pages.metadata.metadata_keys(ast.parse(code)) == told


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    strictly = ("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env", "--doctree-dir", tmp_path / "trees")
    done = run_python("-m", "sphinx", *strictly, DOCS, tmp_path / "html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "tutorial" / "index.html").is_file()


@pytest.mark.parametrize("place", [".github/workflows/ci.yml", ".gitlab-ci.yml"])
def test_hosted_ci_does_what_ci_run_does(place: str) -> None:
    written = yaml.safe_load((REPOSITORY / place).read_text(encoding="utf-8"))
    job = written["jobs"]["run"] if "jobs" in written else written["run"]
    steps = [step.get("run") for step in job["steps"]] if "steps" in job else job["script"]
    assert steps[-1] == ".ci/run"


def test_the_github_workflow_may_read_only_and_names_its_actions_by_tag() -> None:
    written = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert written["permissions"] == {"contents": "read"}
    used = [step["uses"] for job in written["jobs"].values() for step in job["steps"] if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@v\d+(\.\d+)*", action)] == []


@pytest.fixture(scope="module")
def reference_pages() -> Iterator[Any]:
    """The extension, which is no part of the package: Sphinx finds it beside its settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield importlib.import_module("reference_pages")


@pytest.fixture(scope="module")
def reference(reference_pages: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Page of the reference → its text. One page was there before, of something that is gone."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "rooms-cellar.md").write_text("# A room that was", encoding="utf-8")
    reference_pages.write_pages(folder)
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
