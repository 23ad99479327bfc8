"""One connection to BigQuery: what a query may cost, what is tried again, and what is said when it is not allowed.

Belongs here: the clients, the cost guard, retries, and errors in words. Does not belong here: any table's name.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from platform_assets.data.quality.unquoting import without_values
from platform_assets.environment import Cloud

if TYPE_CHECKING:
    import pyarrow as pa
    from google.api_core.retry import Retry
    from google.cloud.bigquery import Client, QueryJob, Table
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

# Google's advice for requests that may be repeated; https://cloud.google.com/bigquery/docs/error-messages
TRANSIENT = frozenset({429, 500, 502, 503, 504})
PATIENCE_SECONDS = 300.0
# Values of labels: lower case, digits, _ and -, 63 characters; https://cloud.google.com/bigquery/docs/labels-intro
_LABEL = re.compile(r"[^a-z0-9_-]")
_DENIED_COLUMNS = re.compile(r"policy tag.*?\bon columns? (?P<columns>[^\s,]+(?:,\s*[^\s,]+)*)", re.S)


class QueryTooDear(RuntimeError):
    """A query would scan more than one query may; it did not run."""


class ColumnsDenied(PermissionError):
    """A query reads columns whose policy tags the reader has no right to; the message names them."""


@dataclass(frozen=True)
class Answer:
    """A finished query: its rows, and what was estimated before it ran (bytes it would scan)."""

    table: "pa.Table"
    estimated_bytes: int


class BigQuery:
    """A project of Google Cloud, or the emulator that stands in for it.

    Credentials come from Application Default Credentials (on GKE: Workload Identity); emulators get none.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    @cached_property
    def client(self) -> "Client":
        """Google's client."""
        from google.cloud import bigquery

        options: dict[str, Any] = {"project": self.cloud.project, "location": self.cloud.location}
        if self.cloud.bigquery_endpoint:
            from google.auth.credentials import AnonymousCredentials

            options |= {
                "credentials": AnonymousCredentials(),
                "client_options": {"api_endpoint": self.cloud.bigquery_endpoint},
            }
        return bigquery.Client(**options)

    @cached_property
    def storage(self) -> "BigQueryReadClient":
        """Google's client of the Storage Read API, which streams Arrow."""
        from google.cloud import bigquery_storage_v1 as storage

        if not self.cloud.bigquery_storage_endpoint:
            return storage.BigQueryReadClient()
        import grpc
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

        # As Google's own channel has it: a block of rows may be larger than gRPC's default of 4 MB.
        options = [("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(self.cloud.bigquery_storage_endpoint, options=options)
        return storage.BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))

    def name(self, purpose: str, table: str) -> str:
        """The full name of a table of one of the platform's datasets: `project.dataset.table`."""
        return f"{self.cloud.project}.{self.cloud.dataset(purpose)}.{table}"

    def find(self, name: str) -> "Table | None":
        """A table's description, or None when there is no such table."""
        from google.api_core.exceptions import NotFound

        try:
            return self.client.get_table(name, retry=retrying())
        except NotFound:
            return None

    def estimate(self, sql: str) -> int:
        """Bytes that a query would scan, by a dry run; nothing is billed for it."""
        from google.cloud.bigquery import QueryJobConfig

        config = QueryJobConfig(dry_run=True, use_query_cache=False)
        job = self.client.query(sql, job_config=config, retry=retrying(), job_retry=None)
        return int(job.total_bytes_processed or 0)

    def ask(self, sql: str, source: str) -> Answer:
        """Run a query and read its rows as Arrow through the Storage Read API.

        Args:
            source: what asks, as a label for cost attribution.

        Raises:
            QueryTooDear: it would scan more than `max_bytes_billed`; it did not run.
            ColumnsDenied: it reads columns that the reader has no right to.
        """
        estimated = self.estimate(sql)
        limit = self.cloud.max_bytes_billed
        if estimated > limit:
            raise QueryTooDear(
                f"{source}: the query would scan {estimated:,} bytes, and one query may scan {limit:,} "
                f"(PLATFORM_MAX_BYTES_BILLED). Ask for fewer dates or columns, or raise the limit"
            )
        job = self.run(sql, source)
        assert job.destination is not None
        rows = self.client.list_rows(
            job.destination, selected_fields=job.result(retry=retrying()).schema, retry=retrying()
        )
        return Answer(rows.to_arrow(bqstorage_client=self.storage), estimated)

    def values(self, sql: str, source: str) -> list[tuple[Any, ...]]:
        """The rows of a query of few rows, as tuples. Raises as `run` does."""
        return [tuple(row.values()) for row in self.run(sql, source).result(retry=retrying())]

    def labels(self, source: str) -> dict[str, str]:
        """The labels by which the bill tells sources and environments apart."""
        return {"environment": self.cloud.stage, "source": _LABEL.sub("_", source.lower())[:63]}

    def run(self, sql: str, source: str) -> "QueryJob":
        """Run a query, a statement or a script to its end. One transaction in it happens as a whole or not at all.

        Raises:
            ColumnsDenied: as `ask`.
        """
        from google.api_core.exceptions import BadRequest, Forbidden
        from google.cloud.bigquery import QueryJobConfig

        config = QueryJobConfig(maximum_bytes_billed=self.cloud.max_bytes_billed, labels=self.labels(source))
        try:
            job = self.client.query(sql, job_config=config, retry=retrying(), job_retry=retrying())
            job.result(retry=retrying())
        except Forbidden as error:
            if columns := denied_columns(str(error)):
                raise ColumnsDenied(
                    f"{source}: not allowed to read {', '.join(columns)}: their policy tags are not yours to read. Ask for the "
                    f"role Fine-Grained Reader (roles/datacatalog.categoryFineGrainedReader) on these tags, or leave out "
                    f"what reads the columns"
                ) from error
            raise
        except BadRequest as error:
            # Of this kind are errors that quote values; callers know them by their type.
            error.message = without_values(error.message)
            raise error from None
        return job


def denied_columns(message: str) -> list[str]:
    """The columns that BigQuery's refusal for want of a policy-tag right names, as `table.column`, sorted."""
    named = _DENIED_COLUMNS.findall(message)
    columns = {column.strip().rstrip(".") for listed in named for column in listed.split(",")}
    return sorted(".".join(column.rsplit(".", 2)[-2:]) for column in columns)


def retrying() -> "Retry":
    """Try again, with jitter, what failed for reasons that pass by themselves: HTTP 429 and 5xx, nothing else."""
    from google.api_core.retry import Retry

    return Retry(predicate=is_transient, initial=1.0, maximum=30.0, multiplier=2.0, timeout=PATIENCE_SECONDS)


def is_transient(error: BaseException) -> bool:
    """Whether an API error is one that passes by itself."""
    from google.api_core.exceptions import GoogleAPICallError

    return isinstance(error, GoogleAPICallError) and error.code in TRANSIENT


def quoted(name: str) -> str:
    """A name of a table or column between backticks.

    Raises:
        ValueError: it holds a backtick, backslash or line break.
    """
    if re.search(r"[`\\\n]", name):
        raise ValueError(f"{name!r} cannot be the name of a table or column")
    return f"`{name}`"


def literal(value: str) -> str:
    """Text as a SQL literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"
