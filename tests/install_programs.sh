#!/usr/bin/env bash
# Installs the programs that tests drive and that are missing here, from Debian: a browser, kubectl, promtool, a C compiler, and
# what runs containers. No service is started.
set -euo pipefail

packages=()
need() { command -v "$1" >/dev/null || packages+=("${@:2}"); }
need chromium chromium
need kubectl kubernetes-client
need promtool prometheus
need gcc gcc libc6-dev
need containerd containerd
need runc runc
need busybox busybox-static
[[ -x /usr/lib/cni/ptp ]] || packages+=(containernetworking-plugins)
((${#packages[@]})) || exit 0

if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Missing programs that tests drive; on Debian, as root: apt-get install ${packages[*]}" >&2
  exit 1
fi
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends "${packages[@]}" >/dev/null
