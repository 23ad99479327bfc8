"""Reading the files that people declare campaigns and sources in: every problem with its file, line and key.

One broken file never hides the others: each is read on its own. Belongs here: which files there are, what every one of
them begins with, and a campaign file whole. Does not belong here: reading YAML, or what a field means.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from platform_assets.campaigns.declaration.check import problems_of
from platform_assets.campaigns.declaration.spec import COMPONENT_TYPE, CampaignSpec
from platform_assets.data.features.holdings import Holdings
from platform_assets.foundation.dagster_internals.core import DISALLOWED_NAMES
from platform_assets.foundation.documents.reading import DeclarationError as DeclarationError
from platform_assets.foundation.documents.reading import Document, read_document
from platform_assets.foundation.documents.sentences import did_you_mean
from platform_assets.foundation.execution.profiles import Profiles

FILE_NAME = "defs.yaml"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
Spec = TypeVar("Spec", bound=BaseModel)


@dataclass(frozen=True)
class DeclaredFile(Generic[Spec]):
    """One folder's file, read: `spec`, or else `error`.

    Attributes:
        lines: keys from the top → the line that they stand on; none of a file that is not held up.
    """

    name: str
    path: Path
    spec: Spec | None
    error: DeclarationError | None
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)

    def line_of(self, *keys: str | int) -> int:
        """The line of a key of the attributes, or of the nearest above it that the file states."""
        whole = ("attributes", *keys)
        return next((self.lines[whole[:end]] for end in range(len(whole), 0, -1) if whole[:end] in self.lines), 1)


CampaignFile = DeclaredFile[CampaignSpec]


def read_campaigns(
    folder: Path, holdings: Holdings, profiles: Profiles, admits: Callable[[str], bool] = lambda name: True
) -> list[CampaignFile]:
    """Every `<folder>/<campaign>/defs.yaml` whose campaign is admitted, good and broken, by name."""
    return [read_campaign(path, holdings, profiles) for path in declared_in(folder) if admits(path.parent.name)]


def read_campaign(path: Path, holdings: Holdings, profiles: Profiles) -> CampaignFile:
    """One campaign file, checked against what the platform holds."""
    return read_declared(path, "campaign", partial(_campaign, holdings=holdings, profiles=profiles))


def read_declared(path: Path, what: str, read: Callable[[Path], tuple[Document, Spec]]) -> DeclaredFile[Spec]:
    """One file as `read` reads it; whatever is wrong with it stays with it.

    Args:
        what: what its folder names, in a word.
    """
    name = path.parent.name
    try:
        if not _NAME.fullmatch(name):
            raise DeclarationError(
                f"{path}: the folder's name is the {what}'s; {name!r} is not lower-case letters, digits and _"
            )
        if name in DISALLOWED_NAMES:
            raise DeclarationError(f"{path}: the folder's name is the {what}'s; {name} is a word of Dagster's own")
        document, spec = read(path)
        return DeclaredFile(name, path, spec, None, document.lines)
    except DeclarationError as error:
        return DeclaredFile(name, path, None, error)
    except OSError as error:
        return DeclaredFile(name, path, None, DeclarationError(f"{path}: cannot be read: {error.strerror or error}"))
    except Exception as error:  # a fault of ours with one file must not stop the others, and is told like any other
        unforeseen = DeclarationError(f"{path}: cannot be worked with: {type(error).__name__}: {error}")
        unforeseen.__cause__ = error
        return DeclaredFile(name, path, None, unforeseen)


def declared_in(folder: Path) -> list[Path]:
    """The `defs.yaml` of every folder in `folder` that is meant to have one, whether or not it does, sorted.

    A folder with YAML under other names is: what it holds would go unread without a word.

    Raises:
        DeclarationError: `folder` itself cannot be listed.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name) if os.path.lexists(folder) else []
    except OSError as error:
        raise DeclarationError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    return [Path(entry.path) / FILE_NAME for entry in entries if _declares(Path(entry.path))]


def parse_document(path: Path, component_type: str, *others: str) -> Document:
    """One declaration's attributes, as its document speaks of them.

    Args:
        others: types besides, which the place may hold as well.

    Raises:
        DeclarationError: it cannot be read, or declares another `type`.
    """
    if not os.path.lexists(path) and (beside := sorted(other for other in path.parent.iterdir() if is_yaml(other))):
        raise DeclarationError(f"{beside[0]}: is not read; rename it to {FILE_NAME}")
    document = read_document(path)
    if document.value is None:
        raise DeclarationError(f"{path}:1: is empty; it starts with `type: {component_type}`")
    if not isinstance(document.value, dict):
        raise DeclarationError(f"{path}:1: holds no mapping; it starts with `type: {component_type}`")
    if (stated := document.value.get("type")) not in (component_type, *others):
        known = " or ".join((component_type, *others))
        raise DeclarationError(document.at(["type"], f"{stated!r} is not {known}"))
    if extra := sorted(document.value.keys() - {"type", "attributes"}):
        raise DeclarationError(
            document.at(extra[:1], f"is not a key here{did_you_mean(extra[0], ['type', 'attributes'])}")
        )
    return replace(document, top=("attributes",))


def attributes_as(document: Document, model: type[Spec]) -> Spec:
    """The attributes of a parsed declaration as `model`.

    Raises:
        DeclarationError: naming every field that is wrong.
    """
    attributes: Spec = document.as_model(model, document.value.get("attributes") or {})
    return attributes


def is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml")


def _campaign(path: Path, holdings: Holdings, profiles: Profiles) -> tuple[Document, CampaignSpec]:
    document = parse_document(path, COMPONENT_TYPE)
    spec = attributes_as(document, CampaignSpec)
    if problems := problems_of(spec, holdings, profiles):
        raise DeclarationError("\n".join(document.at(problem.path, problem.message) for problem in problems))
    return document, spec


def _declares(folder: Path) -> bool:
    if folder.name.startswith((".", "__")) or not folder.is_dir():
        return False
    try:
        return os.path.lexists(folder / FILE_NAME) or any(is_yaml(path) for path in folder.iterdir())
    except OSError:  # reading its file says what is wrong
        return True
