"""Who may do what to Dagster's tables in PostgreSQL: a role for each process, with the rights that it uses.

Belongs here: the rights, and giving them. Does not belong here: Dagster's tables themselves, which Dagster makes and upgrades,
and who gets which password (the Secrets that `deploy/kubernetes` names). Imports psycopg2 inside its functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import URL

READ, ADD, CHANGE, REMOVE = "SELECT", "INSERT", "UPDATE", "DELETE"
# What steps write: events, and what Dagster derives from those of assets.
_EVENTS = {
    "event_logs": (ADD,),
    "asset_keys": (ADD, CHANGE),
    "asset_event_tags": (ADD,),
    "asset_check_executions": (ADD, CHANGE),
}
_POOLS: dict[str, tuple[str, ...]] = {
    "concurrency_limits": (ADD, CHANGE, REMOVE),
    "concurrency_slots": (ADD, CHANGE, REMOVE),
    "pending_steps": (ADD, CHANGE, REMOVE),
}
_RUN_TAGS: dict[str, tuple[str, ...]] = {"run_tags": (ADD, CHANGE, REMOVE)}
# What nobody below the daemon and the web server has to do with: schedules, sensors, back-fills.
_INSTIGATION = ("jobs", "instigators", "job_ticks", "asset_daemon_asset_evaluations", "bulk_actions", "backfill_tags")
# Dagster's own record of its migrations.
_OF_THE_OWNER = ("alembic_version",)


@dataclass(frozen=True)
class Rights:
    """What a role may do.

    Attributes:
        everything: it may read and change all tables, but for the record of migrations.
        hidden: tables that it may not read, among those that it would.
        written: what else it may do, by table.
    """

    everything: bool = False
    hidden: tuple[str, ...] = ()
    written: Mapping[str, tuple[str, ...]] | None = None

    def on(self, table: str) -> tuple[str, ...]:
        """The privileges on one table of Dagster's."""
        if table in self.hidden:
            return ()
        if self.everything and table not in _OF_THE_OWNER:
            return (READ, ADD, CHANGE, REMOVE)
        return (READ, *(self.written or {}).get(table, ()))


RIGHTS = {
    # Launches, deletes, toggles and wipes what people click at.
    "webserver": Rights(everything=True),
    # Evaluates, queues, launches, monitors; purges ticks.
    "daemon": Rights(everything=True),
    # Deletes runs with their events, frees and hands out slots, ages priorities. Launches nothing.
    "janitor": Rights(
        written={
            **_POOLS,
            **_RUN_TAGS,
            "runs": (CHANGE, REMOVE),
            "event_logs": (REMOVE,),
            "asset_event_tags": (REMOVE,),
        }
    ),
    # Evaluates sensors and automation over what is there; Dagster caches partitions' states beside the asset's key.
    "code": Rights(written={"asset_keys": (CHANGE,)}),
    # Writes events, its own state and tags, and claims slots for its steps. It makes no run: who did would name its image.
    "run": Rights(hidden=_INSTIGATION, written={**_EVENTS, **_POOLS, **_RUN_TAGS, "runs": (CHANGE,)}),
    "step": Rights(hidden=_INSTIGATION, written=_EVENTS),
}


class CredentialsError(ValueError):
    """Roles cannot be made of what the folder of credentials holds; the message never has a password."""


@dataclass(frozen=True)
class Login:
    """A role's name and password."""

    username: str
    password: str


def read_logins(folder: Path, owner: str) -> dict[str, Login]:
    """Name and password of each role, from files `<role>/username` and `<role>/password`.

    Raises:
        CredentialsError: one is missing or empty, or two roles would be one.
    """
    logins: dict[str, Login] = {}
    owned = {owner: "the owner of the tables"}
    for role in RIGHTS:
        texts = {}
        for key in ("username", "password"):
            file = folder / role / key
            texts[key] = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
            if not texts[key]:
                raise CredentialsError(
                    f"{file}: is missing or empty; the Secret postgres-{role} has username and password"
                )
        login = Login(**texts)
        if login.username in owned:
            raise CredentialsError(
                f"{folder / role / 'username'}: {login.username} is {owned[login.username]} too, and its rights would add "
                f"up; give the Secret postgres-{role} a username of its own, such as dagster_{role}"
            )
        owned[login.username] = f"the role of {role}"
        logins[role] = login
    return logins


def give_rights(url: "URL", logins: Mapping[str, Login]) -> None:
    """Make each role that is missing, set its password, and give it exactly its rights; all of it, or nothing.

    Args:
        url: where Dagster's tables are, as their owner, who may create roles.
        logins: by the name of the role in RIGHTS.
    """
    import psycopg2
    from psycopg2 import sql

    connection = psycopg2.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database, **url.query
    )
    try:
        with connection, connection.cursor() as cursor:
            # Two daemons that start at once would stumble over each other's roles.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('platform-assets database'))")
            cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            cursor.execute(
                sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(url.database or ""))
            )
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
            tables = [row[0] for row in cursor.fetchall()]
            for name, login in logins.items():
                _make(cursor, login)
                _grant(cursor, login.username, RIGHTS[name], tables)
    finally:
        connection.close()


def _make(cursor: Any, login: Login) -> None:
    from psycopg2 import sql

    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (login.username,))
    existing = cursor.fetchone()
    if existing and existing[0]:
        raise CredentialsError(f"{login.username} is a superuser of PostgreSQL, whom no rights bind; name another role")
    verb = "ALTER" if existing else "CREATE"
    statement = sql.SQL(f"{verb} ROLE {{}} LOGIN PASSWORD {{}}")
    cursor.execute(statement.format(sql.Identifier(login.username), sql.Literal(login.password)))


def _grant(cursor: Any, username: str, rights: Rights, tables: list[str]) -> None:
    from psycopg2 import sql

    role = sql.Identifier(username)
    for kind in ("TABLES", "SEQUENCES"):
        cursor.execute(sql.SQL(f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {{}}").format(role))
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
    # Numbers for rows that it may add; they tell nothing and change nothing.
    cursor.execute(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(role))
    for table in tables:
        if privileges := rights.on(table):
            statement = sql.SQL(f"GRANT {', '.join(privileges)} ON {{}} TO {{}}")
            cursor.execute(statement.format(sql.Identifier("public", table), role))
