#!/usr/bin/env bash
# kubectl, which renders the manifests, and checkov, which judges them: install.sh <folder> <uv> <python>. They stand apart
# from the platform's environment because its lock admits only an old checkov. What tests drive is in <folder>/programs, so
# that a PATH with it holds nothing else.
set -euo pipefail
folder=$1 uv=$2 python=$3
here=$(cd "$(dirname "$0")" && pwd)

rm -rf "$folder"
"$uv" venv --quiet --python "$python" "$folder"
# What checkov imports is compiled when it first runs: all of it would take longer than the checks.
"$uv" pip install --quiet --python "$folder/bin/python" --no-deps --require-hashes -r "$here/requirements.lock"
mkdir -p "$folder/programs"
ln -s ../bin/kubectl ../bin/checkov "$folder/programs/"
touch "$folder/.installed"
