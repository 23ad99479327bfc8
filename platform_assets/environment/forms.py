"""The forms that the texts of environment variables take, and what each becomes.

Belongs here: what several variables are read by. Does not belong here: the variables (`variables.py`).
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, StringConstraints, ValidationInfo

Place = Path | str


@dataclass(frozen=True)
class Scope:
    """Which campaigns a process defines (None: all), and whether also what they share: sources, marts, their upkeep."""

    campaigns: frozenset[str] | None = None
    shared: bool = True

    @property
    def text(self) -> str:
        """It as a value of PLATFORM_SCOPE."""
        if self.campaigns is None:
            return "all"
        kind = "campaign" if self.shared else "only"
        return f"{kind}:{','.join(sorted(self.campaigns))}" if self.campaigns else "shared"

    def admits(self, campaign: str) -> bool:
        return self.campaigns is None or campaign in self.campaigns


EVERYTHING = Scope()


@dataclass(frozen=True)
class Variable:
    """The environment variable that sets a field.

    Attributes:
        takes: what it takes, in words that a refusal shows.
    """

    name: str
    takes: str
    description: str


def _absolute(text: str, info: ValidationInfo) -> Path:
    """A path: relative to the folder of the settings file that holds it, else to the current folder."""
    return Path(info.context or "", Path(text).expanduser()).resolve()


def _place(text: str, info: ValidationInfo) -> Place:
    return text.rstrip("/") if "://" in text else _absolute(text, info)


def _unlike_a_url(path: Path) -> Path:
    if set("?#") & set(str(path)):
        raise ValueError("dbt takes the path of its database apart as it does a URL")
    return path


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder of zones, such as Europe
        raise ValueError(f"{text!r} is not an IANA time zone such as Europe/Berlin") from error
    return text


def _scope(text: str) -> Scope:
    kind, _, names = text.partition(":")
    if text in ("all", "shared"):
        return Scope(None if text == "all" else frozenset())
    if kind in ("campaign", "only") and all(names.split(",")):
        return Scope(frozenset(names.split(",")), shared=kind == "campaign")
    raise ValueError(text)


def _pairs(text: str) -> list[list[str]]:
    return [part.strip().split("=", 1) for part in text.split(",") if part.strip()]


def like(pattern: str) -> StringConstraints:
    return StringConstraints(pattern=f"^({pattern})$")


TimeZone = Annotated[str, AfterValidator(_zone)]
AbsolutePath = Annotated[Path, BeforeValidator(_absolute)]
DataPath = Annotated[Path, AfterValidator(_unlike_a_url), BeforeValidator(_absolute)]
AnyPlace = Annotated[Place, BeforeValidator(_place)]
Url = Annotated[str, like(r"https?://[^/\s]+")]
ColumnClass = Annotated[str, like("[a-z][a-z0-9_]*")]
PolicyTag = Annotated[str, like(r"projects/[^/]+/locations/[^/]+/taxonomies/\d+/policyTags/\d+")]
ProjectId = Annotated[str, like(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")]
Bucket = Annotated[str, like("[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")]
PolicyTags = Annotated[tuple[tuple[ColumnClass, PolicyTag], ...], BeforeValidator(_pairs)]
HostAndPort = Annotated[str, like(r"[^/\s:]+:\d+")]
Commit = Annotated[str, like("[0-9a-f]{40}")]
PageUrl = Annotated[str, like(r"https?://\S+")]
CodeUrl = Annotated[str, like(r"https?://[^\s{}?#]+(\{commit\}[^\s{}?#]*)?")]
PagesUrl = Annotated[str, like(r"https?://[A-Za-z0-9._\[\]:-]+(/[A-Za-z0-9._~/-]*)?")]
ScopeText = Annotated[Scope, BeforeValidator(_scope)]
Switch = Annotated[bool, BeforeValidator({"0": False, "1": True}.get)]
Day = Annotated[date, BeforeValidator(date.fromisoformat)]
COUNT = "a whole number above 0"
