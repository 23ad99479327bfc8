"""The Python that a project brings: the files of its folder `features`, imported by their path under one name.

Wherever the project lies its modules are `project_features.<file>`: fingerprints hold that name. A process works for one
project; importing another's takes the place of the former. Belongs here: importing, and what is wrong with a file in a
sentence. Does not belong here: what a file has to declare (registry.py).
"""

import importlib
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from platform_assets.foundation.artifacts.code import PROJECT

FOLDER = "features"


class ModuleRefused(ValueError):
    """A file of the project cannot be imported; the message says where and why."""


def import_modules(project: Path) -> list[ModuleType]:
    """The modules in a project's folder `features`, by name; none without the folder.

    Files whose names begin with _ and those in folders of it are for the others to import.

    Raises:
        ModuleRefused: one cannot be imported.
    """
    folder = project.resolve() / FOLDER
    _forget()
    sys.meta_path.insert(0, _Finder(folder))
    return [_imported(path, folder) for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]


def _forget() -> None:
    """What was imported before, perhaps of another project or before an edit, is not found any more."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name in [name for name in sys.modules if name.partition(".")[0] == PROJECT]:
        del sys.modules[name]


def _imported(path: Path, folder: Path) -> ModuleType:
    if not path.stem.isidentifier():
        raise ModuleRefused(f"{path}: its name cannot be imported; name it with letters, digits and _")
    try:
        return importlib.import_module(f"{PROJECT}.{path.stem}")
    except SyntaxError as error:
        place = f"{error.filename or path}:{error.lineno or 1}"
        raise ModuleRefused(f"{place}: is not Python: {error.msg}") from error
    except Exception as error:  # whatever a file of theirs raises is theirs to read, with its place
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        raise ModuleRefused(
            f"{path}:{lines[-1] if lines else 1}: cannot be imported: {type(error).__name__}: {error}"
        ) from error


class _Finder(MetaPathFinder):
    """Finds `project_features` and what is below it in one folder, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, *parts = fullname.split(".")
        if root != PROJECT:
            return None
        place = self._folder.joinpath(*parts)
        init, file = place / "__init__.py", place.with_name(f"{place.name}.py")
        if init.is_file():
            return spec_from_file_location(
                fullname, init, loader=_Source(fullname, str(init)), submodule_search_locations=[str(place)]
            )
        if parts and file.is_file():
            return spec_from_file_location(fullname, file, loader=_Source(fullname, str(file)))
        if not place.is_dir():
            return None
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
        return spec


class _Source(SourceFileLoader):
    """Compiles what the file holds now: a bytecode file of the same second and size passes for it, whatever it was made from."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code
