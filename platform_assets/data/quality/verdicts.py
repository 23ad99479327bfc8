"""The last verdict on a published table, kept where every reader can ask for it.

A blocking check stops its own run only; a run started later would still find the older version and go green on it. So
the publisher records each verdict here, and a reader that holds a reference asks `require` before it uses it. Beside
each lies its audit as a page of data docs. Belongs here: verdicts. Does not belong here: the audit that leads to one.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from platform_assets.data.quality.data_docs import page
from platform_assets.foundation.storage import files_at


class Refused(RuntimeError):
    """The last audit of a table failed, or what the reader holds is not what the last audit passed."""


@dataclass(frozen=True)
class Verdict:
    """What the last audit said of one slot (a partition) of a table.

    Attributes:
        fingerprint: what was judged: the recipe of the table's content.
        reason: why it was refused; empty when it passed.
        at: when, ISO 8601 in UTC.
    """

    state: Literal["passed", "refused"]
    fingerprint: str
    reason: str
    at: str


class Verdicts:
    """Verdicts below `root`, a folder or gs:// URL: one small file a table and slot, replaced whole.

    Args:
        pages: where the pages of audits lie, which people may look at who may not read the rest; None: beside the verdicts.
        served: the URL at which the page of a name is served, if it is.
    """

    def __init__(
        self,
        root: str | Path,
        pages: str | Path | None = None,
        served: Callable[[str], str | None] = lambda name: None,
    ) -> None:
        self._files, self._served = files_at(root), served
        self._pages = self._files if pages is None else files_at(pages)

    def passed(self, table: str, slot: str, fingerprint: str, audit: Mapping[str, Any] | None = None) -> None:
        """Record that the audit of `fingerprint` passed; clears an earlier refusal. `audit`: its `metadata()`."""
        self._write(table, slot, Verdict("passed", fingerprint, "", _now()), audit)

    def refuse(
        self, table: str, slot: str, fingerprint: str, reason: str, audit: Mapping[str, Any] | None = None
    ) -> None:
        """Record that the table must not be read at `slot` until a later audit passes. `audit`: its `metadata()`."""
        self._write(table, slot, Verdict("refused", fingerprint, reason, _now()), audit)

    def page(self, table: str, slot: str) -> str:
        """Where the page of the last audit is: the URL at which it is served, else its path or gs:// URL."""
        name = f"{table}/{slot}.html"
        return self._served(name) or self._pages.location(name)

    def last(self, table: str, slot: str) -> Verdict | None:
        """The last verdict, or None when there was no audit."""
        stored = self._files.read(_name(table, slot))
        if stored is None:
            return None
        try:
            verdict = Verdict(**json.loads(stored.content))
            if verdict.state not in ("passed", "refused"):
                raise ValueError(f"state {verdict.state!r}")
            return verdict
        except (ValueError, TypeError) as error:
            place = self._files.location(_name(table, slot))
            raise Refused(
                f"{table} at {slot}: its verdict {place} is not readable; materialise {table} again"
            ) from error

    def require(self, table: str, slot: str, fingerprint: str | None = None) -> None:
        """Return when `table` may be read at `slot`.

        Args:
            fingerprint: what the reader holds; None asks only whether the table is refused.

        Raises:
            Refused: the last audit failed, or passed something else than the reader holds.
        """
        verdict = self.last(table, slot)
        if verdict is None:
            return
        if verdict.state == "refused":
            raise Refused(
                f"{table} at {slot} must not be read: its audit failed at {verdict.at}: {verdict.reason} "
                f"Materialise {table} at {slot} again, then this"
            )
        if fingerprint is not None and fingerprint != verdict.fingerprint:
            raise Refused(
                f"{table} at {slot}: the reference held is to {fingerprint[:12]}, the last audit passed "
                f"{verdict.fingerprint[:12]}; materialise {table} at {slot} again, then this"
            )

    def _write(self, table: str, slot: str, verdict: Verdict, audit: Mapping[str, Any] | None) -> None:
        # An audit kept by earlier code may hold no validation.
        if audit and "validation" in audit and not self._shown(table, slot, verdict):
            self._pages.write(f"{table}/{slot}.html", page(audit["validation"]).encode())
        self._files.write(_name(table, slot), json.dumps(asdict(verdict), indent=1, sort_keys=True).encode())

    def _shown(self, table: str, slot: str, verdict: Verdict) -> bool:
        """Whether the page shows this very audit: importing Great Expectations only to find out costs 3 CPU-s."""
        if verdict.state == "refused" or self._pages.read(f"{table}/{slot}.html") is None:
            return False
        try:
            last = self.last(table, slot)
        except Refused:
            return False
        return last is not None and (last.state, last.fingerprint) == (verdict.state, verdict.fingerprint)


def _name(table: str, slot: str) -> str:
    return f"{table}/{slot}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
