"""The page on metadata: which keys assets and checks tell in Dagster.

Belongs here: finding the keys in the code, as far as they stand there as text.
"""

import ast
from collections import defaultdict

from reference_pages.markdown import page, table
from reference_pages.package import PACKAGE, module_of, path_of


def metadata_page() -> str:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for path in sorted(PACKAGE.rglob("*.py")):
        for key in metadata_keys(ast.parse(path.read_text(encoding="utf-8"))):
            found[key][path_of(module_of(path))] = None
    rows = [(f"`{key}`", ", ".join(f"`{place}`" for place in places)) for key, places in sorted(found.items())]
    return page(
        "Metadata keys",
        "What assets and checks tell in Dagster, beside what Dagster itself tells: the keys that the code names, and where.",
        table(("key", "told by"), rows),
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
