"""A new project, written from the template.

Belongs here: which folder may become a project, and what its files say. Does not belong here: parsing it, or what it is for.
"""

import json
import re
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from platform_assets.campaigns.declaration.spec import json_schema
from platform_assets.environment.settings import SETTINGS

TEMPLATE = Path(__file__).parent / "template"
SCHEMA = Path("defs", "campaign.schema.json")
# Names that a template cannot have: hidden files are left out of packages, and CI's would be run.
_HIDDEN = {"gitkeep": ".gitkeep", "gitignore": ".gitignore", "ci.yml": ".github/workflows/ci.yml"}


class FolderRefused(ValueError):
    """A folder cannot become a project; says why, and what to do."""


def begin_project(folder: Path) -> Path:
    """Write a new project into a folder that is not there, or is empty but for hidden files; returns it, absolute.

    Either all of the project is there at the end, or nothing of it.

    Raises:
        FolderRefused: the folder holds something.
        OSError: it cannot be written.
    """
    folder = folder.expanduser().resolve()
    texts = _texts(folder.name)
    _require_free(folder, {path.parts[0] for path in texts})
    missing = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".beginning-", dir=folder))
    try:
        for path, text in texts.items():
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (aside / path).write_text(text, encoding="utf-8")
        # The file that makes it a project comes last.
        for part in sorted(aside.iterdir(), key=lambda part: part.name == SETTINGS):
            part.rename(folder / part.name)
    except OSError:
        shutil.rmtree(folder if missing else aside)
        raise
    aside.rmdir()
    return folder


def _require_free(folder: Path, written: set[str]) -> None:
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.name in written or not path.name.startswith("."):
                raise FolderRefused(
                    f"{folder}: is not empty, it holds {path.name}; nothing was written. Name a folder that is not there yet, or "
                    "an empty one"
                )
    elif folder.exists():
        raise FolderRefused(f"{folder}: is a file; name a folder that is not there yet, or an empty one")


def _texts(name: str) -> dict[Path, str]:
    """Relative path → text of every file of a project of that name."""
    words = {"@NAME@": _name_for_dbt(name), "@VERSION@": metadata.version("platform-assets")}
    texts = {SCHEMA: json.dumps(json_schema(), indent=2) + "\n"}
    for path in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8")
        for word, meant in words.items():
            text = text.replace(word, meant)
        texts[path.relative_to(TEMPLATE).parent / _HIDDEN.get(path.name, path.name)] = text
    return texts


def _name_for_dbt(name: str) -> str:
    """A folder's name as dbt takes one: lower-case letters, digits and _, a letter first."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"project_{plain}".rstrip("_")
