"""Teacher files: labels that somebody else made, each at an as-of time of its own.

Belongs here: reading them, refusing the ones that cannot be trusted, and sampling negatives for files that hold
positives only. A file has three columns: the entity key, `as_of` and `label`.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.artifacts import ArtifactStore, Recipe, code_of
from platform_assets.campaigns.predicate import did_you_mean
from platform_assets.campaigns.spec import CampaignSpec, TeacherLabel
from platform_assets.campaigns.times import ImmatureLabel
from platform_assets.warehouse.duckdb import Warehouse

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


def teacher_path(spec: CampaignSpec, teachers: Path) -> Path:
    """Where a campaign's teacher file lies.

    Raises:
        TeacherError: the path leaves the teachers folder, or there is no such file.
    """
    assert isinstance(spec.label, TeacherLabel)
    path = (teachers / spec.label.teacher).resolve()
    if not path.is_relative_to(teachers.resolve()):
        raise TeacherError(f"label.teacher {spec.label.teacher}: lies outside the teachers folder {teachers}")
    if not path.is_file():
        there = (
            [p.relative_to(teachers).as_posix() for p in teachers.rglob("*") if p.suffix in (".csv", ".parquet")]
            if teachers.is_dir()
            else []
        )
        raise TeacherError(
            f"label.teacher {spec.label.teacher}: no such file in {teachers}{did_you_mean(spec.label.teacher, there)}"
        )
    return path


def read_teacher(spec: CampaignSpec, warehouse: Warehouse, teachers: Path) -> TeacherRows:
    """A campaign's teacher file with everything checked that can be.

    Raises:
        TeacherError: columns, types, labels, duplicates, unknown ids, one class only.
        ImmatureLabel: rows whose horizon the exports do not cover, when the campaign refuses them.
    """
    assert isinstance(spec.label, TeacherLabel)
    path = teacher_path(spec, teachers)
    key = warehouse.catalog.entities[spec.entity].key
    table = _typed(path, key, warehouse)
    _refuse_duplicates(path, key, table)
    _refuse_unknown(path, key, table, spec, warehouse)
    named = table.select([key])
    table, set_aside = _known_rows(path, table, spec, warehouse)
    if spec.label.negatives == "sample_population":
        table = _with_sampled_negatives(path, key, table, named, spec, warehouse)
    _refuse_one_class(path, table)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return TeacherRows(table.sort_by([("as_of", "ascending"), (key, "ascending")]), set_aside, content)


def kept_teacher(spec: CampaignSpec, warehouse: Warehouse, teachers: Path, store: ArtifactStore) -> TeacherRows:
    """The same, read and checked once for what it depends on: file, settings, people, and how far the exports reach.

    Raises:
        TeacherError, ImmatureLabel: as `read_teacher`; nothing is kept then.
    """
    import pyarrow.parquet as pq

    assert isinstance(spec.label, TeacherLabel)
    entity = warehouse.catalog.entities[spec.entity]
    file_hash = hashlib.sha256(teacher_path(spec, teachers).read_bytes()).hexdigest()
    recipe = Recipe(
        key=f"teachers/{spec.label.teacher}",
        code=code_of("platform_assets.campaigns.teacher"),
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
        teacher = read_teacher(spec, warehouse, teachers)
        pq.write_table(teacher.table, folder / FILE)
        return {"set_aside": teacher.set_aside}

    made = store.get_or_build(recipe, build)
    return TeacherRows(pq.ParquetFile(made.path(FILE)).read(), made.metadata["set_aside"], file_hash)


def _typed(path: Path, key: str, warehouse: Warehouse) -> "pa.Table":
    """The file's three columns in their types; text that is none is refused with its row."""
    import duckdb

    connection = warehouse.connect().con
    reader = "read_csv(?, all_varchar=true, header=true)" if path.suffix == ".csv" else "read_parquet(?)"
    try:
        raw = connection.sql(f"select * from {reader}", params=[str(path)]).to_arrow_table()  # noqa: S608 - one of two constants
    except duckdb.Error as error:
        raise TeacherError(f"{path}: cannot be read as {path.suffix[1:]}: {str(error).splitlines()[0]}") from error
    wanted = [key, "as_of", "label"]
    for name in wanted:
        if name not in raw.column_names:
            raise TeacherError(
                f"{path}: has no column {name}; it needs {', '.join(wanted)} and has {', '.join(raw.column_names)}"
            )
    entity = next(e for e in warehouse.catalog.entities.values() if e.key == key)
    by_text = warehouse.table(entity.mart).schema()[key].is_string()
    person = f'cast("{key}" as varchar)' if by_text else _whole(key, raw.schema)
    as_of, zoneless = _instant(raw.schema, entity.timezone)
    connection.register("teacher_raw", raw)
    read = connection.sql(
        f'select {person} as "{key}", {as_of} as as_of, {_whole("label", raw.schema)} as label, {zoneless} as zoneless from teacher_raw'  # noqa: S608
    ).to_arrow_table()
    connection.unregister("teacher_raw")
    bare = [row for row, value in enumerate(read["zoneless"].to_pylist()) if value]
    if bare:
        raise TeacherError(
            f"{path}:{bare[0] + 2}: as_of has no time zone in {len(bare)} rows; write 1998-01-31T12:00:00Z, or a date alone"
        )
    typed = read.select(wanted)
    for name in wanted:
        bad = [row for row, value in enumerate(typed[name].to_pylist()) if value is None]
        if bad:
            raise TeacherError(f"{path}:{bad[0] + 2}: {name} is empty or unreadable in {len(bad)} rows")
    strange = [row for row, value in enumerate(typed["label"].to_pylist()) if value not in (0, 1)]
    if strange:
        raise TeacherError(f"{path}:{strange[0] + 2}: label is neither 0 nor 1 in {len(strange)} rows")
    return typed


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


def _refuse_duplicates(path: Path, key: str, table: "pa.Table") -> None:
    pairs = table.select([key, "as_of"]).group_by([key, "as_of"]).aggregate([([], "count_all")])
    twice = table.num_rows - pairs.num_rows
    if twice:
        raise TeacherError(
            f"{path}: {twice} rows repeat a ({key}, as_of) that stands in the file already; keep one of each"
        )


def _refuse_unknown(path: Path, key: str, table: "pa.Table", spec: CampaignSpec, warehouse: Warehouse) -> None:
    mart = warehouse.catalog.entities[spec.entity].mart
    rows = warehouse.memtable(table.select([key]))
    unknown = rows.anti_join(warehouse.table(mart).select(key).distinct(), key).count().execute()
    if unknown:
        raise TeacherError(
            f"{path}: {unknown} of {table.num_rows} rows name a {key} that {mart} does not hold; remove them or load the export they come from"
        )


def _known_rows(path: Path, table: "pa.Table", spec: CampaignSpec, warehouse: Warehouse) -> tuple["pa.Table", int]:
    import pyarrow.compute as pc

    assert isinstance(spec.label, TeacherLabel)
    population = warehouse.catalog.entities[spec.entity].population
    watermark = warehouse.watermark(population)
    known = pc.less_equal(table["as_of"], _timestamp(watermark - spec.horizon))
    immature = table.num_rows - pc.sum(pc.cast(known, "int64")).as_py() if table.num_rows else 0
    if immature and spec.label.immature == "refuse":
        raise ImmatureLabel(
            f"{path}: as_of of {immature} rows is later than {(watermark - spec.horizon).isoformat()}: their {spec.horizon.days} days "
            f"(label.within) end after the watermark {watermark.isoformat()}, so nobody can know their label; remove them, "
            f"or say `immature: set_aside` to leave them out"
        )
    return table.filter(known), immature


def _timestamp(instant: datetime) -> "pa.Scalar":
    import pyarrow as pa

    return pa.scalar(instant.astimezone(UTC), pa.timestamp("us", "UTC"))


def _refuse_one_class(path: Path, table: "pa.Table") -> None:
    labels = set(table["label"].to_pylist())
    if labels == {1}:
        raise TeacherError(
            f"{path}: label is 1 in every row; add negatives, or say `negatives: sample_population` under `label`"
        )
    if labels != {0, 1}:
        raise TeacherError(f"{path}: label is never 1, so there is nothing to learn; add positives")


def _with_sampled_negatives(
    path: Path, key: str, table: "pa.Table", named: "pa.Table", spec: CampaignSpec, warehouse: Warehouse
) -> "pa.Table":
    """Positives and, at each positive's as-of time, people of the population whom the file does not name (`named`).

    The choice is by a hash of seed, person and time: the same file and data give the same negatives.
    """
    connection = warehouse.connect().con
    entity = warehouse.catalog.entities[spec.entity]
    mart = warehouse.catalog.marts[entity.population]
    if 0 in table["label"].to_pylist():
        raise TeacherError(f"{path}: holds negatives of its own; leave out `negatives: sample_population`")
    events = warehouse.published(mart.name).file
    connection.register("teacher_positives", table)
    connection.register("teacher_named", named)
    sampled = connection.sql(
        f"""
        with seen as (
            select "{mart.entity_key}" as person, min("{mart.event_time}") as first_event
            from read_parquet(?, hive_partitioning=false) group by all
        ),
        times as (select as_of, count(*) * {NEGATIVES_PER_POSITIVE} as wanted from teacher_positives group by all),
        candidates as (
            select seen.person, times.as_of, times.wanted,
                row_number() over (partition by times.as_of order by hash(?, seen.person, epoch_us(times.as_of)), seen.person) as place
            from times join seen on seen.first_event < times.as_of - to_seconds({int(mart.arrival_lag / timedelta(seconds=1))})
            where seen.person not in (select "{key}" from teacher_named)
        )
        select person as "{key}", as_of, 0::bigint as label from candidates where place <= wanted
        """,  # noqa: S608 - names from the catalog, numbers of our own
        params=[events, spec.advanced.seed],
    ).to_arrow_table()
    connection.unregister("teacher_positives")
    connection.unregister("teacher_named")
    import pyarrow as pa

    return pa.concat_tables([table, sampled.cast(table.schema)])
