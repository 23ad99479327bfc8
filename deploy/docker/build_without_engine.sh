#!/usr/bin/env bash
# Builds the image on a Debian machine that has no Docker engine and cannot pull: the base comes out of debootstrap, the
# build runs in a chroot (buildah, as root). The same Dockerfile; the base is Debian's packages, not Docker Hub's image.
# usage: build_without_engine.sh NAME [buildah build options…]
#   build_without_engine.sh audience-platform:$(git rev-parse HEAD) --build-arg TORCH=torch==2.13.0+cpu \
#       --build-arg TORCH_INDEX_URL=<PyTorch's index of CPU builds>
# A package index with settings of its own: --secret id=pip,src=…  --secret id=uv,src=…  --secret id=certificates,src=…
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${1:?the name of the image to build, such as audience-platform:COMMIT}
shift
base=localhost/debian-base:bookworm
for tool in buildah debootstrap; do
  command -v "$tool" > /dev/null || { echo "$tool is not installed: apt-get install buildah debootstrap" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "a chroot needs root" >&2; exit 1; }
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain -- platform_assets platform-settings.env dbt_project defs features pyproject.toml requirements.lock deploy/docker deploy/bootstrap.lock)" ] || {
  echo "what goes into the image is not committed, so it would bear the name of a commit that it is not: commit first" >&2
  [ "${UNCOMMITTED:-0}" = 1 ] || { echo "(UNCOMMITTED=1 builds it all the same, to try it)" >&2; exit 1; }
}

if ! buildah images --quiet "$base" > /dev/null 2>&1; then
  root=$(mktemp -d)
  container=$(buildah from --name audience-platform-base scratch)
  trap 'rm -rf "$root"; buildah rm "$container" > /dev/null' EXIT
  debootstrap --variant=minbase bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$root.log"
  rm -rf "$root.log" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/usr/share/{doc,man,locale,info}/*
  buildah add --quiet "$container" "$root" / > /dev/null
  buildah commit --quiet "$container" "$base" > /dev/null
fi
buildah build --isolation chroot --layers --pull-never --format oci --file deploy/docker/Dockerfile \
  --build-arg BASE="$base" --build-arg COMMIT="$commit" --tag "$name" "$@" .
