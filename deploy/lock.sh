#!/usr/bin/env bash
# Resolves pyproject.toml again into requirements.lock, what an environment for development adds to it into
# requirements-dev.lock, and the installer itself into bootstrap.lock. torch and what only its CUDA builds need stay out of
# them: which build to take is a choice of package index. deploy/docker/cuda.lock is that choice for the CUDA image.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header)

torch=$(mktemp)
trap 'rm -f "$torch"' EXIT
sed -n 's/^TORCH ?= //p' Makefile > "$torch"
grep -qE '^torch==[0-9.]+$' "$torch" || { echo "Makefile: TORCH ?= is not torch==<version>, which the locks are made for" >&2; exit 1; }
mapfile -t torch_needs < <("${compile[@]}" - < "$torch" | grep -oE '^[a-z0-9-]+')
without_cuda=() only_cuda=()
for package in "${torch_needs[@]}"; do
  case $package in
    torch | triton | nvidia-* | cuda-*) without_cuda+=(--no-emit-package "$package") ;;
    *) only_cuda+=(--no-emit-package "$package") ;;
  esac
done

compile+=(--constraint "$torch")
runtime=(--extra gcp --extra aws --extra kubernetes --extra saas)
# Extras that no image holds.
development=(--extra dev --extra docs)
"${compile[@]}" "${runtime[@]}" "${without_cuda[@]}" pyproject.toml --output-file requirements.lock
mapfile -t locked < <(grep -oE '^[a-z0-9-]+' requirements.lock)
"${compile[@]}" "${runtime[@]}" "${development[@]}" --constraint requirements.lock "${without_cuda[@]}" \
  "${locked[@]/#/--no-emit-package=}" pyproject.toml --output-file requirements-dev.lock
"${compile[@]}" "${only_cuda[@]}" "$torch" --output-file deploy/docker/cuda.lock
echo uv | "${compile[@]}" - --output-file deploy/bootstrap.lock
