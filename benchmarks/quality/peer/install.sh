#!/usr/bin/env bash
# Builds AutoGluon's own environment: install.sh <folder> [python3.11]. It stands apart from the platform's because the two
# would hold each other's versions back. TORCH names another build of torch, as in the Makefile.
set -euo pipefail
folder=$1 python=${2:-python3.11}
here=$(cd "$(dirname "$0")" && pwd)

"$python" -m venv "$folder"
bin=$folder/bin
# shellcheck disable=SC2086
"$bin/pip" install --quiet --disable-pip-version-check ${TORCH:-torch==2.13.0}
"$bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$here/requirements.lock"
touch "$folder/.installed"
