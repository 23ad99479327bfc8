"""On GKE nobody speaks to PostgreSQL without TLS, and to nothing but PostgreSQL: the overlay's settings on a real server."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from platform_assets.environment import REPOSITORY
from tests.deploy.manifests import of_kind, overlay
from tests.operations.conftest import PASSWORD, serving_postgres

pytestmark = pytest.mark.programs("kubectl", "openssl")

GKE = REPOSITORY / "deploy" / "kubernetes" / "overlays" / "gke"
# As docs/how-to/deploy-on-kubernetes.md has them made.
AUTHORITY = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=postgres-ca -keyout {0}.key -out {0}.crt"
SERVER = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=postgres "
    "-addext subjectAltName=DNS:postgres -addext basicConstraints=critical,CA:FALSE -CA ca.crt -CAkey ca.key "
    "-keyout tls.key -out tls.crt"
)


@dataclass(frozen=True)
class Served:
    """A server as the overlay `gke` starts it, and the folder with certificates."""

    port: int
    folder: Path

    def connect(self, host: str = "postgres", **options: str) -> str:
        """The version of TLS that a connection speaks."""
        connection = psycopg2.connect(
            host=host,
            hostaddr="127.0.0.1",
            port=self.port,
            user="dagster",
            password=PASSWORD,
            dbname="postgres",
            **options,
        )
        cursor = connection.cursor()
        cursor.execute("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        [version] = cursor.fetchone()
        connection.close()
        return str(version)


@pytest.fixture(scope="module")
def served(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("certificates")
    for command in (AUTHORITY.format("ca"), AUTHORITY.format("other"), SERVER):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    [container] = of_kind(overlay("gke"), "StatefulSet")["postgres"]["spec"]["template"]["spec"]["containers"]
    said = [word for word in container["command"] if word.startswith(("ssl", "hba_file"))]
    here = [re.sub(r"=/etc/postgres-\w+/", "={folder}/", setting) for setting in said]
    assert here == [
        "ssl=on",
        "ssl_cert_file={folder}/tls.crt",
        "ssl_key_file={folder}/tls.key",
        "hba_file={folder}/pg_hba.conf",
    ]
    files = (folder / "tls.crt", folder / "tls.key", GKE / "pg_hba.conf")
    with serving_postgres(pytestconfig, *here, files=files) as port:
        yield Served(port, folder)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    """What the overlay gives every process, its authority's file put elsewhere."""
    variables = of_kind(overlay("gke"), "ConfigMap")["platform-environment"]["data"]
    assert variables["PGSSLROOTCERT"] == "/opt/dagster/home/postgres-ca.crt"
    assert "postgres-ca.crt" in of_kind(overlay("gke"), "ConfigMap")["dagster-instance"]["data"]
    monkeypatch.setenv("PGSSLMODE", variables["PGSSLMODE"])
    monkeypatch.setenv("PGSSLROOTCERT", str(served.folder / "ca.crt"))


def test_the_overlays_environment_makes_a_connection_by_tls(served: Served) -> None:
    assert served.connect().startswith("TLSv1.")


def test_the_server_refuses_whoever_speaks_without_tls(served: Served) -> None:
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        served.connect(sslmode="disable")


def test_a_server_of_another_name_or_authority_is_not_spoken_to(served: Served) -> None:
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        served.connect(host="postgres.other")
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        served.connect(sslrootcert=str(served.folder / "other.crt"))


def test_an_authority_that_was_not_filled_in_connects_nobody(served: Served) -> None:
    with pytest.raises(psycopg2.OperationalError, match="could not read root certificate file"):
        served.connect(sslrootcert=str(GKE / "postgres-ca.crt"))
