"""One load: all objects, or those of the load before and what events name, laid down as an export of each kind.

A full load lists all objects. Lists are newest first and take their time, so that what was edited, deleted or created
meanwhile may be missing or old in them: events from the beginning on name it, and it is read again. A load between reads
again what events since the load before name, and takes over the other objects. Either way an export shows every object as it
was at its instant or later. An event only names objects: what it quotes is in the form of another version of the API.

A load that was cut off goes on where it was. It is no export until the last manifest is written.
Belongs here: the order of these steps. Does not belong here: the API's shapes (`stripe`), files (`layout`, `progress`).
"""

import gzip
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from platform_assets.data.exports.lake import Lake
from platform_assets.data.fetching.items import line_of, unpacked
from platform_assets.data.fetching.layout import Damaged, Layout
from platform_assets.data.fetching.progress import Bench, Progress
from platform_assets.data.fetching.refused import FetchRefused
from platform_assets.data.fetching.spec import OBJECTS, Kind, SaasSourceSpec
from platform_assets.data.fetching.stripe import CursorGone, Stripe
from platform_assets.foundation.storage import Lease, files_at

# Objects of a list in a part: what a kill costs at most.
PART = 5_000
# Objects read again between two records of it.
AGAIN = 200
# Events are told a little late, and in whole seconds.
OVERLAP = timedelta(minutes=10)
# Stripe keeps events for 30 days; a load must not begin at the edge.
EVENTS_KEPT = timedelta(days=28)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """What a load made.

    Attributes:
        exports: kind → id of its export.
        objects: kind → how many objects it holds.
        listed: the kinds of which all objects were listed.
        again: how many objects were read again because of events.
        covered: the instant of the exports.
        resumed: whether an earlier process began it.
    """

    exports: Mapping[Kind, str]
    objects: Mapping[Kind, int]
    listed: tuple[Kind, ...]
    again: int
    covered: datetime
    resumed: bool


def fetch(spec: SaasSourceSpec, exports_root: str | Path, lease_seconds: float = 60.0) -> Loaded:
    """Makes a load below the exports root, or finishes the one that was cut off. One process at a time does.

    Args:
        lease_seconds: how long a process waits for another that has fallen silent.

    Raises:
        FetchRefused: the API cannot be asked; the exports are as they were.
        LeaseLost, StorageRefused: it may be tried again.
    """
    files = files_at(exports_root)
    layout = Layout(files, Lake(exports_root), spec)
    bench = Bench(files, layout.unfinished)
    with Lease(files, bench.lease, lease_seconds, what=f"the load of {spec.path}") as lease:
        return _Load(spec, layout, bench, lease).make()


class _Load:
    def __init__(self, spec: SaasSourceSpec, layout: Layout, bench: Bench, lease: Lease) -> None:
        self._api = Stripe(spec)
        self._spec, self._layout, self._bench, self._lease = spec, layout, bench, lease
        self._kinds: list[Kind] = [table.name for table in spec.tables]

    def make(self) -> Loaded:
        now = next(self._api.pages("events")).at
        begun = self._bench.read()
        # What events of before its beginning named may be asked for once more.
        resumed = (
            begun is not None and begun.asked == self._spec.asked() and now - begun.since_at < EVENTS_KEPT + OVERLAP
        )
        if begun is not None and resumed:
            self._progress = begun
        else:
            self._bench.clear()
            self._progress = self._begin(now)
            self._keep()
        self._check_bases()
        self._list()
        self._read_again()
        counts = {kind: self._publish(kind) for kind in self._kinds}
        progress = self._progress
        self._bench.clear()
        return Loaded(
            {kind: self._layout.export_id(progress.load, kind) for kind in self._kinds},
            counts,
            tuple(progress.listed),
            len(progress.changed),
            datetime.fromisoformat(progress.covered or progress.began),
            resumed,
        )

    def _begin(self, now: datetime) -> Progress:
        bases: dict[Kind, str] = {}
        since, listed_at = now, dict.fromkeys(self._kinds, now.isoformat())
        for kind in self._kinds:
            newest = self._layout.newest(kind)
            if newest is None:
                continue
            if newest.covered >= now:
                raise FetchRefused(
                    f"{newest.where}: covers {newest.covered.isoformat()}, and the server's clock says {now.isoformat()}. Run the "
                    "load again when that is over.",
                    passes=True,
                )
            fresh = now - newest.listed_at < timedelta(days=self._spec.full_after_days)
            if newest.is_as_asked and fresh and now - newest.covered < EVENTS_KEPT:
                bases[kind], since = newest.export_id, min(since, newest.covered)
                listed_at[kind] = newest.listed_at.isoformat()
        load = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
        return Progress(load, self._spec.asked(), now.isoformat(), (since - OVERLAP).isoformat(), bases, listed_at)

    def _keep(self) -> None:
        self._lease.require()
        self._bench.keep(self._progress)

    def _check_bases(self) -> None:
        """Of kinds whose earlier export was damaged meanwhile, all objects are listed."""
        progress = self._progress
        for kind, export_id in list(progress.bases.items()):
            try:
                for _ in self._layout.contents(kind, export_id):
                    pass
            except Damaged as damaged:
                log.warning("%s", damaged)
                del progress.bases[kind]
                progress.listed_at[kind] = progress.began
                progress.covered, progress.changed, progress.again = None, [], []
                self._keep()

    def _list(self) -> None:
        """All objects of the kinds that no earlier export is taken over of."""
        progress = self._progress
        for kind in self._kinds:
            while kind not in progress.listed and kind not in progress.bases:
                try:
                    self._list_on(kind)
                except CursorGone:
                    # It was deleted since: the one before it in the list marks the same place.
                    progress.cursors[kind].pop()
                    if not progress.cursors[kind]:
                        progress.parts[kind] = 0

    def _list_on(self, kind: Kind) -> None:
        progress, lines, ids = self._progress, list[bytes](), list[str]()
        cursor = progress.cursors.get(kind, [])
        for page in self._api.pages(kind, cursor[-1] if cursor else None):
            lines += [line_of(one) for one in page.objects]
            ids = [one["id"] for one in page.objects]
            if len(lines) >= PART:
                self._keep_part(kind, lines, ids)
                lines = []
        if lines:
            self._keep_part(kind, lines, ids)
        progress.listed.append(kind)
        self._keep()

    def _keep_part(self, kind: Kind, lines: list[bytes], ids: list[str]) -> None:
        number = self._progress.parts.get(kind, 0)
        self._bench.put(f"{kind}-{number:06d}", lines)
        self._progress.parts[kind] = number + 1
        self._progress.cursors[kind] = ids
        self._keep()

    def _read_again(self) -> None:
        """What events name, as it is now."""
        progress = self._progress
        if progress.covered is None:
            progress.covered, progress.changed = self._changed(datetime.fromisoformat(progress.since))
            self._keep()
        while (first := sum(progress.again)) < len(progress.changed):
            some = progress.changed[first : first + AGAIN]
            lines = [_told(kind, name, self._api.one(kind, name)) for kind, name in some]
            self._bench.put(f"again-{len(progress.again):06d}", lines)
            progress.again.append(len(some))
            self._keep()

    def _changed(self, since: datetime) -> tuple[str, list[tuple[Kind, str]]]:
        """The instant before which all is told, and what to read again."""
        kinds = {OBJECTS[kind]: kind for kind in self._kinds}
        names: dict[tuple[Kind, str], None] = {}
        covered: datetime | None = None
        for page in self._api.pages("events", since=since):
            covered = covered or page.at
            for event in page.objects:
                for name, value in _named(event):
                    if name in kinds:
                        names[kinds[name], value] = None
        assert covered is not None
        return covered.isoformat(), list(names)

    def _publish(self, kind: Kind) -> int:
        progress = self._progress
        self._lease.require()
        return self._layout.write(kind, progress, self._lines(kind), self._lease.require)

    def _lines(self, kind: Kind) -> Iterator[bytes]:
        """The objects of a kind: what was read again as it is now, all else as it was taken over or listed."""
        progress = self._progress
        seen = {name for of, name in progress.changed if of == kind}
        for number in range(len(progress.again)):
            for told in _again(self._bench.part(f"again-{number:06d}")):
                if told["kind"] == kind and told["line"] is not None:
                    yield told["line"].encode()
        base = progress.bases.get(kind)
        if base is not None:
            parts = self._layout.contents(kind, base)
        else:
            parts = (self._bench.part(f"{kind}-{number:06d}") for number in range(progress.parts.get(kind, 0)))
        for content in parts:
            for name, line in unpacked(content):
                if name not in seen:
                    seen.add(name)
                    yield line


def _named(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(what the API calls it, id) of the objects that an event is about: its own, and the one that it belongs to by its type."""
    data = event.get("data")
    one = data.get("object") if isinstance(data, dict) else None
    if not isinstance(one, dict) or not isinstance(event.get("type"), str):
        raise FetchRefused("/v1/events: an event has no type or object. Nothing of this load is an export.")
    if isinstance(one.get("object"), str) and isinstance(one.get("id"), str):
        yield one["object"], one["id"]
    # Such as customer.discount.created, whose object is the discount.
    owner = event["type"].partition(".")[0]
    if owner != one.get("object") and isinstance(one.get(owner), str):
        yield owner, one[owner]


def _told(kind: Kind, name: str, one: dict[str, Any] | None) -> bytes:
    line = None if one is None else line_of(one).decode()
    return json.dumps({"kind": kind, "id": name, "line": line}).encode() + b"\n"


def _again(content: bytes) -> Iterator[dict[str, Any]]:
    for line in gzip.decompress(content).splitlines():
        yield json.loads(line)
