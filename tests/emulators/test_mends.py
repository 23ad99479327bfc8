"""Every mend of the BigQuery emulator works, and without it the emulator still fails.

When `test_without_its_mend…` fails, local-bigquery has learned it: delete the mend.
"""

import io
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.emulators import namespaces
from tests.emulators.clients import Variables, bigquery_client, rows, upload
from tests.emulators.servers import HERE, Emulators, serving

if TYPE_CHECKING:
    from google.cloud import bigquery

pytestmark = pytest.mark.emulator_only

FILTERED = "create table raw.events (d date, id int64) partition by d options (require_partition_filter = true)"


def created_table_is_the_destination(variables: Variables) -> None:
    job = bigquery_client(variables).query("create table raw.made as select 1 as id")
    job.result()
    assert job.destination is not None
    assert job.destination.table_id == "made"


def struct_into_variables(variables: Variables) -> None:
    script = "declare ids array<int64>; set (ids) = (select as struct array_agg(x) from unnest([7]) x); select ids[0]"
    assert rows(bigquery_client(variables), script) == [(7,)]


def views_and_copies_need_no_filter(variables: Variables) -> None:
    client = bigquery_client(variables)
    client.query_and_wait(FILTERED)
    client.query_and_wait("insert into raw.events values (date '2026-01-02', 1)")
    for statement in (
        "view raw.v as select * from",
        "table raw.clone clone",
        "table raw.copy copy",
        "table raw.x like",
    ):
        client.query_and_wait(f"create {statement} raw.events")
    assert rows(client, "select id from raw.v where d = date '2026-01-02'") == [(1,)]


def views_and_copies_need_no_filter_by_api(variables: Variables) -> None:
    from google.cloud import bigquery

    client = bigquery_client(variables)
    client.query_and_wait(FILTERED)
    view = bigquery.Table(f"{client.project}.raw.v")
    view.view_query = f"select * from `{client.project}.raw.events`"
    client.create_table(view)
    assert rows(client, "select id from raw.v where d = date '2026-01-02'") == []


def bytes_in_parquet_are_not_base64(variables: Variables) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from google.cloud import bigquery

    file = io.BytesIO()
    pq.write_table(pa.table({"photo": [b"\x00\xff"]}), file)
    client = bigquery_client(variables)
    client.load_table_from_uri(
        upload(variables, "photos.parquet", file.getvalue()),
        f"{client.project}.raw.photos",
        job_config=bigquery.LoadJobConfig(source_format="PARQUET", schema=[bigquery.SchemaField("photo", "BYTES")]),
    ).result()
    assert rows(client, "select photo from raw.photos") == [(b"\x00\xff",)]


def a_job_id_is_given_out_once(variables: Variables) -> None:
    def start(job_id: str, client: "bigquery.Client") -> None:
        client.query("select 1", job_id=job_id, retry=None, job_retry=None)  # type: ignore[arg-type]  # None is for no retry

    for number in range(10):
        assert one_of_many(variables, partial(start, f"job_{number}"))


def a_table_is_made_once(variables: Variables) -> None:
    from google.cloud import bigquery

    def make(name: str, client: "bigquery.Client") -> None:
        table = bigquery.Table(f"{client.project}.raw.{name}", schema=[bigquery.SchemaField("id", "INT64")])
        client.create_table(table, retry=None)  # type: ignore[arg-type]  # None is for no retry

    for number in range(10):
        assert one_of_many(variables, partial(make, f"made_{number}"))


def one_of_many(variables: Variables, act: Callable[["bigquery.Client"], None]) -> bool:
    """Whether of many who do it at the same time one succeeds; the others must be told of a conflict."""
    from google.api_core.exceptions import Conflict

    many = 12
    together = threading.Barrier(many)

    def one(client: "bigquery.Client") -> bool:
        together.wait()
        try:
            act(client)
        except Conflict:
            return False
        return True

    # On connections of their own: the server closes one after an error, and who takes that up again is reset.
    with ThreadPoolExecutor(many) as pool:
        return sum(pool.map(one, [bigquery_client(variables) for _ in range(many)])) == 1


# What fails without the mend, so that nothing else is taken for it.
PROMISES: dict[Callable[[Variables], None], str] = {
    created_table_is_the_destination: "assert None is not None",
    struct_into_variables: "Undeclared variable",
    views_and_copies_need_no_filter: "used for partition elimination",
    views_and_copies_need_no_filter_by_api: "used for partition elimination",
    bytes_in_parquet_are_not_base64: "from_base64",
    a_job_id_is_given_out_once: "[Dd]uplicate key|Conflict on update|assert False",
    a_table_is_made_once: "Failed to commit|Conflict on|assert False",
}


def mends() -> list[str]:
    """The names in MENDS of serve_bigquery.py, whose module only loads in the emulators' environment."""
    listed = re.search(r"^MENDS: .* = \((.*?)\)$", (HERE / "serve_bigquery.py").read_text(), re.S | re.M)
    assert listed is not None
    return re.findall(r"\w+", listed[1])


@pytest.fixture(scope="module")
def unmended(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    with serving(tmp_path_factory.mktemp("unmended"), unmended=tuple(mends())) as running:
        yield running


@pytest.fixture
def namespace(request: pytest.FixtureRequest, emulators: Emulators, unmended: Emulators) -> Iterator[Variables]:
    """On the server that the test names: `mended` or `unmended`."""
    with namespaces.emulated({"mended": emulators, "unmended": unmended}[request.param]) as variables:
        bigquery_client(variables).create_dataset("raw")
        yield variables


@pytest.mark.parametrize("namespace", ["mended"], indirect=True)
@pytest.mark.parametrize("promise", PROMISES)
def test_the_mended_emulator_keeps(promise: Callable[[Variables], None], namespace: Variables) -> None:
    promise(namespace)


@pytest.mark.parametrize("namespace", ["unmended"], indirect=True)
@pytest.mark.parametrize("promise", PROMISES)
def test_without_its_mend_the_emulator_does_not_keep(
    promise: Callable[[Variables], None], namespace: Variables
) -> None:
    from google.api_core.exceptions import GoogleAPICallError

    with pytest.raises((AssertionError, GoogleAPICallError), match=PROMISES[promise]):
        promise(namespace)


def test_every_mend_has_a_promise() -> None:
    assert {promise.__name__.removesuffix("_by_api") for promise in PROMISES} == set(mends())
