"""The code a result depends on: a module's closure of first-party imports, and the versions of what it uses beyond.

Found by reading source, never by importing. Comments, docstrings and layout do not count; a changed constant does.
"""

import ast
import hashlib
import sys
from functools import cache
from importlib import metadata, util
from pathlib import Path

FIRST_PARTY = "platform_assets"
# Packages whose distribution has another name; reading every installed distribution to find out takes a second.
DISTRIBUTIONS = {"ibis": "ibis-framework", "sklearn": "scikit-learn", "yaml": "pyyaml"}
# How and where a result is kept does not change what it is.
NOT_PART_OF_A_RESULT = tuple(
    f"{FIRST_PARTY}.{place}" for place in ("foundation.artifacts", "foundation.storage", "environment")
)


def code_of(*modules: str) -> dict[str, str]:
    """Hashes of `modules` and of every first-party module they import (inside functions too), by module name.

    Third-party distributions that those modules import are added as `distribution → version`.

    Raises:
        ModuleNotFoundError: a first-party module named or imported does not exist.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        path = _source_path(module)
        digest, first_party, third_party = _read(path, path.stat().st_mtime_ns, module)
        seen[module] = digest
        waiting.extend(first_party)
        for package in third_party:
            seen.update(_distribution_versions(package))
    return dict(sorted(seen.items()))


def _source_path(module: str) -> Path:
    # find_spec on a dotted name imports its parents; package roots hold docstrings and light imports only.
    spec = util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source for module {module}, which a fingerprint depends on")
    return Path(spec.origin)


@cache
def _read(path: Path, _modified: int, module: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """(hash of the normalised syntax tree, first-party modules imported, third-party packages imported)."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    first_party: set[str] = set()
    third_party: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        _drop_docstring(node)
        for name in _imported(node, package):
            root = name.partition(".")[0]
            if root == FIRST_PARTY:
                if not any(f"{name}.".startswith(f"{place}.") for place in NOT_PART_OF_A_RESULT):
                    first_party.add(name)
            elif root not in sys.stdlib_module_names:
                third_party.add(root)
    digest = hashlib.sha256(ast.dump(tree, annotate_fields=False, include_attributes=False).encode()).hexdigest()
    return digest, frozenset(first_party - {FIRST_PARTY}), frozenset(third_party)


def _imported(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, base] if base else parents)
    if base.partition(".")[0] != FIRST_PARTY:
        return [base]
    # `from package import name` depends on the submodule when there is one, on the package otherwise.
    return [f"{base}.{alias.name}" if _is_module(f"{base}.{alias.name}") else base for alias in node.names]


@cache
def _is_module(name: str) -> bool:
    root = util.find_spec(FIRST_PARTY)
    assert root is not None
    assert root.submodule_search_locations is not None
    path = Path(root.submodule_search_locations[0]).joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


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
