"""The reference, written from the code each time the documentation is built.

Belongs here: a Sphinx extension that writes pages below `reference/generated/`, which are not committed; a module beside this a
kind of page. What a page says comes from docstrings, field descriptions and help texts: whoever changes those changes it.
Does not belong here: any sentence about the platform, and where modules lie: they are found by what they define.
"""

from pathlib import Path
from typing import Any

from reference_pages.commands import commands_page
from reference_pages.declarations import campaign_page, features_page, mart_page, source_page
from reference_pages.metadata import metadata_page
from reference_pages.rooms import room_pages
from reference_pages.settings import audience_columns, environment_page

GENERATED = Path(__file__).parents[1] / "reference" / "generated"


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", lambda _: write_pages(GENERATED))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder: Path) -> list[Path]:
    """Write every page; one that says what it said before is left alone, and one that nothing makes any more goes."""
    pages = {
        "environment": environment_page(),
        "campaign-file": campaign_page(),
        "source-file": source_page(),
        "mart-declaration": mart_page(),
        "feature-file": features_page(),
        "commands": commands_page(),
        "metadata": metadata_page(),
        "_audience-columns": audience_columns(),
        **{f"rooms-{name}": text for name, text in room_pages()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    written = []
    for name, text in pages.items():
        place = folder / f"{name}.md"
        if not place.is_file() or place.read_text(encoding="utf-8") != text:
            place.write_text(text, encoding="utf-8")
        written.append(place)
    return written
