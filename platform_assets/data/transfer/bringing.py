"""All that is new in a source's prefix, brought below the exports root: side by side, data first, manifests last.

Belongs here: the order of a pass and what came of it. Does not belong here: a single object (`crossing`), and what is
wanted (`choosing`).
"""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from platform_assets.data.exports.export import ExportError, sha256
from platform_assets.data.exports.manifest import entry, parse_json
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.transfer.choosing import UNFINISHED, Held, Plan, Prefix, plan_of, tables_of
from platform_assets.data.transfer.crossing import TERMS, Bridge, Terms, Unlike
from platform_assets.data.transfer.ledger import Content, Crossing, Ledger
from platform_assets.data.transfer.origin import Changed, Origin
from platform_assets.foundation.storage import StorageRefused, files_at

# What AWS takes for a GB that leaves for the internet, the first 10 TB a month: https://aws.amazon.com/ec2/pricing/on-demand/
USD_PER_GB = 0.09

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Brought:
    """What a pass did.

    Attributes:
        bytes_moved: read from S3 in this pass; bytes_moved_ever: all that ever were, of whole objects.
        bytes_avoided: of what lies in S3 and is wanted, what this pass did not have to read: it had crossed before, or the same
            bytes were here under another name. bytes_avoided_ever: its sum over all passes, which a copy of everything at each
            pass would have read.
        held: exports that could not be brought whole.
        in_progress: a note on each export that is not finished.
        undeclared: exports of tables that the source does not declare, which were left where they are.
    """

    bytes_moved: int
    bytes_moved_ever: int
    bytes_avoided: int
    bytes_avoided_ever: int
    held: tuple[Held, ...]
    in_progress: tuple[str, ...]
    undeclared: tuple[str, ...]

    @property
    def egress_saved(self) -> float:
        """US dollars, at AWS's list price."""
        return self.bytes_avoided / 1e9 * USD_PER_GB

    @property
    def egress_saved_ever(self) -> float:
        return self.bytes_avoided_ever / 1e9 * USD_PER_GB


def bring(spec: ExportSourceSpec, exports_root: str | Path, terms: Terms = TERMS) -> Brought | None:
    """Brings what is new; None where the source is from nowhere else. Any number of processes may do so at once.

    Raises:
        StorageRefused: S3 or the storage of the exports does not say what is there, or nothing can be written.
    """
    return _Pass(spec, exports_root, terms).run() if spec.origin else None


def awaiting(spec: ExportSourceSpec, exports_root: str | Path, terms: Terms = TERMS) -> list[str]:
    """The finished exports of which something is still to be brought. Manifests that are new cross, and nothing else.

    Raises:
        StorageRefused: as `bring`.
    """
    return [plan.export_id for plan in _Pass(spec, exports_root, terms).plans()[0]] if spec.origin else []


def look(spec: ExportSourceSpec, exports_root: str | Path) -> str:
    """What a sensor compares: changes when an export in S3 is finished, or is another one. It is that of nothing when none is.

    Listings alone tell, but for snapshots that have not been brought: their progress is read.

    Raises:
        StorageRefused: as `bring`.
    """
    return _Pass(spec, exports_root, TERMS).look()


class _Pass:
    def __init__(self, spec: ExportSourceSpec, exports_root: str | Path, terms: Terms) -> None:
        assert spec.origin is not None
        try:
            files = files_at(exports_root)
        except ValueError as error:
            raise StorageRefused(f"PLATFORM_EXPORTS: {error}. `from` of a source brings exports there.") from error
        self._spec, self._terms = spec, terms
        self._origin = Origin(spec.origin, spec.from_role, terms.at_once)
        self._ledger = Ledger(files, spec.path)
        self._bridge = Bridge(self._origin, self._ledger, terms)
        try:
            placed = self._ledger.placed()
        except FileNotFoundError as error:
            raise StorageRefused(f"PLATFORM_EXPORTS: {error}.") from error
        self._prefix = Prefix(spec, self._origin.url, self._origin.objects(), placed)
        self._crossed: set[str] = set()
        self._avoided: list[int] = []

    def run(self) -> Brought:
        here = [key for key in self._prefix.objects if self._is_placed(key)]
        self._avoided += [self._prefix.objects[key].size for key in here]
        plans, held, in_progress, undeclared = self.plans()
        data = [(plan, each) for plan in plans for each in plan.data if not self._has(each)]
        # So that processes that begin together do not wait for each other at each object.
        random.shuffle(data)
        broken: dict[str, str] = {}

        def bring_data(task: tuple[Plan, Crossing]) -> None:
            plan, each = task
            if plan.export_id in broken:
                return
            try:
                self._over(each)
            except (Changed, Unlike) as error:
                broken[plan.export_id] = str(error)

        def bring_manifests(plan: Plan) -> None:
            try:
                for each in plan.manifests:
                    if not self._has(each):
                        self._over(each)
            except (Changed, Unlike) as error:
                broken[plan.export_id] = str(error)

        _side_by_side(bring_data, data, self._terms.at_once)
        _side_by_side(bring_manifests, [plan for plan in plans if plan.export_id not in broken], self._terms.at_once)
        held += [
            Held(plan.export_id, plan.tables, broken[plan.export_id]) for plan in plans if plan.export_id in broken
        ]
        return Brought(
            self._origin.bytes_read,
            self._ledger.bytes_arrived(self._origin.bucket, self._origin.prefix),
            sum(self._avoided),
            self._ledger.count_avoided(sum(self._avoided), uuid4().hex),
            tuple(held),
            tuple(in_progress),
            tuple(undeclared),
        )

    def look(self) -> str:
        finals = [key for key in map(self._prefix.final, self._prefix.exports) if key in self._prefix.objects]
        return sha256(*sorted(self._prefix.objects[key].identity for key in finals if not self._goes_on(key)))

    def _goes_on(self, final: str) -> bool:
        """Whether AWS is still at an export, whose last manifest it writes anew meanwhile."""
        if self._spec.format != "aurora_snapshot" or self._is_placed(final):
            return False
        there = self._prefix.objects[final]
        try:
            text = self._origin.read(there, 0, there.size).content
            return entry(parse_json(text, there.location), "status", str, there.location) in UNFINISHED
        except Changed:
            return True
        except ExportError:
            # Finished or not, somebody has to look at it.
            return False

    def plans(self) -> tuple[list[Plan], list[Held], list[str], list[str]]:
        """What is to be brought; what cannot be; what is in progress; what nobody declares."""
        waiting = [export_id for export_id in sorted(self._prefix.exports) if not self._is_done(export_id)]

        def plan(export_id: str) -> Plan | Held | str | None:
            try:
                return plan_of(self._prefix, export_id, self._text)
            except (ExportError, Changed, Unlike) as error:
                return Held(export_id, tables_of(self._spec), str(error))

        refused = self._ledger.refused_names()

        def judged(each: Plan) -> Plan | Held:
            """What S3 does not have as AWS wrote it does not come to be so by asking again."""
            names = [crossing for crossing in each.data if self._ledger.refused_name(crossing) in refused]
            reason = self._ledger.refused(names[0]) if names else None
            return Held(each.export_id, each.tables, reason) if reason else each

        outcomes = dict(zip(waiting, _side_by_side(plan, waiting, self._terms.at_once), strict=True))
        outcomes = {key: judged(each) if isinstance(each, Plan) else each for key, each in outcomes.items()}
        plans = [each for each in outcomes.values() if isinstance(each, Plan)]
        return (
            [each for each in plans if not all(map(self._has, (*each.data, *each.manifests)))],
            [each for each in outcomes.values() if isinstance(each, Held)],
            [each for each in outcomes.values() if isinstance(each, str)],
            [export_id for export_id, each in outcomes.items() if each is None],
        )

    def _is_done(self, export_id: str) -> bool:
        """Whether nothing of an export is new. A snapshot holds all tables, of which one may have been declared since."""
        return all(map(self._is_placed, (self._prefix.final(export_id), *self._prefix.parts(export_id))))

    def _is_placed(self, key: str) -> bool:
        there = self._prefix.objects.get(key)
        return there is not None and self._has(Crossing(there, f"{self._spec.path}/{key}", None))

    def _has(self, each: Crossing) -> bool:
        return self._ledger.placed_name(each) in self._prefix.placed

    def _text(self, each: Crossing) -> bytes:
        """The content of a manifest, which crosses for that if it has not yet, and is not placed."""
        while True:
            content = self._bridge.content(each) or self._content(each)
            stored = self._ledger.files.read(content.name)
            if stored is not None:
                return stored.content

    def _over(self, each: Crossing) -> None:
        """An object to its place."""
        while True:
            content = self._bridge.content(each) or self._content(each)
            if self._bridge.place(each, content):
                break
        if each.object.identity not in self._crossed:
            self._avoided.append(each.object.size)

    def _content(self, each: Crossing) -> Content:
        """The bytes of an object, once this process has read them or another one has."""
        lease = self._bridge.lease(each)
        content = lease.wait(instead=lambda: self._bridge.content(each))
        if content is not None:
            return content
        try:
            content, moved = self._bridge.bring(each)
        finally:
            lease.release()
        if moved:
            self._crossed.add(each.object.identity)
            self._avoided.append(each.object.size - moved)
        return content


def _side_by_side(work: Callable[[T], R], tasks: Sequence[T], at_once: int) -> list[R]:
    """What came of each task, in their order. The first error ends it: what was not begun is not."""
    over = threading.Event()

    def unless_over(task: T) -> R:
        if over.is_set():
            raise CancelledError
        try:
            return work(task)
        except BaseException:
            over.set()
            raise

    with ThreadPoolExecutor(max_workers=at_once) as pool:
        outcomes = [pool.submit(unless_over, task) for task in tasks]
    errors = [error for each in outcomes if (error := each.exception())]
    if errors:
        raise next((error for error in errors if not isinstance(error, CancelledError)), errors[0])
    return [each.result() for each in outcomes]
