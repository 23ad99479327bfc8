"""What asking and awaiting need of a service of AWS that exports, whichever it is.

Belongs here: the interface. Does not belong here: what is behind it (`tables`, `snapshots`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from platform_assets.data.requests.record import Request, Requests, Status


@dataclass(frozen=True)
class State:
    """How far AWS is with an export.

    Attributes:
        why: its code and words where it failed.
        progress: in words; empty where AWS says nothing of it.
    """

    status: Status
    why: str = ""
    ended_at: datetime | None = None
    progress: str = ""


class Exporter(Protocol):
    """The exports of one table, or of one cluster.

    Every method may raise NotNow and RequestRefused.
    """

    @property
    def name(self) -> str:
        """By which people know it."""
        ...

    @property
    def record(self) -> str:
        """By which it is recorded: another one where it is another table or cluster, under whatever name."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """The declared tables that its exports hold."""
        ...

    def is_due(self, requests: Requests, now: datetime) -> bool:
        """Whether there may be something to ask for; without asking AWS."""
        ...

    def prepare(self) -> None:
        """Look up what AWS can export, for `planned`."""
        ...

    def planned(self, requests: Requests, now: datetime) -> Requests:
        """With what is to be asked for besides."""
        ...

    def begin(self, request: Request, known: Collection[str]) -> str:
        """The name at AWS of the export that a request is for: of one that is there, or that is started now.

        Args:
            known: names of the exports of other requests.
        """
        ...

    def state(self, export: str) -> State:
        """How far AWS is with the export of this name."""
        ...
