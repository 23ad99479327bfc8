"""Histories some of whose exported rows are broken, and what is known of their items all the same.

Belongs here: writing the exports, the project, and the truth. Does not belong here: an engine.
"""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platform_assets.data.exports.spec import Expectations, ExportSourceSpec
from samples.dynamodb_export import change, export_id, write_dynamodb_export, write_incremental_export
from tests.data.changes.worlds import Histories, spec_of, write_project
from tests.data.exports.histories import at

JOINTS, FULLS = (0, 3, 5, 8, 9, 14, 20), (0, 9)
# (history, key) → value
Known = dict[tuple[int, str], str]
_MODELS = ("stg_both_items", "stg_both_contradictions", "stg_both_versions")


class BrokenHistories:
    """Random histories, of which about a tenth of the exported rows is broken.

    Attributes:
        known: hour → what is known of the items just before it.
        broken: how many rows are broken, those without a key included.
        keyless: how many of these do not tell their key.
    """

    def __init__(self, count: int, lake: Path) -> None:
        self.histories, self._lake, self._chance = Histories.random(count), lake, random.Random(1)
        self.known: dict[float, Known] = {}
        self.broken = self.keyless = 0
        known = self._write_full(0)
        for start, end in itertools.pairwise(JOINTS):
            known = self._write_window(start, end, known)
            self.known[end] = known
            if end in FULLS:
                known = self._write_full(end)

    @property
    def spec(self) -> ExportSourceSpec:
        return spec_of("both").model_copy(update={"expectations": Expectations(quarantine_at_most=0.5)})

    def _write_full(self, hour: float) -> Known:
        known = self.histories.state(hour)
        items = list(self.histories.items(hour))
        for item in self._chance.sample(items, len(items) // 10):
            # Of two rows of one key nobody knows which is right.
            items.append(item | {"value": {"S": "another"}})
            del known[_key(item)]
            self.broken += 2
        name = export_id("both", at(hour))
        write_dynamodb_export(self._lake, "both", name, items, at(hour), prefix="histories", files=2)
        return known

    def _write_window(self, start: float, end: float, known: Known) -> Known:
        known = dict(known)
        lines = list(self._lines(start, end, known))
        # Its key is not told, so that nothing is known of it.
        lines.append(change({}, at(start), new={"value": {"S": "lost"}}))
        self.broken, self.keyless = self.broken + 1, self.keyless + 1
        write_incremental_export(self._lake, "both", lines, (at(start), at(end)), prefix="histories")
        return known

    def _lines(self, start: float, end: float, known: Known) -> Iterator[dict[str, Any]]:
        for number, one in self.histories.changes(start, end):
            keys = {"history": {"N": str(number)}, "id": {"S": one.key}}
            new, old = (None if value is None else keys | {"value": {"S": value}} for value in (one.new, one.old))
            line = change(keys, at(one.written), new, old)
            known.pop((number, one.key), None)
            if self._chance.random() < 0.1:
                self.broken += 1
                yield line | self._chance.choice([{"Metadata": {}}, {"NewImage": "text"}])
                continue
            if one.new is not None:
                known[number, one.key] = one.new
            yield line


def _key(item: dict[str, Any]) -> tuple[int, str]:
    return int(item["history"]["N"]), item["id"]["S"]


def write_models(folder: Path) -> Path:
    """A dbt project that shows the items, their versions, and what contradicts."""
    project = write_project(folder, ["both"])
    for model in (project / "models" / "staging").glob("stg_*.sql"):
        if model.stem not in (*_MODELS, "stg_exports"):
            model.unlink()
    return project


def shown_at(versions: list[tuple[int, str, str, float, float | None]], hour: float) -> Known:
    """What versions show just before an hour; each item once."""
    before = hour - 1e-7
    shown = [
        (number, key, value)
        for number, key, value, begin, end in versions
        if begin <= before and (end is None or before < end)
    ]
    assert len(shown) == len({one[:2] for one in shown})
    return {(number, key): value for number, key, value in shown}
