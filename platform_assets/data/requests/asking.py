"""A look at what is due, which asks AWS for it; and a look at how far AWS is with what it was asked for.

Belongs here: the order of recording and calling, by which each export is asked for once. Does not belong here: what is due, and
how a service is called.

Recorded before the call is what is asked for, with its token; after it, the export's name at AWS. Who ends in between leaves an
intention, which the next look takes up: it finds the export that the call began, or makes the same call with the same token.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.requests.calling import NotNow
from platform_assets.data.requests.exporter import Exporter, State
from platform_assets.data.requests.planning import to_be_asked
from platform_assets.data.requests.record import Ledger, Request, RequestRefused, Requests, with_answer, with_refusal
from platform_assets.data.requests.snapshots import SnapshotExports
from platform_assets.data.requests.tables import TableExports
from platform_assets.data.requests.telling import failed_for_good, named, since
from platform_assets.foundation.storage import StorageRefused

_AT_ONCE = 8


@dataclass(frozen=True)
class Look:
    """What a look at one table, or one cluster, came to.

    Attributes:
        tables: the declared tables that it is of.
        sentences: what was asked for or ended, and what is waited for.
        news: whether something was asked for, or ended.
        refusals: what a person has to do something about.
        requests: what is recorded now.
    """

    tables: tuple[str, ...]
    sentences: tuple[str, ...]
    news: bool = False
    refusals: tuple[str, ...] = ()
    requests: Requests = ()


def exporters_of(spec: ExportSourceSpec) -> Sequence[Exporter]:
    """One a table of DynamoDB, one for all tables of a cluster; none where nothing is to be asked for."""
    if spec.request is None:
        return ()
    if spec.format == "aurora_snapshot":
        return (SnapshotExports(spec),)
    return [TableExports(spec, table) for table in spec.tables]


def ask(spec: ExportSourceSpec, exports_root: str | Path, now: datetime) -> list[Look]:
    """Ask AWS for all of a source's exports that are due, and again for those that failed. Waits for none of them.

    Any number of processes may do so at once.
    """
    return _side_by_side(spec, exports_root, lambda exporter, ledger: _ask(exporter, ledger, now))


def await_exports(spec: ExportSourceSpec, exports_root: str | Path, now: datetime) -> list[Look]:
    """Record how far AWS is with what it was asked for."""
    return _side_by_side(spec, exports_root, lambda exporter, ledger: _await(exporter, ledger, now))


def _side_by_side(
    spec: ExportSourceSpec, exports_root: str | Path, work: Callable[[Exporter, Ledger], Look]
) -> list[Look]:
    def look(exporter: Exporter) -> Look:
        try:
            return work(exporter, Ledger(exports_root, spec.path))
        except NotNow as error:
            return Look(exporter.tables, (str(error),))
        except (RequestRefused, StorageRefused) as error:
            return Look(exporter.tables, (), refusals=(str(error),))

    exporters = exporters_of(spec)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(look, exporters))


def _ask(exporter: Exporter, ledger: Ledger, now: datetime) -> Look:
    if failure := ledger.failure(exporter.record):
        return Look(exporter.tables, (), refusals=(failure,))
    requests = ledger.read(exporter.record)
    if not exporter.is_due(requests, now):
        return Look(exporter.tables, ())
    exporter.prepare()

    def planned(recorded: Requests) -> Requests:
        # Read after the record: a last failure is written down before it is recorded.
        return recorded if ledger.failure(exporter.record) else exporter.planned(recorded, now)

    requests = ledger.update(exporter.record, planned)
    sentences: list[str] = []
    for request in to_be_asked(requests):
        known = {each.last.id for each in requests if each.last.id}
        try:
            export = exporter.begin(request, known)
        except NotNow as error:
            return Look(exporter.tables, (*sentences, str(error)), bool(sentences), (), requests)
        except RequestRefused as error:
            # What is corrected in the declaration has to reach the call.
            requests = ledger.update(exporter.record, lambda recorded: with_refusal(recorded, request))  # noqa: B023
            return Look(exporter.tables, tuple(sentences), bool(sentences), (str(error),), requests)
        requests = ledger.update(exporter.record, lambda recorded: _begun(recorded, request, export))  # noqa: B023
        sentences.append(f"{exporter.name}: {named(request.wanted)} was asked for")
    return Look(exporter.tables, tuple(sentences), bool(sentences), (), requests)


def _begun(recorded: Requests, request: Request, export: str) -> Requests:
    return with_answer(recorded, request, id=export, status="IN_PROGRESS")


def _await(exporter: Exporter, ledger: Ledger, now: datetime) -> Look:
    requests = ledger.read(exporter.record)
    waiting: list[str] = []
    ended: list[str] = []
    for request in [each for each in requests if each.last.status in ("INTENDED", "IN_PROGRESS")]:
        what = f"{exporter.name}: {named(request.wanted)}, asked for {since(request.last.asked_at, now)}"
        if request.last.id is None:
            waiting.append(f"{what}: AWS has not said yet that it does it")
            continue
        state = exporter.state(request.last.id)
        if state.status == "IN_PROGRESS":
            waiting.append(f"{what}: AWS is at it{f' ({state.progress})' if state.progress else ''}")
            continue
        requests = _record(exporter, ledger, request, state)
        ended.append(f"{what}: {state.status}{f' ({state.why})' if state.why else ''}")
    failure = ledger.failure(exporter.record)
    return Look(exporter.tables, (*ended, *waiting), bool(ended), (failure,) if failure else (), requests)


def _record(exporter: Exporter, ledger: Ledger, request: Request, state: State) -> Requests:
    answer = {"status": state.status, "why": state.why, "ended_at": state.ended_at}
    failed = request.with_last(**answer)
    if failed.is_exhausted:
        ledger.record_failure(
            exporter.record, failed_for_good(failed, exporter.name, ledger.failure_location(exporter.record))
        )
    return ledger.update(exporter.record, lambda recorded: with_answer(recorded, request, **answer))
