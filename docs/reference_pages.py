"""The reference, written from the code each time the documentation is built.

Belongs here: a Sphinx extension that reads the package and writes pages below `reference/generated/`, which are not
committed. What a page says comes from docstrings, field descriptions and help texts: whoever changes those changes it.
Does not belong here: any sentence about the platform, and where modules lie: they are found by what they define.
"""

import ast
import importlib
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "platform_assets"
GENERATED = Path(__file__).parent / "reference" / "generated"
# Modules that stand at the top of the package, beside the rooms.
TOP = "platform_assets"


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", lambda _: write_pages(GENERATED))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder: Path) -> list[Path]:
    """Write every page; one that says what it said before is left alone, and one that nothing makes any more goes."""
    pages = {
        "environment": environment_page(),
        "campaign-file": campaign_page(),
        "source-file": source_page(),
        "commands": commands_page(),
        "metadata": metadata_page(),
        "_audience-columns": audience_columns(),
        **{f"rooms-{name}": text for name, text in room_pages()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    written = []
    for name, text in pages.items():
        place = folder / f"{name}.md"
        if not place.is_file() or place.read_text(encoding="utf-8") != text:
            place.write_text(text, encoding="utf-8")
        written.append(place)
    return written


def environment_page() -> str:
    module = importlib.import_module(f"{TOP}.environment")
    cloud = set(module.CLOUD_ONLY)
    rows = [
        (f"`{name}`", _text(words), "`gcp`, `emulated`" if name in cloud else _emulated(name))
        for name, words in {**module.VARIABLES, **module.EMULATOR_VARIABLES}.items()
    ]
    return _page(
        "Environment variables",
        f"Read in `{_path(module.__name__)}` and nowhere else. A `PLATFORM_…` variable that is not in this list is refused, and "
        "so is one that means nothing where `PLATFORM_ENV` says the platform runs. A project's `platform-settings.env` sets them too, "
        "a line each (`NAME=value`, no quotes, paths from the project's folder); the process's own win.",
        _table(("variable", "what it sets", "only with `PLATFORM_ENV`"), rows),
    )


def _emulated(name: str) -> str:
    return "`emulated`" if "EMULATOR" in name or name.endswith("STORAGE_HOST") else ""


def campaign_page() -> str:
    module = _module_that_defines("CampaignSpec")
    return _page(
        "Keys of a campaign file",
        f"A campaign is `defs/campaigns/<name>/defs.yaml` in the project, or `<name>/defs.yaml` below `PLATFORM_CAMPAIGNS_DIR`. Keys "
        f"stand below `attributes`. A key that nothing honours is refused. Declared in `{_path(module.__name__)}`; "
        "`platform-assets schema` prints the JSON Schema for editors.",
        *_schema_tables(module.CampaignSpec.model_json_schema(), "attributes"),
    )


def source_page() -> str:
    module = _module_that_defines("ExportSourceSpec")
    return _page(
        "Keys of a source file",
        f"A source is `defs/sources/<name>/defs.yaml` in the project, or `<name>/defs.yaml` below `PLATFORM_SOURCES_DIR`. Keys stand "
        f"below `attributes`. Declared in `{_path(module.__name__)}`.",
        *_schema_tables(module.ExportSourceSpec.model_json_schema(), "attributes"),
    )


def _schema_tables(schema: dict[str, Any], name: str) -> Iterator[str]:
    definitions = schema.get("$defs", {})
    for title, shape in {name: schema, **definitions}.items():
        if "properties" not in shape:
            continue
        yield f"## {title}" if title != name else f"## `{title}`"
        if title != name and (said := shape.get("description")):
            yield _text(said)
        required = set(shape.get("required", ()))
        yield _table(
            ("key", "what it says", "takes", "default"),
            [
                (
                    f"`{key}`",
                    _text(field.get("description", "")),
                    _kind(field),
                    "**needed**" if key in required else _default(field),
                )
                for key, field in shape["properties"].items()
            ],
        )


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        title = field["$ref"].rpartition("/")[2]
        return f"[{title}](#{title.lower()})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(one) for one in field["anyOf"] if one.get("type") != "null"))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}" if "items" in field else "list"
    if field.get("type") == "object":
        return "mapping"
    known = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    said = known.get(field.get("type", ""), "anything")
    said = {"date": "date"}.get(field.get("format", ""), said)
    bounds = [
        f"{sign} {field[bound]}"
        for bound, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if bound in field
    ]
    examples = [f"as `{example}`" for example in field.get("examples", ())]
    return " ".join([said, ", ".join(bounds), ", ".join(examples)]).strip()


def _default(field: dict[str, Any]) -> str:
    if "default" not in field or isinstance(field["default"], dict):
        return ""
    value = field["default"]
    return "none" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def audience_columns() -> str:
    """The columns of an audience and their meanings, which BigQuery shows too."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "MEANINGS" in ast.unparse(node).partition("=")[0]:
                assert node.value is not None
                meanings = ast.literal_eval(node.value)
                if "arm" in meanings:
                    return _table(
                        ("column", "meaning"), [(f"`{name}`", _text(said)) for name, said in meanings.items()]
                    )
    raise LookupError(f"no module of {PACKAGE} says in MEANINGS what the columns of an audience mean")


def commands_page() -> str:
    name, group = _command_line()
    parts = ["## Of the platform", f"`{name}` {_text(group.help or '')}", *_command_tables(group, name)]
    parts += [
        "## Of make",
        "Each sets up what it needs.",
        _table(
            ("command", "what it does"), [(f"`make {name}`", _text(words)) for name, words in make_targets().items()]
        ),
        "Assets, jobs, schedules and the web UI are Dagster's: `dagster --help`.",
    ]
    return _page("Commands", *parts)


def _command_line() -> tuple[str, Any]:
    """The name and click group that pyproject.toml installs."""
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    name, place = next(iter(scripts.items()))
    module, _, attribute = place.partition(":")
    return name, getattr(importlib.import_module(module), attribute)


def _command_tables(group: Any, called: str) -> Iterator[str]:
    import click

    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from _command_tables(command, f"{called} {name}")
            continue
        parameters = [one for one in command.params if not getattr(one, "hidden", False)]
        arguments = " ".join(
            one.make_metavar(click.Context(command)) for one in parameters if isinstance(one, click.Argument)
        )
        yield f"### `{' '.join(filter(None, (called, name, arguments)))}`"
        yield _text(command.help or "")
        if options := [one for one in parameters if isinstance(one, click.Option)]:
            yield _table(
                ("option", "meaning", "default"),
                [(f"`{', '.join(one.opts)}`", _text(one.help or ""), _option_default(one)) for one in options],
            )


def _option_default(option: Any) -> str:
    if option.required:
        return "**needed**"
    plain = isinstance(option.default, str | int | float) and not isinstance(option.default, bool)
    return f"`{option.default}`" if plain else ""


def make_targets() -> dict[str, str]:
    """Targets that people type → what the Makefile says of them: the line after `##` above the rule, or its comment."""
    lines = (REPOSITORY / "Makefile").read_text(encoding="utf-8").splitlines()
    phony = {name for line in lines if line.startswith(".PHONY:") for name in line.partition(":")[2].split()}
    found: dict[str, str] = {}
    above: list[str] = []
    for line in lines:
        if line.startswith("#"):
            above.append(line)
            continue
        rule = re.match(r"([a-z][a-z-]*):(?!=)", line)
        if rule and rule[1] in phony:
            listed = [said for said in above if said.startswith("## ")] or above
            found[rule[1]] = " ".join(said.lstrip("# ") for said in listed)
        above = []
    return found


def metadata_page() -> str:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for path in sorted(PACKAGE.rglob("*.py")):
        for key in metadata_keys(ast.parse(path.read_text(encoding="utf-8"))):
            found[key][_path(_module_of(path))] = None
    rows = [(f"`{key}`", ", ".join(f"`{place}`" for place in places)) for key, places in sorted(found.items())]
    return _page(
        "Metadata keys",
        "What assets and checks tell in Dagster, beside what Dagster itself tells: the keys that the code names, and where.",
        _table(("key", "told by"), rows),
    )


def metadata_keys(tree: ast.Module) -> set[str]:
    """Keys of what a module hands to Dagster as metadata, as far as they stand there as text."""
    with_dagster = any(
        (isinstance(node, ast.Import) and any(alias.name == "dagster" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "dagster")
        for node in ast.walk(tree)
    )
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (
            node.name.endswith("_metadata") and (with_dagster or "dagster" in node.name)
        ):
            found |= {
                key for inner in ast.walk(node) for key in _keys(getattr(inner, "value", None), inner, ast.Return)
            }
        if not with_dagster:
            continue
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == "metadata" and node.value is not None:
                found |= _keys(node.value)
            if (
                isinstance(target, ast.Subscript)
                and isinstance(target.value, ast.Name)
                and target.value.id == "metadata"
            ):
                found |= {target.slice.value} if isinstance(target.slice, ast.Constant) else set()
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for keyword in node.keywords:
                if keyword.arg == "metadata":
                    found |= _keys(keyword.value)
            if called in ("output_of", "add_output_metadata"):
                found |= {key for argument in node.args for key in _keys(argument)}
            if called == "shown":
                found |= {one.value for one in node.args[1:] if isinstance(one, ast.Constant)}
    return found


def _keys(value: ast.AST | None, of: ast.AST | None = None, only: type[ast.AST] | None = None) -> set[str]:
    """The text keys of a dict, and of dicts joined with `|` or spread in it; with `only`, of such statements alone."""
    if value is None or (only is not None and not isinstance(of, only)):
        return set()
    if isinstance(value, ast.Dict):
        named = {key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
        return named.union(*(_keys(inner) for key, inner in zip(value.keys, value.values, strict=True) if key is None))
    if isinstance(value, ast.BinOp):
        return _keys(value.left) | _keys(value.right)
    return set()


def room_pages() -> Iterator[tuple[str, str]]:
    """A page for what stands at the top of the package, and one for each folder there."""
    top = [path for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"]
    yield (
        "top",
        _page("At the top", _docstring(PACKAGE / "__init__.py"), *(part for path in top for part in _module(path))),
    )
    for folder in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        files = sorted(folder.rglob("*.py"), key=_outside_in)
        first, rest = files[0], files[1:]
        yield (
            folder.name,
            _page(
                f"`{folder.name}`",
                _docstring(first),
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
    yield _docstring(path)
    yield from _names(path)


def _names(path: Path) -> Iterator[str]:
    """Public classes and functions with the first line of what they say."""
    rows = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            said = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
            called = node.name if isinstance(node, ast.ClassDef) else f"{node.name}({', '.join(_arguments(node))})"
            rows.append((f"`{called}`", _text(said)))
    if rows:
        yield _table(("name", "what it is"), rows)


def _arguments(node: ast.FunctionDef) -> list[str]:
    return [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if one.arg != "self"]


def _docstring(path: Path) -> str:
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
            close(prose, _text)
            drawn.append(line)
        elif line.strip():
            close(drawn, _drawn)
            prose.append(line)
        else:
            close(prose, _text)
            close(drawn, _drawn)
    close(prose, _text)
    close(drawn, _drawn)
    return "\n\n".join(blocks)


def _drawn(text: str) -> str:
    return f"```text\n{text}\n```"


@cache
def _module_that_defines(name: str) -> Any:
    """The module of the package that holds class `name`, wherever it lies."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if re.search(rf"^class {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            return importlib.import_module(_module_of(path))
    raise LookupError(f"no module of {PACKAGE} defines {name}")


def _module_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _path(module: str) -> str:
    place = REPOSITORY.joinpath(*module.split("."))
    return (place if place.is_dir() else place.with_suffix(".py")).relative_to(REPOSITORY).as_posix()


def _text(said: str) -> str:
    """Plain words as Markdown: what is not in backticks may not become markup."""
    parts = re.split(r"(`[^`\n]*`)", said.strip())
    return "".join(part if part.startswith("`") else re.sub(r"([<>*\[\]$#])", r"\\\1", part) for part in parts)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *filter(None, parts)]) + "\n"
