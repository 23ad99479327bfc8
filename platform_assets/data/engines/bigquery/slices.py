"""Tables filled by slices: files loaded aside, and one slice of a table replaced from there in one transaction.

Belongs here: load jobs, making and widening tables, the transaction that replaces a slice, and what makes each of them
repeatable. Does not belong here: what a table means, and what is verified between loading and replacing.

BigQuery gives out a job's id once. Every job here is called by what it does: of several processes that do the same, or of a
process and its rerun after a crash, one starts the job and the others wait for it. A transaction alone would not do: under
snapshot isolation two that each delete nothing and insert the same rows may both commit.
"""
# ruff: noqa: S608 - statements are composed of names and literals, each quoted by `quoted` or `literal`.

import gzip
import hashlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

from platform_assets.data.engines.bigquery.connection import BigQuery, is_transient, quoted, retrying

if TYPE_CHECKING:
    from google.cloud.bigquery import LoadJob, LoadJobConfig, QueryJob, SchemaField, Table

    Job = LoadJob | QueryJob

FileFormat = Literal["PARQUET", "NEWLINE_DELIMITED_JSON"]
DAY_MS = 24 * 60 * 60 * 1000
_INSTANTS = {"DATETIME", "TIMESTAMP"}
# The API answers with the older names of types, whichever it was given.
_OLDER_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
# From the first quote, which is no apostrophe, to the last one: what stands between may hold quotes itself.
_QUOTED = re.compile(r"""(?<!\w)['"`<](?:.*['"`>]|.*)""", re.S)
_VALUE = re.compile(r"(?<=\bvalue: ).*", re.I | re.S)
_SAID = 300
# Longer than any caller takes from looking at a slice to replacing it, clocks that differ included.
_LOOKED = timedelta(hours=1)


class LoadFailed(RuntimeError):
    """A load job failed. The message quotes no row.

    Attributes:
        files: those of its files that BigQuery names.
        reason: BigQuery's word for the kind of failure, such as `invalid` (the files) or `accessDenied`.
    """

    def __init__(self, message: str, files: Sequence[str], reason: str) -> None:
        super().__init__(message)
        self.files, self.reason = tuple(files), reason


class ColumnChanged(ValueError):
    """A column has another type than the table's column of that name."""

    def __init__(self, column: str, there: str, wanted: str) -> None:
        super().__init__(f"column {column} is {wanted}, but {there} in the table")
        self.column, self.there, self.wanted = column, there, wanted


@dataclass(frozen=True)
class Layout:
    """What a table is made with.

    Attributes:
        partitioned_by: a DATE or TIMESTAMP column, whose days are the partitions.
        expiry_days: how long after its day a partition is kept; None: for ever.
    """

    description: str
    schema: tuple["SchemaField", ...]
    partitioned_by: str | None = None
    expiry_days: int | None = None
    clustered_by: tuple[str, ...] = ()


def make_table(bigquery: BigQuery, name: str, layout: Layout, source: str) -> "Table":
    """The table `name`, made if it is not there, and widened by the columns it lacks; no column is taken from it.

    Raises:
        ColumnChanged: as `widened`.
        NotFound: there is no such dataset.
    """
    from google.api_core.exceptions import PreconditionFailed

    expiry = layout.expiry_days * DAY_MS if layout.expiry_days else None
    while True:
        table = bigquery.find(name) or _created(bigquery, name, layout, expiry, source)
        schema, changed = widened(table.schema, layout.schema), []
        if len(schema) > len(table.schema):
            table.schema, changed = schema, ["schema"]
        if table.time_partitioning and table.time_partitioning.expiration_ms != expiry:
            table.time_partitioning.expiration_ms = expiry
            changed.append("time_partitioning")
        if not changed:
            return table
        try:
            return bigquery.client.update_table(table, changed, retry=retrying())
        except PreconditionFailed:  # Another process changed it meanwhile: look again.
            continue


def widened(there: Sequence["SchemaField"], wanted: Sequence["SchemaField"]) -> list["SchemaField"]:
    """The columns `there`, then those of `wanted` that are not among them.

    DATETIME and TIMESTAMP stand for each other: every instant is meant in UTC.

    Raises:
        ColumnChanged: a column of `wanted` is there with another type.
    """
    by_name = {field.name.lower(): field for field in there}
    schema = list(there)
    for field in wanted:
        before = by_name.get(field.name.lower())
        if before is None:
            schema.append(field)
        elif _kind(before) != _kind(field) and not {_kind(before), _kind(field)} <= _INSTANTS:
            raise ColumnChanged(field.name, _kind(before), _kind(field))
    return schema


def load_files(
    bigquery: BigQuery,
    aside: str,
    uris: Sequence[str],
    schema: Sequence["SchemaField"],
    file_format: FileFormat,
    source: str,
) -> None:
    """Load exactly these files into the table `aside`, in one job; nothing is loaded when that was done before.

    Args:
        aside: full name of a table of the scratch dataset. It stands for the content: other files, another name.
        uris: gs:// URLs, at most 10,000 (BigQuery's limit).

    Raises:
        LoadFailed: the files are not what `schema` says, or could not be read.
        ValueError: a URL holds `*`, by which BigQuery would load other files too.
    """
    from google.api_core.exceptions import GoogleAPICallError

    if starred := [uri for uri in uris if "*" in uri]:
        raise ValueError(f"{starred[0]}: a file whose name holds * cannot be loaded by name; rename it")
    config = _load_config(bigquery, schema, file_format, source)
    started: list[LoadJob] = []

    def start(job_id: str) -> "LoadJob":
        job = bigquery.client.load_table_from_uri(list(uris), aside, job_id=job_id, job_config=config, retry=retrying())
        started.append(job)
        return job

    try:
        _once(bigquery, f"load_{_digest(aside)}", start, stands=lambda _: bigquery.find(aside) is not None)
    except GoogleAPICallError:
        if not started or not started[-1].error_result:
            raise
        # The error itself quotes rows: what is said instead comes from the job, without them.
        failure = _failure(started[-1], uris)
    else:
        return
    raise failure


def load_local(
    bigquery: BigQuery,
    aside: str,
    path: Path,
    schema: Sequence["SchemaField"],
    file_format: FileFormat,
) -> None:
    """Load a local file into the table `aside`, which holds nothing else afterwards.

    Raises:
        LoadFailed: the file is not what `schema` says.
    """
    from google.api_core.exceptions import GoogleAPICallError

    # What is sent from here is sent as it reads: an upload has no ending by which to tell that it is gzipped.
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        job = bigquery.client.load_table_from_file(
            cast("IO[bytes]", file), aside, job_config=_load_config(bigquery, schema, file_format, "quarantine")
        )
    try:
        job.result(retry=retrying())
    except GoogleAPICallError:
        if not job.error_result:
            raise
        failure = _failure(job, ())
    else:
        return
    raise failure


def join_asides(bigquery: BigQuery, aside: str, parts: Sequence[str], columns: Sequence[str], source: str) -> None:
    """Make the table `aside` of the rows of others."""
    listed = ", ".join(map(quoted, columns))
    rows = " union all ".join(f"select {listed} from {quoted(part)}" for part in parts)
    bigquery.run(f"create or replace table {quoted(aside)} as {rows}", source)


def replace_slice(
    bigquery: BigQuery,
    table: "Table",
    shared: Mapping[str, str],
    aside: str | None,
    schema: Sequence["SchemaField"],
    source: str,
    stands: Callable[[], bool],
    also: str = "",
) -> bool:
    """Replace the rows of `table` that have the values `shared` by the rows of `aside`, in one transaction.

    Args:
        table: as `make_table` returned it.
        shared: column → SQL literal: what all rows of the slice have in common.
        aside: full name of the table with the new rows; None: the slice becomes empty.
        schema: the columns to take from there; columns of `shared` are not, columns that it lacks become null.
        stands: asked when the slice was replaced in the hour before, so maybe after the caller looked at it: whether what
            is there now is what is wanted.
        also: further statements of the transaction, such as a record of what the slice holds.

    Returns:
        Whether this call replaced the slice, rather than finding that it `stands`.
    """
    from google.cloud.bigquery import QueryJobConfig

    name = f"{table.project}.{table.dataset_id}.{table.table_id}"
    where = " and ".join(f"{quoted(column)} = {value}" for column, value in shared.items())
    statements = ["begin transaction", f"delete from {quoted(name)} where {where}"]
    if aside is not None:
        there = {field.name.lower(): field for field in table.schema}
        rows = {field.name: _as(there[field.name.lower()], field) for field in schema if field.name not in shared}
        rows |= shared
        statements.append(
            f"insert into {quoted(name)} ({', '.join(map(quoted, rows))}) "
            f"select {', '.join(rows.values())} from {quoted(aside)}"
        )
    script = ";\n".join([*statements, *filter(None, [also]), "commit transaction;"])
    config = QueryJobConfig(maximum_bytes_billed=bigquery.cloud.max_bytes_billed, labels=bigquery.labels(source))

    def start(job_id: str) -> "QueryJob":
        return bigquery.client.query(script, job_id=job_id, job_config=config, retry=retrying(), job_retry=None)

    def may_stand(job: "Job") -> bool:
        return datetime.now(UTC) - job.ended < _LOOKED and stands()

    return _once(bigquery, f"slice_{_digest(name, where)}", start, may_stand)


def _load_config(
    bigquery: BigQuery, schema: Sequence["SchemaField"], file_format: FileFormat, source: str
) -> "LoadJobConfig":
    from google.cloud.bigquery import LoadJobConfig, ParquetOptions

    config = LoadJobConfig(
        source_format=file_format,
        schema=list(schema),
        write_disposition="WRITE_TRUNCATE",
        max_bad_records=0,
        labels=bigquery.labels(source),
    )
    if file_format == "PARQUET":
        config.parquet_options = options = ParquetOptions()
        options.enable_list_inference = True
    return config


def _created(bigquery: BigQuery, name: str, layout: Layout, expiry: int | None, source: str) -> "Table":
    from google.cloud.bigquery import Table, TimePartitioning

    table = Table(name, schema=list(layout.schema))
    table.description = layout.description
    table.labels = bigquery.labels(source)
    if layout.partitioned_by:
        table.time_partitioning = TimePartitioning(field=layout.partitioned_by, expiration_ms=expiry)
    if layout.clustered_by:
        table.clustering_fields = list(layout.clustered_by)
    return bigquery.client.create_table(table, exists_ok=True, retry=retrying())


def _once(bigquery: BigQuery, name: str, start: Callable[[str], "Job"], stands: Callable[["Job"], bool]) -> bool:
    """Do what `name` says, or find it done: whether this call did it.

    A job that bears the name is waited for. It counts as done when it succeeded and its result still `stands`; else the
    next attempt is made under the next number, as an id is never given out again.
    """
    from google.api_core.exceptions import Conflict

    numbers = itertools.count(1)

    def attempt() -> bool:
        while True:
            job_id = f"{name}_{next(numbers)}"
            try:
                job = start(job_id)
            except Conflict:
                other = _found(bigquery, job_id)
                if other.exception(timeout=None) is None and stands(other):
                    return False
                continue
            job.result(retry=retrying())
            return True

    return bool(retrying().with_predicate(lambda error: is_transient(error) or _was_outrun(error))(attempt)())


def _found(bigquery: BigQuery, job_id: str) -> "Job":
    """A job that some process started."""
    from google.api_core.exceptions import NotFound

    # A job that was just made may not be found at once.
    patient = retrying().with_predicate(lambda error: is_transient(error) or isinstance(error, NotFound))
    return cast("Job", bigquery.client.get_job(job_id, location=bigquery.cloud.location, retry=patient))


def _was_outrun(error: BaseException) -> bool:
    # BigQuery cancels one of two transactions that change a table at the same time.
    return "concurrent update" in str(error)


def _failure(job: "LoadJob", uris: Sequence[str]) -> LoadFailed:
    messages = dict.fromkeys(error.get("message", "") for error in [job.error_result, *(job.errors or [])])
    said = " / ".join(without_values(message) for message in messages if message)
    files = [uri for uri in uris if any(uri in message for message in messages)]
    return LoadFailed(f"{said[:_SAID]}; job {job.job_id}", files, job.error_result.get("reason", "unknown"))


def without_values(message: str) -> str:
    """BigQuery's message without what it may quote of a row."""
    text = message.removeprefix("Error while reading data, error message: ")
    return " ".join(_VALUE.sub("'…'", _QUOTED.sub("'…'", text)).split())


def _as(there: "SchemaField", field: "SchemaField") -> str:
    """A column in the type that the table has for it."""
    if _kind(there) != _kind(field):
        return f"cast({quoted(field.name)} as {there.field_type})"
    return quoted(field.name)


def _kind(field: "SchemaField") -> str:
    kind = _OLDER_NAMES.get(field.field_type, field.field_type)
    return f"REPEATED {kind}" if field.mode == "REPEATED" else kind


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
