"""DuckDB's side of reading the published marts for others than the platform's own steps: nothing that it hands out can write.

DuckDB reaches no file by itself. The marts' files are handed to it by a file system that opens those alone, and only for reading:
so whatever is done with a table or its connection, no file is changed, and there is no lock to wait for. Belongs here: that. Does
not belong here: what the steps read by (`reading`). Only `DuckDBEngine.reading` imports this module.
"""

import shutil
import tempfile
import threading
import weakref
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.engines.reading import QueryFailed
from platform_assets.data.quality.unquoting import reason_of

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa
    from duckdb import DuckDBPyConnection
    from ibis.backends.duckdb import Backend

PROTOCOL = "marts"


class MartFiles(AbstractFileSystem):
    """Files by the names that they were given, for reading; everything else that a file system does is refused.

    Attributes:
        paths: name → file.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[str, Path] = {}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> IO[bytes]:
        if mode != "rb":
            raise PermissionError(f"{path}: published marts are read, not written; write to a place of your own")
        return self._file(path).open("rb")

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._file(path).stat().st_size, "type": "file"}

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self._file(path).stat().st_mtime, UTC)

    def glob(self, path: str, **_: Any) -> list[str]:
        name = self._strip_protocol(path)
        return [name] if name in self.paths else []

    def _file(self, path: str) -> Path:
        name = self._strip_protocol(path)
        if name not in self.paths:
            raise FileNotFoundError(f"{path} is no mart that was opened here")
        return self.paths[name]


class ClosedBackend:
    """DuckDB in memory that reaches marts' files alone; what does not fit into memory it spills into a temporary folder.

    Attributes:
        one_by_one: held by a thread of this process while it asks; a connection that is busy refuses others.
    """

    def __init__(self) -> None:
        self.one_by_one = threading.RLock()
        self._files = MartFiles()

    @cached_property
    def backend(self) -> "Backend":
        import ibis

        spilled = _folder_to_spill_into()
        backend = ibis.duckdb.connect(temp_directory=spilled)
        backend.con.register_filesystem(self._files)
        for setting in ("timezone='UTC'", f"allowed_directories=['{PROTOCOL}://']", "enable_external_access=false"):
            # The last cannot be turned on again while the database is open.
            backend.raw_sql(f"set {setting}")
        # A connection that is open when the interpreter ends would keep the file system alive, which DuckDB reports.
        weakref.finalize(backend, _close, backend.con, spilled)
        return backend

    def show(self, file: Path, name: str) -> None:
        """Make a file's rows a table."""
        self._files.paths[name] = file
        self.backend.read_parquet(f"{PROTOCOL}://{name}", table_name=name, hive_partitioning=False)


def _folder_to_spill_into() -> str:
    """A temporary folder for this user alone; empty, which is nowhere, where this process may write nothing at all."""
    try:
        return tempfile.mkdtemp(prefix="platform-assets-")
    except OSError:
        return ""


def _close(connection: "DuckDBPyConnection", spilled: str) -> None:
    connection.close()
    if spilled:
        # The process may be ending, and nobody is there to be told.
        shutil.rmtree(spilled, ignore_errors=True)


class ReadOnlyWarehouse(DuckDBWarehouse):
    """The published marts below a folder, as of its first use. Tables of instances that share what is `closed` join."""

    def __init__(self, catalog: Catalog, marts: MartStore, closed: ClosedBackend) -> None:
        super().__init__(catalog, marts)
        self._closed = closed

    def table(self, mart: str) -> "ibis.Table":
        with self._closed.one_by_one:
            return super().table(mart)

    def to_arrow(self, expression: "ibis.Expr") -> "pa.Table":
        with self._closed.one_by_one:
            return self._rows(expression)

    def _rows(self, expression: "ibis.Expr") -> "pa.Table":
        import duckdb
        import ibis.expr.operations as ops

        if expression.op().find((ops.InMemoryTable, ops.ScalarUDF, ops.AggUDF)):
            return super().to_arrow(expression.as_table())
        # The same without what Ibis makes ready for rows in memory, which imports pandas.
        schema = expression.as_table().schema().to_pyarrow()
        try:
            return self._backend.con.sql(self.sql(expression)).to_arrow_table().cast(schema)
        except duckdb.Error as error:
            raise QueryFailed(f"DuckDB could not read the marts: {reason_of(error)}") from None

    def _show(self, file: Path, name: str) -> None:
        self._closed.show(file, name)

    @cached_property
    def _backend(self) -> "Backend":
        return self._closed.backend
