#!/usr/bin/env bash
# Installs the programs that tests drive and that are missing here, from Debian: a browser, promtool, a C compiler, PostgreSQL,
# and what runs containers. No service is started. kubectl is not Debian 12's, which is too old to render the manifests:
# `make kubernetes-tools` installs it.
set -euo pipefail

packages=()
need() { command -v "$1" >/dev/null || packages+=("${@:2}"); }
need chromium chromium
need promtool prometheus
need gcc gcc libc6-dev
need openssl openssl
need containerd containerd
need runc runc
need busybox busybox-static
[[ -x /usr/lib/cni/ptp ]] || packages+=(containernetworking-plugins)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || packages+=(postgresql)
((${#packages[@]})) || exit 0

if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Missing programs that tests drive; on Debian, as root: apt-get install ${packages[*]}" >&2
  exit 1
fi
# Otherwise PostgreSQL's package makes a server of its own.
silenced=/etc/postgresql-common/createcluster.d/platform-tests.conf
ours=("$silenced")
trap 'rm -f "${ours[@]}"' EXIT
mkdir -p "$(dirname $silenced)"
echo "create_main_cluster = false" >$silenced
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  ours+=($policy)
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends "${packages[@]}" >/dev/null
