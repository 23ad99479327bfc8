"""Teacher files: labels that somebody else made, each at an as-of time of its own.

Belongs here: reading them, refusing the ones that cannot be trusted, and sampling negatives for files that hold
positives only. A file has three columns: the entity key, `as_of` and `label`.
"""

import csv
import glob
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.spec import CampaignSpec, TeacherLabel
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel
from platform_assets.campaigns.training_sets.teacher_size import TeacherTooLarge, require_within
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.windows import Events
from platform_assets.data.quality.unquoting import reason_of
from platform_assets.environment import Limits, Place
from platform_assets.foundation.artifacts import Recipe, code_of
from platform_assets.foundation.documents.sentences import did_you_mean
from platform_assets.foundation.storage import files_at

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "teacher.parquet"
NEGATIVES_PER_POSITIVE = 4


class TeacherError(ValueError):
    """A teacher file that cannot be used; the message names the file, the column and how many rows."""


@dataclass(frozen=True)
class TeacherRows:
    """A teacher file, read and checked.

    Attributes:
        table: columns (entity key, as_of as UTC timestamp, label as int64), sorted by as_of and key.
        set_aside: rows left out because the exports do not cover their horizon yet.
        content_hash: sha256 of the file.
    """

    table: "pa.Table"
    set_aside: int
    content_hash: str


@dataclass(frozen=True)
class TeacherFile:
    """A teacher file: where people find it, and where this process reads it."""

    location: str
    path: Path

    def __str__(self) -> str:
        return self.location

    @property
    def content_hash(self) -> str:
        """sha256 of its bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened_teacher(spec: CampaignSpec, teachers: Place) -> Iterator[TeacherFile]:
    """A campaign's teacher file, to be read while the context lasts.

    Raises:
        TeacherError: the path leaves the teachers folder, or there is no such file.
    """
    assert isinstance(spec.label, TeacherLabel)
    name = spec.label.teacher
    if name.startswith("/") or ".." in name.split("/"):
        raise TeacherError(f"label.teacher {name}: lies outside the teachers folder {teachers}")
    files = files_at(teachers)
    with TemporaryDirectory(prefix="teacher-") as downloads:
        try:
            path = files.local_path(name, Path(downloads))
        except FileNotFoundError as error:
            there = [other for other in files.names() if other.endswith((".csv", ".parquet"))]
            raise TeacherError(
                f"label.teacher {name}: no such file in {teachers}{did_you_mean(name, there)}"
            ) from error
        if not path.is_relative_to(downloads) and not path.resolve().is_relative_to(Path(teachers).resolve()):
            raise TeacherError(f"label.teacher {name}: lies outside the teachers folder {teachers}")
        yield TeacherFile(files.location(name), path)


def _checked(file: TeacherFile, spec: CampaignSpec, warehouse: Warehouse, limits: Limits) -> TeacherRows:
    assert isinstance(spec.label, TeacherLabel)
    key = warehouse.catalog.entities[spec.entity].key
    table = _typed(file, key, warehouse, limits)
    _refuse_duplicates(file, key, table)
    _refuse_unknown(file, key, table, spec, warehouse)
    named = table.select([key])
    table, set_aside = _known_rows(file, table, spec, warehouse)
    if spec.label.negatives == "sample_population":
        table = _with_sampled_negatives(file, table, named, spec, warehouse)
    _refuse_one_class(file, table)
    return TeacherRows(table.sort_by([("as_of", "ascending"), (key, "ascending")]), set_aside, file.content_hash)


def kept_teacher(spec: CampaignSpec, work: Workspace) -> TeacherRows:
    """A campaign's teacher file, read and checked once for what it depends on: file, settings, people, and how far the
    exports reach.

    Raises:
        TeacherError: columns, types, labels, duplicates, unknown ids, one class only; nothing is kept then.
        ImmatureLabel: rows whose horizon the exports do not cover, when the campaign refuses them.
    """
    import pyarrow.parquet as pq

    assert isinstance(spec.label, TeacherLabel)
    warehouse = work.warehouse
    entity = warehouse.catalog.entities[spec.entity]
    with opened_teacher(spec, work.teachers) as file:
        file_hash = file.content_hash
        recipe = Recipe(
            key=f"teachers/{spec.label.teacher}",
            code=code_of("platform_assets.campaigns.training_sets.teacher"),
            config={
                "label": spec.label.model_dump(mode="json"),
                "entity": [entity.name, entity.key, entity.timezone],
                "seed": spec.advanced.seed,
                "watermark": warehouse.watermark(entity.population).isoformat(),
            },
            inputs={
                "teacher file": file_hash,
                **{mart: warehouse.published(mart).content_hash for mart in (entity.mart, entity.population)},
            },
        )

        def build(folder: Path) -> dict[str, int]:
            teacher = _checked(file, spec, warehouse, work.limits)
            pq.write_table(teacher.table, folder / FILE)
            return {"set_aside": teacher.set_aside}

        stored = work.store.get_or_build(recipe, build)
    return TeacherRows(pq.ParquetFile(stored.path(FILE)).read(), stored.metadata["set_aside"], file_hash)


def _typed(file: TeacherFile, key: str, warehouse: Warehouse, limits: Limits) -> "pa.Table":
    """The file's three columns in their types; text that is none is refused with its row."""
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc

    reader = "read_csv(?, all_varchar=true, header=true)" if file.path.suffix == ".csv" else "read_parquet(?)"
    path = glob.escape(str(file.path))
    try:
        raw = _query(f"select * from {reader} limit 0", params=[path])  # noqa: S608 - one of two constants
    except duckdb.Error as error:
        raise TeacherError(f"{file}: cannot be read as {file.path.suffix[1:]}: {reason_of(error)}") from None
    wanted = [key, "as_of", "label"]
    for name in wanted:
        if name not in raw.column_names:
            # Not the names that it has: where its first line is no header they are a person's.
            there = ", ".join(other for other in wanted if other in raw.column_names) or "none of them"
            close = get_close_matches(name, raw.column_names, n=1)
            raise TeacherError(
                f"{file}: has no column {name}{did_you_mean(name, close) if close else ''}; it needs {', '.join(wanted)} and has "
                f"{there}{_unevenness(file)}"
            )
    entity = next(e for e in warehouse.catalog.entities.values() if e.key == key)
    by_text = warehouse.table(entity.mart).schema()[key].is_string()
    person = f'cast("{key}" as varchar)' if by_text else _whole(key, raw.schema)
    as_of, zoneless = _instant(raw.schema, entity.timezone)
    try:
        require_within(reader, path, raw.schema, wanted, limits)
        read = _query(
            f'select {person} as "{key}", {as_of} as as_of, {_whole("label", raw.schema)} as label, {zoneless} as zoneless from {reader}',  # noqa: S608
            params=[path],
        )
    except TeacherTooLarge as error:
        raise TeacherError(f"{file}: {error}") from error
    except duckdb.Error as error:
        raise TeacherError(f"{file}: its columns cannot be read: {reason_of(error)}{_unevenness(file)}") from None
    first, count = _where(read["zoneless"])
    if count:
        raise TeacherError(
            f"{file}:{first + 2}: as_of has no time zone in {count} rows; write 1998-01-31T12:00:00Z, or a date alone"
        )
    typed = read.select(wanted)
    for name in wanted:
        first, count = _where(typed[name].is_null())
        if count:
            raise TeacherError(f"{file}:{first + 2}: {name} is empty or unreadable in {count} rows")
    first, count = _where(pc.invert(pc.is_in(typed["label"], pa.array([0, 1], typed["label"].type))))
    if count:
        raise TeacherError(f"{file}:{first + 2}: label is neither 0 nor 1 in {count} rows")
    return typed


def _where(mask: "pa.ChunkedArray") -> tuple[int, int]:
    """The first row of which a mask is true, and how many there are."""
    import pyarrow.compute as pc

    return pc.index(mask, True).as_py(), pc.sum(mask).as_py() or 0


def _unevenness(file: TeacherFile) -> str:
    """Where the lines of a CSV stop having as many fields as the first, which makes another line look like the header."""
    if file.path.suffix != ".csv":
        return ""
    with file.path.open(newline="", encoding="utf-8", errors="replace") as lines:
        header = lines.readline()
        delimiter = max(",;\t|", key=header.count)
        fields = len(next(csv.reader([header], delimiter=delimiter), []))
        rows = csv.reader(lines, delimiter=delimiter)
        try:
            uneven = next((row for row in rows if row and len(row) != fields), None)
        except csv.Error as error:
            return f"; line {rows.line_num + 1} is no CSV: {error}"
    if uneven is None:
        return ""
    return f"; line {rows.line_num + 1} has {len(uneven)} fields where the first has {fields}: quote a field that holds a {delimiter!r}"


def _query(sql: str, params: Sequence[Any] = (), **tables: "pa.Table") -> "pa.Table":
    """The rows of a query over Arrow tables, or over the file it names, in UTC."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set timezone='UTC'")
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(sql, params=list(params)).to_arrow_table()


def _whole(column: str, schema: "pa.Schema") -> str:
    """SQL for a column of whole numbers; null where there is none. A plain cast would round 0.6 to 1."""
    import pyarrow as pa

    if pa.types.is_boolean(schema.field(column).type):
        return f'cast("{column}" as bigint)'
    return f"""case when regexp_full_match(trim(cast("{column}" as varchar)), '[+-]?[0-9]+([.]0*)?') then try_cast("{column}" as bigint) end"""


def _instant(schema: "pa.Schema", timezone: str) -> tuple[str, str]:
    """SQL for `as_of` as an instant, and for whether it is a time of which nobody can say when it was.

    A date stands for its first moment in `timezone`.
    """
    import pyarrow as pa

    kind = schema.field("as_of").type
    midnight = f"timezone('{timezone}', try_cast(as_of as timestamp))"
    if pa.types.is_date(kind):
        return midnight, "false"
    if pa.types.is_timestamp(kind):
        return "cast(as_of as timestamptz)", "false" if kind.tz else "as_of is not null"
    text = "trim(cast(as_of as varchar))"
    is_date = f"regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
    has_zone = f"regexp_matches({text}, '[0-9]:[0-9]{{2}}.*(Z|UTC|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$')"
    instant = f"case when {is_date} then {midnight} when {has_zone} then try_cast(as_of as timestamptz) end"
    return instant, f"not {is_date} and not {has_zone} and try_cast(as_of as timestamp) is not null"


def _refuse_duplicates(file: TeacherFile, key: str, table: "pa.Table") -> None:
    pairs = table.select([key, "as_of"]).group_by([key, "as_of"]).aggregate([([], "count_all")])
    twice = table.num_rows - pairs.num_rows
    if twice:
        raise TeacherError(
            f"{file}: {twice} rows repeat a ({key}, as_of) that stands in the file already; keep one of each"
        )


def _refuse_unknown(file: TeacherFile, key: str, table: "pa.Table", spec: CampaignSpec, warehouse: Warehouse) -> None:
    mart = warehouse.catalog.entities[spec.entity].mart
    rows = warehouse.memtable(table.select([key]))
    unknown = warehouse.value(rows.anti_join(warehouse.table(mart).select(key).distinct(), key).count())
    if unknown:
        raise TeacherError(
            f"{file}: {unknown} of {table.num_rows} rows name a {key} that {mart} does not hold; remove them or load the export they come from"
        )


def _known_rows(
    file: TeacherFile, table: "pa.Table", spec: CampaignSpec, warehouse: Warehouse
) -> tuple["pa.Table", int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    assert isinstance(spec.label, TeacherLabel)
    population = warehouse.catalog.entities[spec.entity].population
    watermark = warehouse.watermark(population)
    newest = (watermark - spec.horizon).astimezone(UTC)
    known = pc.less_equal(table["as_of"], pa.scalar(newest, pa.timestamp("us", "UTC")))
    immature = table.num_rows - pc.sum(pc.cast(known, "int64")).as_py() if table.num_rows else 0
    if immature and spec.label.immature == "refuse":
        raise ImmatureLabel(
            f"{file}: as_of of {immature} rows is later than {(watermark - spec.horizon).isoformat()}: their {spec.horizon.days} days "
            f"(label.within) end after the watermark {watermark.isoformat()}, so nobody can know their label; remove them, "
            f"or say `immature: set_aside` to leave them out"
        )
    return table.filter(known), immature


def _refuse_one_class(file: TeacherFile, table: "pa.Table") -> None:
    labels = set(table["label"].unique().to_pylist())
    if labels == {1}:
        raise TeacherError(
            f"{file}: label is 1 in every row; add negatives, or say `negatives: sample_population` under `label`"
        )
    if labels != {0, 1}:
        raise TeacherError(f"{file}: label is never 1, so there is nothing to learn; add positives")


def _with_sampled_negatives(
    file: TeacherFile, table: "pa.Table", named: "pa.Table", spec: CampaignSpec, warehouse: Warehouse
) -> "pa.Table":
    """Positives and, at each positive's as-of time, people of the population whom the file does not name (`named`).

    The choice is by a hash of seed, person and time: the same file and data give the same negatives.
    """
    import pyarrow as pa

    entity = warehouse.catalog.entities[spec.entity]
    key, mart = entity.key, warehouse.catalog.marts[entity.population]
    if 0 in table["label"].unique().to_pylist():
        raise TeacherError(f"{file}: holds negatives of its own; leave out `negatives: sample_population`")
    assert mart.entity_key is not None
    assert mart.event_time is not None
    events = Events(warehouse.table(mart.name), mart.entity_key, mart.event_time).before(warehouse.watermark(mart.name))
    seen = events.table.group_by(person=events.person).aggregate(first_event=events.table[events.time].min())
    sampled = _query(
        f"""
        with times as (select as_of, count(*) * {NEGATIVES_PER_POSITIVE} as wanted from teacher_positives group by all),
        candidates as (
            select seen.person, times.as_of, times.wanted,
                row_number() over (partition by times.as_of order by hash(?, seen.person, epoch_us(times.as_of)), seen.person) as place
            from times join seen on seen.first_event < times.as_of - to_seconds({int(mart.arrival_lag / timedelta(seconds=1))})
            where seen.person not in (select "{key}" from teacher_named)
        )
        select person as "{key}", as_of, 0::bigint as label from candidates where place <= wanted
        """,  # noqa: S608 - names from the catalog, numbers of our own
        params=[spec.advanced.seed],
        seen=warehouse.to_arrow(seen),
        teacher_positives=table,
        teacher_named=named,
    )
    return pa.concat_tables([table, sampled.cast(table.schema)])
