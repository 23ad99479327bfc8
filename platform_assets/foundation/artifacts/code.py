"""The code a result depends on: a module's closure of imports, and the versions of the distributions it uses beyond.

The platform's modules, and those of nobody's distribution (a project's own), count by their source: these have no version
that would change with them. Found by reading source, never by importing. Comments, docstrings and layout do not count; a
changed constant does.
"""

import ast
import hashlib
import sys
from functools import cache
from importlib import metadata, util
from pathlib import Path

FIRST_PARTY = "platform_assets"
# What the Python of a project is imported as, wherever it lies.
PROJECT = "project_features"
# Packages whose distribution has another name; reading every installed distribution to find out takes a second.
DISTRIBUTIONS = {"ibis": "ibis-framework", "sklearn": "scikit-learn", "yaml": "pyyaml"}
# How and where a result is kept does not change what it is.
NOT_PART_OF_A_RESULT = tuple(
    f"{FIRST_PARTY}.{place}" for place in ("foundation.artifacts", "foundation.storage", "environment")
)


def code_of(*modules: str) -> dict[str, str]:
    """Hashes of `modules` and of every module they import (inside functions too) that is not installed, by module name.

    Installed distributions that those modules import are added as `distribution → version`.

    Raises:
        ModuleNotFoundError: a module named or imported does not exist where its package lies.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        path = _source_of(module)
        if path is None:
            raise ModuleNotFoundError(f"no source for module {module}, which a fingerprint depends on")
        digest, followed, installed = _read(path, path.stat().st_mtime_ns, module)
        seen[module] = digest
        waiting.extend(followed)
        for package in installed:
            seen.update(_distribution_versions(package))
    return dict(sorted(seen.items()))


def _places(root: str) -> tuple[Path | None, list[Path]]:
    """(file of a top-level module, folders of its submodules); nothing where there is none."""
    try:
        # A dotted name would import its parents.
        spec = util.find_spec(root)
    except ValueError:  # a module that was made by hand
        spec = None
    if spec is None:
        return None, []
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return file, [Path(place) for place in spec.submodule_search_locations or ()]


def _source_of(module: str) -> Path | None:
    root, *parts = module.split(".")
    file, folders = _places(root)
    if not parts:
        return file
    return next(
        (path for folder in folders for path in _files_of(folder.joinpath(*parts)) if path.is_file()),
        None,
    )


def _files_of(place: Path) -> tuple[Path, Path]:
    return place / "__init__.py", place.with_name(f"{place.name}.py")


def _is_followed(root: str) -> bool:
    """Whether a top-level module counts by its source: the platform's own, and whatever lies where nothing was installed."""
    if root in (FIRST_PARTY, PROJECT):
        return True
    file, folders = _places(root)
    if file is not None and file.suffix != ".py":
        return False
    places = folders or ([file] if file else [])
    return bool(places) and not any(_was_installed_into(place.parent) for place in places)


@cache
def _was_installed_into(folder: Path) -> bool:
    return folder.name in ("site-packages", "dist-packages") or any(folder.glob("*.dist-info"))


@cache
def _read(path: Path, _modified: int, module: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """(hash of the normalised syntax tree, modules imported that count by their source, packages that do not)."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    followed: set[str] = set()
    installed: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        _drop_docstring(node)
        for base, names in _imported(node, package):
            root = base.partition(".")[0]
            if root in sys.stdlib_module_names:
                continue
            if _is_followed(root):
                followed.update(_modules(base, names))
            else:
                installed.add(root)
    digest = hashlib.sha256(ast.dump(tree, annotate_fields=False, include_attributes=False).encode()).hexdigest()
    return digest, frozenset(name for name in followed if _is_part_of_a_result(name)), frozenset(installed)


def _imported(node: ast.AST, package: str) -> list[tuple[str, list[str]]]:
    """(module, names taken from it) of an import statement."""
    if isinstance(node, ast.Import):
        return [(alias.name, []) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, base] if base else parents)
    return [(base, [alias.name for alias in node.names])]


def _modules(base: str, names: list[str]) -> set[str]:
    """The modules with source that an import of `names` from `base` runs; a module that is not there is among them."""
    # `from package import name` depends on the submodule when there is one, on the package otherwise.
    modules = {f"{base}.{name}" if _is_module(f"{base}.{name}") else base for name in names} or {base}
    if base.partition(".")[0] == FIRST_PARTY:
        return modules
    parts = base.split(".")
    modules |= {".".join(parts[:length]) for length in range(1, len(parts))}
    return {module for module in modules if _source_of(module) or not _is_folder(module)}


def _is_module(name: str) -> bool:
    return _source_of(name) is not None


def _is_folder(module: str) -> bool:
    """Whether a package has no file of its own, and so no code."""
    root, *parts = module.split(".")
    return any(folder.joinpath(*parts).is_dir() for folder in _places(root)[1])


def _is_part_of_a_result(module: str) -> bool:
    # Of the platform's own package there is nothing but a docstring.
    return module != FIRST_PARTY and not any(f"{module}.".startswith(f"{place}.") for place in NOT_PART_OF_A_RESULT)


def _drop_docstring(node: ast.AST) -> None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:] or [ast.Pass()]


@cache
def _distribution_versions(package: str) -> dict[str, str]:
    name = DISTRIBUTIONS.get(package, package)
    try:
        return {name: metadata.version(name)}
    except metadata.PackageNotFoundError:
        return {name: metadata.version(name) for name in sorted(set(_distributions().get(package, ())))}


_distributions = cache(metadata.packages_distributions)
