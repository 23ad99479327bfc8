"""The page on what people type: the platform's command and make's targets.

Belongs here: commands, their options and the Makefile's words. Does not belong here: what a command does; its help says that.
"""

import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from reference_pages.markdown import page, table, text_of
from reference_pages.package import REPOSITORY


def commands_page() -> str:
    name, group = _command_line()
    parts = ["## Of the platform", text_of(inspect.cleandoc(group.help or "")), *_command_tables(group, name)]
    parts += [
        "## Of make",
        "Each sets up what it needs.",
        table(
            ("command", "what it does"), [(f"`make {name}`", text_of(words)) for name, words in make_targets().items()]
        ),
        "Assets, jobs, schedules and the web UI are Dagster's: `dagster --help`.",
    ]
    return page("Commands", *parts)


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
        yield text_of(inspect.cleandoc(command.help or ""))
        if options := [one for one in parameters if isinstance(one, click.Option)]:
            yield table(
                ("option", "meaning", "default"),
                [(f"`{_typed(one)}`", text_of(_said(one)), _option_default(one)) for one in options],
            )


def _typed(option: Any) -> str:
    """How an option is typed, with what it takes."""
    import click

    names = "/".join([", ".join(option.opts), *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.make_metavar(click.Context(click.Command('')))}"


def _said(option: Any) -> str:
    said = option.help or ""
    return f"{said.removesuffix('.')}. May be repeated." if option.multiple and "repeated" not in said else said


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
