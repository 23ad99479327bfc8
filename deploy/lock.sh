#!/usr/bin/env bash
# Resolves pyproject.toml again into requirements.lock, and the installer itself into bootstrap.lock. torch and what only its CUDA builds need stay out of it: which
# build to take is a choice of package index.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(uv pip compile --quiet --python-version 3.11 --extra gcp --extra kubernetes --extra dev --generate-hashes
  --no-annotate --no-header --no-emit-package torch)
"${compile[@]}" pyproject.toml --output-file requirements.lock
mapfile -t cuda < <(grep -oE '^(nvidia-[a-z0-9-]+|cuda-[a-z]+|triton)' requirements.lock || true)
for package in "${cuda[@]}"; do compile+=(--no-emit-package "$package"); done
"${compile[@]}" pyproject.toml --output-file requirements.lock
echo uv | uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header - --output-file deploy/bootstrap.lock
