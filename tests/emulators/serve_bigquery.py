"""Serves the `local-bigquery` emulator on 127.0.0.1, with the gaps mended that stop this platform.

Runs in the emulators' own environment (`make emulators`), never in the platform's. Belongs here: starting that server,
mends of what a client of real BigQuery relies on and local-bigquery 0.4.0 does not do, and what makes it bearably fast.
Each mend touches the package's internals and is held by a test in test_mends.py, which also fails when the mend is no
longer needed; the server does not start when a rewritten function has changed.

usage: serve_bigquery.py DATA_FOLDER ENDPOINTS_FILE [MEND…]
    The first line of ENDPOINTS_FILE becomes the REST endpoint, the second the gRPC one. STORAGE_EMULATOR_HOST says
    where `gs://` is. The mends named are left out.
"""

import contextvars
import inspect
import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import duckdb
import uvicorn
from local_bigquery import api
from local_bigquery.app import app
from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.errors import BigQueryError
from local_bigquery.grpc import server as grpc_server
from local_bigquery.jobs import load, query, runner, storage
from local_bigquery.settings import settings
from local_bigquery.sql import rules
from sqlglot import exp

HOST = "127.0.0.1"
# Longer than any client of a test leaves a connection idle: one that is taken up again just as it is closed is reset.
KEEP_ALIVE_SECONDS = 600
SELECT_AS_STRUCT = re.compile(r"set\s*\(\s*(\w+)\s*\)\s*=\s*\(\s*select\s+as\s+struct\b", re.I)


def created_table_is_the_destination() -> None:
    """CREATE TABLE AS SELECT reports the table it made as its job's destination: dbt-bigquery reads it."""
    execute = query.execute

    def mended(cursor: duckdb.DuckDBPyConnection, project_id: str, job_id: str, config: Any, **options: Any) -> tuple:
        statement, children, destination = execute(cursor, project_id, job_id, config, **options)
        if destination is None and statement.statementType == "CREATE_TABLE_AS_SELECT":
            destination = statement.ddlTargetTable
        return statement, children, destination

    query.execute = mended


def struct_into_variables() -> None:
    """`set (x) = (select as struct …)` parses: dbt's dynamic insert_overwrite sends it."""
    execute = query.execute

    def mended(cursor: duckdb.DuckDBPyConnection, project_id: str, job_id: str, config: Any, **options: Any) -> tuple:
        if config.query:
            config.query = SELECT_AS_STRUCT.sub(r"set \1 = (select", config.query)
        return execute(cursor, project_id, job_id, config, **options)

    query.execute = mended


def views_and_copies_need_no_filter() -> None:
    """A view, clone, copy or twin of a table that requires a partition filter can be made: the filter is for reading."""
    check, split, translate_view = rules.tables._check, rules.ddl.split, api.tables.translate_view
    making_view = contextvars.ContextVar("making_view", default=False)

    def mended_check(tree: exp.Expression, table: exp.Table, is_target: bool) -> None:
        try:
            check(tree, table, is_target)
        except BigQueryError as error:
            whole = tree.args.get("kind") == "VIEW" or not tree.args.get("expression") or tree.meta.get("clone")
            made = making_view.get() or (isinstance(tree, exp.Create) and whole)
            if not made or "used for partition elimination" not in error.message:
                raise

    def mended_split(tree: exp.Expression) -> list[exp.Expression]:
        parts = split(tree)
        # What comes back for a clone is a CREATE TABLE AS SELECT like any other.
        for part in parts:
            part.meta["clone"] = bool(tree.args.get("clone"))
        return parts

    def mended_translate_view(*arguments: str) -> str:
        token = making_view.set(True)
        try:
            return translate_view(*arguments)
        finally:
            making_view.reset(token)

    rules.tables._check, rules.ddl.split = mended_check, mended_split
    api.tables.translate_view = mended_translate_view


def bytes_in_parquet_are_not_base64() -> None:
    """A BYTES column of a Parquet file loads under an explicit schema: only text formats carry base64."""
    decoded, projection = load._decoded, load._projection
    text = contextvars.ContextVar("text", default=True)

    def mended_decoded(expression: str, field: Any, depth: int = 0) -> str:
        return decoded(expression, field, depth) if text.get() else expression

    def mended_projection(config: Any, fields: list[Any], columns: list[str]) -> tuple[str, str]:
        token = text.set((config.sourceFormat or "CSV") in load.TEXT_FORMATS)
        try:
            return projection(config, fields, columns)
        finally:
            text.reset(token)

    load._decoded, load._projection = mended_decoded, mended_projection


def a_job_id_is_given_out_once() -> None:
    """Of requests at the same time to start a job of one id, one starts it and the others are told that it is there."""
    submit, starting = runner.submit, threading.Lock()

    def mended(*arguments: Any, **options: Any) -> None:
        with starting:
            return submit(*arguments, **options)

    runner.submit = mended


def a_table_is_made_once() -> None:
    """Of requests at the same time to make a table, one makes it and the others are told that it is there."""
    create, making = tables.create, threading.Lock()

    def mended(*arguments: Any) -> Any:
        with making:
            return create(*arguments)

    tables.create = mended


MENDS: tuple[Callable[[], None], ...] = (
    created_table_is_the_destination,
    struct_into_variables,
    views_and_copies_need_no_filter,
    bytes_in_parquet_are_not_base64,
    a_job_id_is_given_out_once,
    a_table_is_made_once,
)


def rewrite(function: FunctionType, text: str, replacement: str) -> None:
    """Replaces a piece of a function's source. Raises RuntimeError when it is not there exactly once."""
    source = inspect.getsource(function)
    if source.count(text) != 1:
        raise RuntimeError(
            f"{function.__module__}.{function.__name__} no longer has {text!r}: local-bigquery has changed"
        )
    made: dict[str, FunctionType] = {}
    exec(source.replace(text, replacement), dict(function.__globals__), made)
    # The function itself, because other modules have imported it by name.
    function.__code__ = made[function.__name__].__code__


def ask_one_table_only() -> None:
    """Looks a table up where it is. `duckdb_tables()` and `duckdb_columns()` go through every table of every open
    project, several times a statement: 0.1 s of CPU each with 30 tables, and results of queries are tables too.
    """
    objects = database.objects
    found = """
        select {kind}_name, upper('{kind}'), {rows} from {catalog}.ducklake_{kind} as found
        join {catalog}.ducklake_schema as dataset using (schema_id) {join}
        where found.end_snapshot is null and dataset.end_snapshot is null and schema_name = $1
            and {kind}_name = coalesce($2, {kind}_name)"""
    statistics = "left join {catalog}.ducklake_table_stats as statistics using (table_id)"

    def objects_of_one(project_id: str, dataset_id: str, table_id: str | None = None) -> list[tuple[str, str, int]]:
        if project_id == "emulator" and table_id is not None:
            try:
                [(count,)] = database.fetch(f"select count(*) from {database.quote(project_id, dataset_id, table_id)}")
            except duckdb.CatalogException:
                return []
            return [(table_id, "TABLE", count)]
        if project_id not in database._attached:
            return objects(project_id, dataset_id, table_id)
        catalog = database.quote(f"__ducklake_metadata_{project_id}")
        counted = {"rows": "coalesce(record_count, 0)", "join": statistics.format(catalog=catalog)}
        there = found.format(kind="table", catalog=catalog, **counted)
        views = found.format(kind="view", catalog=catalog, rows="0", join="")
        return database.fetch(f"{there} union all {views} order by 1", [dataset_id, table_id])

    def columns_of_one(sql: str, parameters: list[str]) -> list[tuple]:
        all_columns = "FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? AND table_name = ?"
        selected, condition = sql.split(all_columns)
        columns = """select name as column_name, not "notnull" as is_nullable from pragma_table_info(?)"""
        path = database.quote(*parameters[:3])
        try:
            return database.fetch(f"{selected} FROM ({columns}) WHERE true {condition}", [path, *parameters[3:]])
        except duckdb.CatalogException:
            return []

    database.objects, database.columns_of_one = objects_of_one, columns_of_one
    rewrite(tables.columns, "database.fetch(", "database.columns_of_one(")
    rewrite(rules.partitions._hidden, "database.fetch(", "database.columns_of_one(")
    # Only a session's cursor can have temporary tables when a job begins.
    rewrite(query.execute, "in temporary.fetchall()", "in (temporary.fetchall() if session else [])")


@app.delete("/emulator/projects/{project}")
def put_away(project: str) -> None:
    """Closes a project's database until it is used again: each open one makes every statement dearer."""
    database.connection()
    with database._attach_lock, database.cursor() as cursor:
        cursor.execute(f"DETACH DATABASE IF EXISTS {database.quote(project)}")
        database._attached.discard(project)


def main(data: Path, endpoints: Path) -> None:
    settings.data_dir = data
    # The first job that reads from GCS makes a secret for it; of two first ones at once, one fails.
    with database.cursor() as cursor:
        storage.paths(cursor, "gs://any/object")
    _, grpc_port = grpc_server.start(HOST, 0)
    listener = socket.create_server((HOST, 0))
    announcement = endpoints.with_suffix(".new")
    announcement.write_text(f"http://{HOST}:{listener.getsockname()[1]}\n{HOST}:{grpc_port}\n")
    announcement.replace(endpoints)
    config = uvicorn.Config(app, log_level="warning", timeout_keep_alive=KEEP_ALIVE_SECONDS)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    data_folder, endpoints_file, *unmended = sys.argv[1:]
    ask_one_table_only()
    for mend in MENDS:
        if mend.__name__ not in unmended:
            mend()
    main(Path(data_folder), Path(endpoints_file))
