"""Google's own clients on a namespace, for tests about BigQuery and GCS themselves rather than about the platform."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud import bigquery, bigquery_storage_v1, storage


Variables = dict[str, str]


def bigquery_client(variables: Variables) -> "bigquery.Client":
    from google.cloud import bigquery

    return bigquery.Client(
        variables["PLATFORM_PROJECT"],
        _credentials(variables),
        client_options=_endpoint(variables, "BIGQUERY_EMULATOR_HOST"),
    )


def storage_client(variables: Variables) -> "storage.Client":
    from google.cloud import storage

    return storage.Client(
        variables["PLATFORM_PROJECT"],
        _credentials(variables),
        client_options=_endpoint(variables, "STORAGE_EMULATOR_HOST"),
    )


def read_client(variables: Variables) -> "bigquery_storage_v1.BigQueryReadClient":
    """A client of the Storage Read API."""
    import grpc
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    if host := variables.get("PLATFORM_BIGQUERY_STORAGE_HOST"):
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=grpc.insecure_channel(host)))
    return BigQueryReadClient()


def rows(client: "bigquery.Client", sql: str) -> list[tuple]:
    return [tuple(row.values()) for row in client.query_and_wait(sql)]


def load_items(client: "bigquery.Client", uris: str | list[str], job_id: str | None = None) -> "bigquery.LoadJob":
    """The job that loaded gzipped lines of DynamoDB JSON into dev_raw.items."""
    from google.cloud import bigquery

    schema = [bigquery.SchemaField("Item", "JSON")]
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=schema)
    job = client.load_table_from_uri(uris, f"{client.project}.dev_raw.items", job_id=job_id, job_config=config)
    job.result()
    return job


def upload(variables: Variables, name: str, content: bytes) -> str:
    """Writes one object into the namespace's bucket; returns its gs:// URL."""
    bucket = variables["PLATFORM_BUCKET"]
    storage_client(variables).bucket(bucket).blob(name).upload_from_string(content)
    return f"gs://{bucket}/{name}"


def _credentials(variables: Variables) -> "Credentials | None":
    from google.auth.credentials import AnonymousCredentials

    return AnonymousCredentials() if variables["PLATFORM_ENV"] == "emulated" else None


def _endpoint(variables: Variables, name: str) -> dict[str, str] | None:
    return {"api_endpoint": variables[name]} if name in variables else None
