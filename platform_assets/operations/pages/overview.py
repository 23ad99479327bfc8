"""What the index says of each campaign, read from what lies beside its pages.

Belongs here: gathering and its order. Does not belong here: HTML, and any figure that a report does not hold.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from platform_assets.audiences.report.files import FIGURES_FILE
from platform_assets.campaigns.promotion.last_decision import FILE as DECISION_FILE
from platform_assets.foundation.storage import Files
from platform_assets.operations.pages.shelves import CAMPAIGN, Named, Shelf, lies_in_place

# A bucket answers in tens of milliseconds, and each campaign is three questions.
AT_ONCE = 16
M = TypeVar("M", bound=BaseModel)


class Campaign(BaseModel):
    description: str
    owner: str


class Audience(BaseModel):
    people: int
    selected: int


class Figures(BaseModel):
    """Of `figures.json`, what the index shows; the headline is missing where older code wrote it."""

    campaign: Campaign
    audience: Audience
    headline: str | None = None


class Decision(BaseModel):
    """Of `decision.json`: what the gate decided last."""

    outcome: str
    reason: str
    score_at: str


@dataclass(frozen=True)
class Row:
    """A campaign.

    Attributes:
        reports, cards: their names, the newest first.
        written_at: when the newest report was written; None while there is none.
        figures, decision: None where there is none, or none that can be read.
    """

    campaign: str
    reports: Sequence[Named]
    cards: Sequence[Named]
    written_at: datetime | None
    figures: Figures | None
    decision: Decision | None


@dataclass(frozen=True)
class Table:
    """An audited table: the names of its data docs, the newest first."""

    name: str
    pages: Sequence[Named]


def campaigns_of(reports: Shelf) -> list[Row]:
    """A row for each campaign that has a report, a card or a decision, by name."""
    listed = reports.files.names()
    by_campaign = _grouped(reports.among(listed), "campaign")
    decided = {name.partition("/")[0] for name in listed if name.endswith(f"/{DECISION_FILE}")}
    campaigns = sorted({*by_campaign, *(name for name in decided if CAMPAIGN.fullmatch(name))})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda campaign: _row(reports.files, campaign, by_campaign.get(campaign, [])), campaigns))


def tables_of(audits: Shelf) -> list[Table]:
    """The audited tables that have a page, by name."""
    by_table = _grouped(audits.among(audits.files.names()), "table")
    return [Table(name, pages[::-1]) for name, pages in sorted(by_table.items())]


def _row(files: Files, campaign: str, names: Sequence[Named]) -> Row:
    reports, cards = ([one for one in names[::-1] if part in one.parts] for part in ("report", "card"))
    figures = f"{campaign}/{reports[0].parts['report']}/{FIGURES_FILE}" if reports else None
    return Row(
        campaign,
        reports,
        cards,
        files.written_at(reports[0].name) if reports else None,
        _read(files, figures, Figures) if figures else None,
        _read(files, f"{campaign}/{DECISION_FILE}", Decision),
    )


def _read(files: Files, name: str, model: type[M]) -> M | None:
    stored = files.read(name) if lies_in_place(files, name) else None
    if stored is None:
        return None
    try:
        return model.model_validate_json(stored.content)
    except ValidationError:
        # One damaged file must not keep the others from being shown; its row is without.
        return None


def _grouped(names: Iterable[Named], part: str) -> Mapping[str, list[Named]]:
    groups: dict[str, list[Named]] = defaultdict(list)
    for named in names:
        if part in named.parts:
            groups[named.parts[part]].append(named)
    return groups
