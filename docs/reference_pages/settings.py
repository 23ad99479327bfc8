"""Tables of words that the code holds by name: environment variables, and the columns of an audience.

Belongs here: what is declared as a mapping from names to meanings.
"""

import ast
import importlib

from reference_pages.markdown import page, table, text_of
from reference_pages.package import PACKAGE, TOP, path_of


def environment_page() -> str:
    module = importlib.import_module(f"{TOP}.environment")
    cloud = set(module.CLOUD_ONLY)
    rows = [
        (
            f"`{name}`",
            text_of(words),
            text_of(module.TAKES[name]),
            "`gcp`, `emulated`" if name in cloud else _emulated(name),
        )
        for name, words in {**module.VARIABLES, **module.EMULATOR_VARIABLES}.items()
    ]
    secrets = [(f"`{name}`", text_of(words)) for name, words in module.SECRETS.items()]
    return page(
        "Environment variables",
        f"Read in `{path_of(module.__name__)}` and nowhere else. A `PLATFORM_…` variable that is not in this list is refused, and "
        "so is one that means nothing where `PLATFORM_ENV` says the platform runs. A project's `platform-settings.env` sets them too, "
        "a line each (`NAME=value`, no quotes, paths from the project's folder); the process's own win.",
        table(("variable", "what it sets", "takes", "only with `PLATFORM_ENV`"), rows),
        "## Secrets",
        "Of the process alone: a settings file that states one is refused.",
        table(("variable", "what it holds"), secrets),
    )


def _emulated(name: str) -> str:
    return "`emulated`" if "EMULATOR" in name or name.endswith("STORAGE_HOST") else ""


def audience_columns() -> str:
    """The columns of an audience and their meanings, which BigQuery shows too."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "MEANINGS" in ast.unparse(node).partition("=")[0]:
                assert node.value is not None
                meanings = ast.literal_eval(node.value)
                if "arm" in meanings:
                    return table(
                        ("column", "meaning"), [(f"`{name}`", text_of(said)) for name, said in meanings.items()]
                    )
    raise LookupError(f"no module of {PACKAGE} says in MEANINGS what the columns of an audience mean")
