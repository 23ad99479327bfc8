#!/bin/bash
# What the official PostgreSQL image's entrypoint does, with Debian's programs: makes the data folder, the user and the
# database at the first start, then serves. Listens on 127.0.0.1 only, on PGPORT (5432). Init scripts are not run.
set -euo pipefail
: "${PGDATA:=/var/lib/postgresql/data}" "${PGPORT:=5432}" "${POSTGRES_USER:=postgres}"
export PGDATA PGPORT
: "${POSTGRES_DB:=$POSTGRES_USER}"
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi

mkdir -p "$PGDATA"
if [ "$(id -u)" = 0 ]; then
  # The server refuses to run as root; like the official image, go on as its own user.
  chown -R postgres "$PGDATA" /run/postgresql
  exec setpriv --reuid=postgres --regid=999 --clear-groups --pdeathsig KILL "$0" "$@"
fi
chmod 700 "$PGDATA"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo "Error: Database is uninitialized and superuser password is not specified: set POSTGRES_PASSWORD." >&2
    exit 1
  fi
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust \
    --auth-host=scram-sha-256 --encoding=UTF8 --no-sync ${POSTGRES_INITDB_ARGS:-}
  # Over its socket only: nobody may connect before the database is there.
  pg_ctl -w -o "-c listen_addresses='' -c unix_socket_directories=$PGDATA" start
  if [ "$POSTGRES_DB" != postgres ]; then
    createdb --host="$PGDATA" --username="$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
  fi
  pg_ctl -w -m fast stop
fi
if [ "${1:-}" = postgres ]; then shift; fi
exec postgres -c listen_addresses=127.0.0.1 "$@"
