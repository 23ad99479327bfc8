#!/usr/bin/env bash
# Builds the emulators' own environment: install.sh <folder> <uv>. It stands apart from the platform's because
# local-bigquery needs Python >= 3.13, and the DuckDB extensions go to a home inside it instead of the user's.
set -euo pipefail
folder=$1 uv=$2
here=$(cd "$(dirname "$0")" && pwd)

# A name on PATH may be a pyenv shim that refuses to run: only a Python that answers counts.
runs() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1; }

candidates() {
  if [[ -n ${EMULATOR_PYTHON:-} ]]; then
    echo "$EMULATOR_PYTHON"
    return
  fi
  command -v python3.13 python3.14 || true
  compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.1[3-9]*/bin/python" || true
  "$uv" python find '>=3.13' 2>/dev/null || true
}

python=
while read -r candidate; do
  if [[ -n $candidate ]] && runs "$candidate"; then python=$candidate && break; fi
done < <(candidates)
if [[ -z $python ]]; then
  echo "The BigQuery emulator needs Python 3.13 or newer and none was found on PATH, in pyenv or by uv." \
    "Get one with 'uv python install 3.13' or 'pyenv install 3.13', or name one: EMULATOR_PYTHON=/path/to/python3.13" >&2
  exit 1
fi

rm -rf "$folder"
"$uv" venv --quiet --python "$python" "$folder"
"$uv" pip install --quiet --python "$folder/bin/python" --compile-bytecode --no-deps --require-hashes -r "$here/requirements.lock"
mkdir -p "$folder/home"
HOME=$folder/home "$folder/bin/python" - <<'PYTHON'
from duckdb_extensions import import_extension

for name in ("ducklake", "icu", "spatial", "avro", "httpfs"):
    import_extension(name)
PYTHON
touch "$folder/.installed"
