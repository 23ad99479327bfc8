"""Which files are served: reports with their pictures, model cards and data docs, each by the form of its name.

Belongs here: the forms, and looking files up below the two places. Does not belong here: HTTP. People's keys lie in the
same folders (`audience.csv`), so what has no form here is not there, whatever it is.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platform_assets.audiences.report.files import FILE, PICTURE_FILE
from platform_assets.environment import Environment
from platform_assets.foundation.storage import Files, files_at

Kind = Literal["page", "picture", "audit"]

_NAME, _DAY = "[a-z][a-z0-9_]{0,62}", "[0-9]{4}-[0-9]{2}-[0-9]{2}"
CAMPAIGN = re.compile(_NAME)
_FORMS: Mapping[str, Mapping[re.Pattern[str], Kind]] = {
    "reports": {
        re.compile(f"(?P<campaign>{_NAME})/(?P<report>{_DAY})/{re.escape(FILE)}"): "page",
        re.compile(f"(?P<campaign>{_NAME})/model_cards/(?P<card>{_DAY})\\.html"): "page",
        re.compile(f"{_NAME}/{_DAY}/{re.escape(PICTURE_FILE)}"): "picture",
    },
    "audits": {
        re.compile(f"(?P<table>({_NAME}/){{0,3}}{_NAME})/(?P<slot>{_DAY}|current)\\.html"): "audit",
    },
}


@dataclass(frozen=True)
class Named:
    """A name that has a form.

    Attributes:
        parts: what the form calls its parts: `campaign` and `report` or `card` (dates), or `table` and `slot`.
    """

    name: str
    kind: Kind
    parts: Mapping[str, str]


@dataclass(frozen=True)
class Served:
    kind: Kind
    content: bytes


class Shelf:
    """The files of one place that have a form.

    Raises, whatever is asked:
        StorageRefused: the storage does not say what is there.
    """

    def __init__(self, files: Files, forms: Mapping[re.Pattern[str], Kind]) -> None:
        self.files, self._forms = files, forms

    def named(self, name: str) -> Named | None:
        for form, kind in self._forms.items():
            if match := form.fullmatch(name):
                return Named(name, kind, match.groupdict())
        return None

    def among(self, names: Iterable[str]) -> list[Named]:
        """Those of these names, as the place lists them, that are served."""
        return [named for name in names if (named := self.named(name)) and lies_in_place(self.files, name)]

    def served(self, name: str) -> Served | None:
        """The file of that name; None where the name has no form, or no file of its own."""
        named = self.named(name)
        if named is None or not lies_in_place(self.files, name):
            return None
        stored = self.files.read(name)
        return None if stored is None else Served(named.kind, stored.content)


def shelves_of(environment: Environment) -> dict[str, Shelf]:
    """The shelves by the first part of their URLs, as `Environment.page_url` has it."""
    places = {"reports": environment.reports, "audits": environment.data_docs}
    return {shelf: Shelf(files_at(place), _FORMS[shelf]) for shelf, place in places.items()}


def lies_in_place(files: Files, name: str) -> bool:
    """Whether a file is where its name says: a link may lead out of the place, and a pipe would be waited for."""
    if not files.lie_here:
        return True
    path, root = Path(files.location(name)), Path(files.location())
    return files.exists(name) and path.resolve() == root.resolve() / name
