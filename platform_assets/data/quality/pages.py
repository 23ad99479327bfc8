"""Verdicts whose pages of data docs lie apart: people may look at an audit who may not read what stands beside verdicts.

Belongs here: where pages lie. Does not belong here: verdicts themselves (`verdicts.py`), which every result depends on.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from platform_assets.data.quality import data_docs
from platform_assets.data.quality.verdicts import Refused, Verdict, Verdicts
from platform_assets.foundation.storage import files_at


class PagedVerdicts(Verdicts):
    """Verdicts below `root`, and a page for each below `pages`; both a folder or gs:// URL, and may be the same."""

    def __init__(
        self, root: str | Path, pages: str | Path, served: Callable[[str], str | None] = lambda name: None
    ) -> None:
        """`served`: the URL at which the page of a name is served, if it is."""
        super().__init__(root)
        self._pages, self._served = files_at(pages), served

    def page(self, table: str, slot: str) -> str:
        """Where the page of the last audit is: the URL at which it is served, else its path or gs:// URL."""
        name = f"{table}/{slot}.html"
        return self._served(name) or self._pages.location(name)

    def _write(self, table: str, slot: str, verdict: Verdict, audit: Mapping[str, Any] | None) -> None:
        # An audit kept by earlier code may hold no validation.
        if audit and "validation" in audit and not self._shown(table, slot, verdict):
            self._pages.write(f"{table}/{slot}.html", data_docs.page(audit["validation"]).encode())
        super()._write(table, slot, verdict, None)

    def _shown(self, table: str, slot: str, verdict: Verdict) -> bool:
        if verdict.state == "refused" or self._pages.read(f"{table}/{slot}.html") is None:
            return False
        try:
            last = self.last(table, slot)
        except Refused:
            return False
        return last is not None and (last.state, last.fingerprint) == (verdict.state, verdict.fingerprint)
