"""Each process works on Dagster's tables with the rights of its role, on a real PostgreSQL, and can do no more.

A run is executed as its pods are: one process for the run, one for each step, each with the name and password of its role.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import make_url

from platform_assets.cli import main
from platform_assets.environment import REPOSITORY
from platform_assets.operations.database import RIGHTS, CredentialsError, Login, read_logins
from platform_assets.operations.janitor.ageing import age_waiting_steps
from platform_assets.operations.janitor.retention import delete_old_runs
from platform_assets.operations.janitor.slots import declare_pools, free_stuck_slots
from tests.operations import stepwise
from tests.operations.conftest import PASSWORD
from tests.operations.stepwise import ROLE_OF_STEPS

OWNER = "dagster"
DATABASE = "roles"


@dataclass(frozen=True)
class Database:
    """A database with Dagster's tables and a role for each process."""

    folder: Path
    address: Any
    logins: dict[str, Login]

    @property
    def home(self) -> Path:
        """For DAGSTER_HOME, whoever opens it; as deploy/kubernetes has it, the role is in the environment."""
        home = self.folder / "home"
        if not home.exists():
            home.mkdir()
            postgres = {
                "hostname": self.address.host,
                "port": self.address.port,
                "db_name": DATABASE,
                "username": {"env": "DAGSTER_POSTGRES_USER"},
                "password": {"env": "DAGSTER_POSTGRES_PASSWORD"},
                "scheme": "postgresql+psycopg2",
            }
            settings = SETTINGS | {"storage": {"postgres": {"postgres_db": postgres}}}
            (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        return home

    def variables(self, role: str) -> dict[str, str]:
        """The environment of a role's process."""
        login = self.logins.get(role) or Login(OWNER, PASSWORD)
        return {
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_POSTGRES_USER": login.username,
            "DAGSTER_POSTGRES_PASSWORD": login.password,
        }

    @contextlib.contextmanager
    def opened(self, role: str) -> Iterator[dg.DagsterInstance]:
        """The instance as a role's process opens it."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables(role).items():
                patch.setenv(name, value)
            instance = dg.DagsterInstance.get()
        with instance:
            yield instance

    def refuses(self, role: str, statement: str) -> bool:
        """Whether PostgreSQL denies a statement to a role, by its rights."""
        login = self.logins[role]
        connection = psycopg2.connect(
            host=self.address.host,
            port=self.address.port,
            dbname=DATABASE,
            user=login.username,
            password=login.password,
        )
        try:
            connection.cursor().execute(statement)
        except psycopg2.errors.InsufficientPrivilege:
            return True
        finally:
            connection.close()
        return False

    def prepare(self) -> str:
        """What the init container does; what it says."""
        command = ["database", "--credentials", str(self.folder)]
        done = CliRunner().invoke(main, command, env=self.variables("owner"))
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output


SETTINGS: dict[str, Any] = {
    "telemetry": {"enabled": False},
    "run_coordinator": {"module": "platform_assets.execution.coordinator", "class": "StampingRunCoordinator"},
    "concurrency": {"pools": {"default_limit": 1, "granularity": "op"}},
}


@pytest.fixture(scope="module")
def database(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Database:
    folder = tmp_path_factory.mktemp("credentials")
    logins = {role: Login(f"dagster_{role}", f"secret of {role}") for role in RIGHTS}
    for role, login in logins.items():
        (folder / role).mkdir()
        (folder / role / "username").write_text(f"{login.username}\n")
        (folder / role / "password").write_text(login.password)
    address = make_url(postgres_url)
    connection = psycopg2.connect(host=address.host, port=address.port, dbname="postgres", user=OWNER)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    made = Database(folder, address, logins)
    made.prepare()
    return made


@pytest.fixture(scope="module")
def ran(database: Database) -> dg.DagsterRun:
    """A run of two assets, a check and a pool: made by the web server, executed by its own process and its steps'."""
    with database.opened("webserver") as instance:
        run = instance.create_run_for_job(
            stepwise.defs.resolve_job_def("both"), job_code_origin=stepwise.both().get_python_origin()
        )
    step = {ROLE_OF_STEPS: json.dumps(database.variables("step"))}
    variables = os.environ | database.variables("run") | step | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.operations.stepwise", run.run_id],
        cwd=REPOSITORY, env=variables, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    with database.opened("webserver") as instance:
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
        told = [str(event.event_specific_data.error) for event in events if event.is_failure]  # type: ignore[union-attr]
        ended = instance.get_run_by_id(run.run_id)
    assert done.returncode == 0, (done.stderr, told)
    assert ended is not None
    assert ended.status == dg.DagsterRunStatus.SUCCESS, (done.stderr, told)
    return ended


def test_a_run_and_its_steps_do_their_work_with_the_rights_of_their_roles(
    database: Database, ran: dg.DagsterRun
) -> None:
    with database.opened("code") as instance:
        made = instance.get_latest_materialization_event(dg.AssetKey("second"))
        assert made is not None
        assert made.run_id == ran.run_id
        users = {event.asset_materialization.metadata["user"].value for event in [made] if event.asset_materialization}
        assert users == {"dagster_step"}
        records = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey("second"), "checked"), 1
        )
        assert [record.status.value for record in records] == ["SUCCEEDED"]


def test_the_janitor_ages_frees_and_deletes_with_its_own_rights(database: Database, ran: dg.DagsterRun) -> None:
    now = datetime.now(UTC)
    with database.opened("daemon") as daemon:
        statuses = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE)
        waiting, failed = (dg.DagsterRun("both", status=status) for status in statuses)
        for run in (waiting, failed):
            daemon.add_run(run)
            daemon.report_engine_event("said", run)
        daemon.event_log_storage.set_concurrency_slots("stuck", 1)
        daemon.event_log_storage.claim_concurrency_slot("stuck", failed.run_id, "first")
        daemon.event_log_storage.claim_concurrency_slot("stuck", waiting.run_id, "first", 1)
    with database.opened("janitor") as instance:
        declare_pools(instance, {"known", "declared"}, {"declared": 4})
        instance.add_run_tags(waiting.run_id, {"dagster/priority": "7"})
        assert age_waiting_steps(instance, now + timedelta(hours=3)) == 1
        [freed, *_] = free_stuck_slots(instance, now + timedelta(hours=1))
        assert (freed.pool, freed.run_id) == ("stuck", failed.run_id)
        assert failed.run_id in delete_old_runs(instance, timedelta(0), now + timedelta(hours=1)).deleted
        assert instance.get_run_by_id(failed.run_id) is None


def test_the_daemon_beats_and_evaluates(database: Database) -> None:
    from dagster._daemon.types import DaemonHeartbeat

    with database.opened("daemon") as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(1.0, "SENSOR", "x", []))
        assert "SENSOR" in instance.get_daemon_heartbeats()
        instance.run_storage.set_cursor_values({"cursor": "1"})


NEW_RUN = "INSERT INTO runs (run_id, status, run_body) VALUES ('forged', 'QUEUED', '{}')"
# What would take a process further than its work does: by whom it is tried.
FORBIDDEN = {
    "a step makes a run, whose image it would name": ("step", NEW_RUN),
    "a run makes another": ("run", NEW_RUN),
    "a code location makes a run": ("code", NEW_RUN),
    "the janitor makes a run": ("janitor", NEW_RUN),
    "a step changes a run": ("step", "UPDATE runs SET run_body = '{}'"),
    "a step deletes a run": ("step", "DELETE FROM runs"),
    "a run deletes a run": ("run", "DELETE FROM runs"),
    "a step takes a slot": ("step", "UPDATE concurrency_slots SET deleted = true"),
    "a step makes slots": ("step", "INSERT INTO concurrency_limits (concurrency_key, \"limit\") VALUES ('gpu', 9)"),
    "a step rewrites history": ("step", "UPDATE event_logs SET event = '{}'"),
    "a step deletes history": ("step", "DELETE FROM event_logs"),
    "a run deletes history": ("run", "DELETE FROM event_logs"),
    "a step changes what daemons are started with": ("step", "UPDATE kvs SET value = 'x'"),
    "a run switches a sensor on": ("run", "UPDATE instigators SET status = 'RUNNING'"),
    "a step reads who sets off what": ("step", "SELECT * FROM instigators"),
    "a step starts a back-fill": ("step", "INSERT INTO bulk_actions (key, status) VALUES ('x', 'REQUESTED')"),
    "a code location writes events": ("code", "INSERT INTO event_logs (run_id, event) VALUES ('x', '{}')"),
    "a web server alters a table": ("webserver", "ALTER TABLE runs ADD COLUMN x text"),
    "a web server makes a table": ("webserver", "CREATE TABLE mine (x text)"),
    "a daemon says what was migrated": ("daemon", "UPDATE alembic_version SET version_num = 'x'"),
    "a step makes a role": ("step", "CREATE ROLE other"),
    "a step reads passwords": ("step", "SELECT * FROM pg_authid"),
    "a step reads the server's files": ("step", "SELECT pg_read_file('/etc/passwd')"),
    "a step has the server run a program": ("step", "COPY (SELECT 1) TO PROGRAM 'true'"),
    "a step makes temporary tables": ("step", "CREATE TEMPORARY TABLE mine (x text)"),
    "a step becomes the owner": ("step", f"SET ROLE {OWNER}"),
}


@pytest.mark.parametrize(("role", "statement"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_role_can_do_no_more(database: Database, role: str, statement: str) -> None:
    assert database.refuses(role, statement)


def test_every_role_has_exactly_what_is_written_down(database: Database) -> None:
    address = database.address
    connection = psycopg2.connect(host=address.host, port=address.port, dbname=DATABASE, user=OWNER)
    cursor = connection.cursor()
    cursor.execute("SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants")
    granted: dict[str, set[tuple[str, str]]] = {}
    for grantee, table, privilege in cursor.fetchall():
        granted.setdefault(grantee, set()).add((table, privilege))
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    tables = [row[0] for row in cursor.fetchall()]
    connection.close()
    for role, rights in RIGHTS.items():
        wanted = {(table, privilege) for table in tables for privilege in rights.on(table)}
        assert granted[f"dagster_{role}"] == wanted
        assert {*(rights.written or ()), *rights.hidden} <= set(tables), "a table that Dagster does not have"


def test_preparing_again_gives_a_new_password_and_takes_back_what_was_granted_meanwhile(database: Database) -> None:
    address, login = database.address, database.logins["step"]
    connection = psycopg2.connect(host=address.host, port=address.port, dbname=DATABASE, user=OWNER)
    connection.autocommit = True
    connection.cursor().execute("GRANT DELETE ON runs TO dagster_step")
    assert not database.refuses("step", "DELETE FROM runs WHERE false")
    assert "dagster_step" in database.prepare()
    assert database.refuses("step", "DELETE FROM runs WHERE false")
    connection.close()
    assert login.password not in database.prepare()


def _unnamed(folder: Path) -> None:
    (folder / "run" / "username").unlink()


def _shared(folder: Path) -> None:
    (folder / "run" / "username").write_text("dagster_step")


def _owner(folder: Path) -> None:
    (folder / "run" / "username").write_text(OWNER)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_unnamed, "run/username: is missing or empty; the Secret postgres-run has username and password"),
        (_shared, "step/username: dagster_step is the role of run too, and its rights would add up"),
        (_owner, "run/username: dagster is the owner of the tables too, and its rights would add up"),
    ],
)
def test_roles_that_would_be_no_roles_are_refused_without_a_password(
    change: Callable[[Path], None], sentence: str, tmp_path: Path
) -> None:
    for role in RIGHTS:
        (tmp_path / role).mkdir()
        (tmp_path / role / "username").write_text(f"dagster_{role}")
        (tmp_path / role / "password").write_text("secret-value")
    change(tmp_path)
    with pytest.raises(CredentialsError) as told:
        read_logins(tmp_path, OWNER)
    assert sentence in str(told.value)
    assert "secret-value" not in str(told.value)
