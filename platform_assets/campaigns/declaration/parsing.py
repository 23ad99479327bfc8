"""Reading campaign files: every problem with its file, line and key, and the nearest right word.

One broken file never hides the others: each is read on its own.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from platform_assets.campaigns.declaration.check import problems_of
from platform_assets.campaigns.declaration.conditions import did_you_mean
from platform_assets.campaigns.declaration.spec import COMPONENT_TYPE, CampaignSpec
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.foundation.dagster_internals.core import parse_yaml_with_source_position
from platform_assets.foundation.execution.profiles import Profiles

FILE_NAME = "defs.yaml"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class DeclarationError(ValueError):
    """A YAML file that cannot be honoured; one `file:line: key: what is wrong` a line."""


@dataclass(frozen=True)
class CampaignFile:
    """One campaign folder's file, read: `spec`, or else `error`."""

    name: str
    path: Path
    spec: CampaignSpec | None
    error: DeclarationError | None


def read_campaigns(
    folder: Path, catalog: Catalog, profiles: Profiles, admits: Callable[[str], bool] = lambda name: True
) -> list[CampaignFile]:
    """Every `<folder>/<campaign>/defs.yaml` whose campaign is admitted, good and broken, by name."""
    paths = sorted(path for path in folder.glob(f"*/{FILE_NAME}") if admits(path.parent.name))
    return [read_campaign(path, catalog, profiles) for path in paths]


def read_campaign(path: Path, catalog: Catalog, profiles: Profiles) -> CampaignFile:
    """One campaign file, checked against what the platform holds."""
    name = path.parent.name
    try:
        if not _NAME.fullmatch(name):
            raise DeclarationError(
                f"{path}: the folder's name is the campaign's; {name!r} is not lower-case letters, digits and _"
            )
        document = parse_document(path, COMPONENT_TYPE)
        spec = document.attributes_as(CampaignSpec)
        problems = problems_of(spec, catalog, profiles)
        if problems:
            raise DeclarationError("\n".join(document.at(problem.path, problem.message) for problem in problems))
    except DeclarationError as error:
        return CampaignFile(name, path, None, error)
    return CampaignFile(name, path, spec, None)


class Document:
    """A parsed declaration and the lines its keys stand on."""

    def __init__(self, path: Path, value: Any, positions: Any) -> None:
        self.path, self.value, self._positions = path, value, positions

    def at(self, keys: Iterable[str | int], message: str) -> str:
        """`file:line: key.key: message`."""
        keys = list(keys)
        position = self._positions.lookup_closest_and_path(["attributes", *keys], None)[0]
        return f"{self.path}:{position.start.line}: {'.'.join(map(str, keys)) or 'attributes'}: {message}"

    def attributes_as(self, model: type[BaseModel]) -> Any:
        """The attributes as `model`.

        Raises:
            DeclarationError: naming every field that is wrong.
        """
        try:
            return model.model_validate(self.value.get("attributes") or {})
        except ValidationError as error:
            lines = [self.at(_keys(problem["loc"]), _words(problem, model)) for problem in error.errors()]
            raise DeclarationError("\n".join(lines)) from error


def parse_document(path: Path, component_type: str) -> Document:
    """The YAML of one declaration.

    Raises:
        DeclarationError: not YAML, a key twice, or another `type`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{path}:1: is not text in UTF-8; save it as such") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise DeclarationError(f"{path}:1: is empty; it starts with `type: {component_type}`")
        _refuse_unusable_keys(path, root)
        tree = parse_yaml_with_source_position(text, str(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise DeclarationError(
            f"{path}{line}: not readable as YAML: {getattr(error, 'problem', None) or error}"
        ) from error
    if not isinstance(tree.value, dict):
        raise DeclarationError(f"{path}:1: holds no mapping; it starts with `type: {component_type}`")
    document = Document(path, tree.value, tree.source_position_tree)
    if tree.value.get("type") != component_type:
        raise DeclarationError(f"{path}:1: type: {tree.value.get('type')!r} is not {component_type}")
    if extra := sorted(tree.value.keys() - {"type", "attributes"}):
        raise DeclarationError(
            f"{path}:1: {extra[0]}: is not a key here{did_you_mean(extra[0], ['type', 'attributes'])}"
        )
    return document


def _refuse_unusable_keys(path: Path, node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise DeclarationError(f"{path}:{key.start_mark.line + 1}: a key here is one word")
            if key.value in seen:
                raise DeclarationError(f"{path}:{key.start_mark.line + 1}: {key.value}: stands here twice; keep one")
            seen.add(key.value)
            _refuse_unusable_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_unusable_keys(path, value)


def _keys(location: tuple[str | int, ...]) -> list[str | int]:
    """A pydantic location without the names of union members, which no file holds."""
    return [part for part in location if isinstance(part, int) or re.fullmatch(r"\w+", part)]


def _words(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        word = str(problem["loc"][-1])
        return f"is not a field here{did_you_mean(word, _fields(problem['loc'], model))}"
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] in ("literal_error", "enum"):
        return f"{problem['input']!r} is not one of {problem['ctx']['expected']}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _fields(location: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    """Field names of the model that a location's parent stands for."""
    models = [model]
    for part in location[:-1]:
        below = [inner for outer in models if part in outer.model_fields for inner in _models(outer, str(part))]
        models = below or [member for member in models if part == f"<{member.__name__}>"] or models
    return sorted({name for member in models for name in member.model_fields})


def _models(model: type[BaseModel], field: str) -> list[type[BaseModel]]:
    waiting: list[Any] = [model.model_fields[field].annotation]
    for annotation in waiting:  # grows while it is walked
        waiting.extend(getattr(annotation, "__args__", ()))
    return [annotation for annotation in waiting if isinstance(annotation, type) and issubclass(annotation, BaseModel)]
