#!/usr/bin/env bash
# Resolves AutoGluon's own environment again into requirements.lock. torch and what only its CUDA builds need stay out:
# which build to take is a choice of package index. torchvision stays out too: fastai asks for it, its tabular part does
# not import it, and a build of it for CUDA breaks torch's CPU build. It needs `uv` on PATH.
set -euo pipefail
cd "$(dirname "$0")"
torch=torch==2.13.0
compile=(uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header)
leave_out=(--no-emit-package torchvision)
while read -r package; do
  case $package in
    torch | triton | nvidia-* | cuda-*) leave_out+=(--no-emit-package "$package") ;;
  esac
done < <("${compile[@]}" - <<<"$torch" | grep -oE '^[a-z0-9-]+')
printf '%s\n' "$torch" 'autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3' pip |
  "${compile[@]}" "${leave_out[@]}" - --output-file requirements.lock
