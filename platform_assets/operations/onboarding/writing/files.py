"""Putting the files of a source into the project: what each would become, the differences, and writing that overwrites nothing.

Belongs here: comparing with what is there, adding entries to lists of YAML files without touching the rest, and writing. Does
not belong here: what the files say.
"""

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from platform_assets.environment import Environment
from platform_assets.foundation.storage import flush
from platform_assets.operations.onboarding.marts import Plan
from platform_assets.operations.onboarding.tables import OnboardingError, Place
from platform_assets.operations.onboarding.writing.declarations import (
    marts_yaml,
    source_yaml,
    sources_yaml,
    staging_yaml,
)
from platform_assets.operations.onboarding.writing.models import (
    contradictions_name,
    contradictions_sql,
    mart_sql,
    staging_name,
    staging_sql,
)

# Where the entries of a YAML file stand: keys from the top, numbers into lists.
_MODELS, _TABLES, _SOURCE_TABLES = ("models",), ("attributes", "tables"), ("sources", 0, "tables")


@dataclass(frozen=True)
class Change:
    """What a file would become.

    Attributes:
        old: its text; None where there is none.
        refused: why it may not be changed, where it may not.
    """

    path: Path
    old: str | None
    new: str
    refused: str = ""

    def diff(self) -> str:
        """The difference, as `diff -u` shows it."""
        before = "/dev/null" if self.old is None else str(self.path)
        lines = difflib.unified_diff(
            (self.old or "").splitlines(), self.new.splitlines(), before, str(self.path), lineterm=""
        )
        return "\n".join(lines)


def changes_of(
    environment: Environment, plan: Plan, place: Place, owner: str, only: Sequence[str] = ()
) -> list[Change]:
    """Every file that would be new or other, the declaration last: a source counts when all of it is there.

    Args:
        only: the tables to write, by name; all when empty.
    """
    source = plan.source
    models = environment.dbt_project / "models"
    staging, marts = models / "staging" / source, models / "marts" / source
    changes = []
    for mart in plan.marts:
        if only and mart.table.name not in only:
            continue
        table = mart.table
        if not mart.people_of:
            text = staging_sql(source, mart, plan.tables[table.name])
            changes.append(_file(staging / f"{staging_name(source, table.name)}.sql", text))
            if plan.tables[table.name].changes:
                name = contradictions_name(source, table.name)
                changes.append(_file(staging / f"{name}.sql", contradictions_sql(source, plan.tables[table.name])))
        changes.append(_file(marts / f"{mart.name}.sql", mart_sql(source, mart)))
    plan = _only(plan, only)
    listed = [
        (staging / f"_{source}__sources.yml", sources_yaml(plan, place), _SOURCE_TABLES),
        (staging / f"_{source}__staging.yml", staging_yaml(plan), _MODELS),
        (marts / f"_{source}__marts.yml", marts_yaml(plan), _MODELS),
    ]
    if not place.fetched:
        listed.append((environment.sources / source / "defs.yaml", source_yaml(plan, place, owner), _TABLES))
    changes += [_listing(path, text, keys) for path, text, keys in listed]
    return [change for change in changes if change.old != change.new or change.refused]


def _only(plan: Plan, only: Sequence[str]) -> Plan:
    if not only:
        return plan
    marts = tuple(mart for mart in plan.marts if mart.table.name in only)
    tables = {name: table for name, table in plan.tables.items() if name in only}
    return Plan(plan.source, marts, tables, plan.timezone, plan.notes)


def write(changes: Iterable[Change]) -> list[Path]:
    """Write the changes in their order; each file appears, or is exchanged, whole.

    Raises:
        OnboardingError: one is refused, or a file has been changed since it was read; nothing is written over.
    """
    changes = list(changes)
    if refused := [change for change in changes if change.refused]:
        raise OnboardingError("\n".join(f"{change.path}: {change.refused}" for change in refused))
    for change in changes:
        change.path.parent.mkdir(parents=True, exist_ok=True)
        aside = change.path.with_name(f".{change.path.name}.{uuid4().hex}.aside")
        try:
            aside.write_text(change.new, encoding="utf-8")
            if change.old is None:
                # A link is made only where no file is.
                os.link(aside, change.path)
            elif _read(change.path) == change.old:
                os.replace(aside, change.path)
            else:
                raise FileExistsError
        except FileExistsError as error:
            raise OnboardingError(
                f"{change.path}: was changed by somebody else in the meantime, and is left as it is. Run the command again."
            ) from error
        finally:
            aside.unlink(missing_ok=True)
        flush(change.path.parent)
    return [change.path for change in changes]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except UnicodeDecodeError as error:
        raise OnboardingError(f"{path}: is not UTF-8 text, and is left as it is. Move it away.") from error


def _file(path: Path, text: str) -> Change:
    old = _read(path)
    if old is None or old == text:
        return Change(path, old, text)
    return Change(
        path,
        old,
        text,
        "is there already and says something else; nothing is overwritten. Keep yours and add other tables alone (--table), or "
        "move it away.",
    )


def _listing(path: Path, text: str, keys: tuple[str | int, ...]) -> Change:
    """A YAML file with the entries of `text` that it lacks, added behind the last of its own."""
    old = _read(path)
    if old is None:
        return Change(path, None, text)
    try:
        theirs, ours = _entries(old, keys), _entries(text, keys)
    except yaml.YAMLError as error:
        return Change(path, old, old, f"is not readable YAML ({type(error).__name__}). Mend it first.")
    if theirs is None or ours is None:
        where = ".".join(str(key) for key in keys)
        return Change(
            path,
            old,
            text,
            f"holds no list of one entry a line at {where}, so nothing can be added to it. Add it by hand.",
        )
    names = {name for name, _ in theirs.blocks}
    missing = [block for name, block in ours.blocks if name not in names]
    if not missing:
        return Change(path, old, old)
    lines = old.splitlines()
    shift = theirs.column - ours.column
    added = [_shifted(line, shift) for block in missing for line in block]
    new = "\n".join([*lines[: theirs.end], *added, *lines[theirs.end :]]) + "\n"
    try:
        yaml.safe_load(new)
    except yaml.YAMLError as error:
        reason = str(getattr(error, "problem", "")) or type(error).__name__
        return Change(
            path, old, new, f"would no longer be readable YAML with these entries ({reason}). Add them by hand."
        )
    return Change(path, old, new)


@dataclass(frozen=True)
class _Entries:
    """The entries of a list in a YAML text: (name, its lines), the line after the last, and the column of the dashes."""

    blocks: list[tuple[str, list[str]]]
    end: int
    column: int


def _entries(text: str, keys: tuple[str | int, ...]) -> _Entries | None:
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for name, value in node.value if name.value == key), None)
        else:
            return None
    if not isinstance(node, yaml.SequenceNode) or node.flow_style or not node.value:
        return None
    lines = text.splitlines()
    starts = [one.start_mark.line for one in node.value]
    end = _end(lines, node)
    blocks = []
    for one, start, following in zip(node.value, starts, [*starts[1:], end], strict=True):
        if not isinstance(one, yaml.MappingNode):
            return None
        name = next((value.value for key, value in one.value if key.value == "name"), "")
        blocks.append((name, _trimmed(lines[start:following])))
    return _Entries(blocks, end, lines[starts[0]].index("-"))


def _end(lines: Sequence[str], node: yaml.SequenceNode) -> int:
    """The line after the last that belongs to a list; comments and blanks that follow it do not."""
    end = min(node.end_mark.line + (1 if node.end_mark.column else 0), len(lines))
    dash = lines[node.value[0].start_mark.line].index("-")
    while end and (
        not lines[end - 1].strip()
        or len(lines[end - 1]) - len(lines[end - 1].lstrip()) <= dash - 1
        or lines[end - 1].lstrip().startswith("#")
    ):
        end -= 1
    return end


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _shifted(line: str, shift: int) -> str:
    return (" " * shift + line) if shift >= 0 else line[min(-shift, len(line) - len(line.lstrip())) :]
