#!/usr/bin/env bash
# Builds the test cluster's programs: build.sh <folder>. The Kubernetes ones come from Debian 12's own source package
# (4 minutes on a quiet machine with 2 cores, a no-op when they are there); etcd is Debian's binary. openssl and PostgreSQL
# come from install_programs.sh, kubectl from tests/deploy/tools.
# The source package is fetched with lists of its own, signed by Debian's archive key: the machine's apt sources stay as they are.
set -euo pipefail
out=$(realpath -m "$1")
# The one that the machine's own packages come from.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Component: main' | head -n 1)}
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet)

missing() { for name in "$@"; do [[ -x $out/$name ]] || return 0; done; return 1; }
missing "${programs[@]}" etcd || exit 0

if [[ $(. /etc/os-release && echo "$ID$VERSION_ID") != debian12 ]]; then
  echo "The test cluster is built from Debian 12's packages, and this is not Debian 12. Tests take any other cluster:" \
    "pytest --kubeconfig=FILE (tests/cluster/README.md)." >&2
  exit 1
fi
if [[ $EUID != 0 ]]; then
  echo "Installing Debian packages takes root: run 'make cluster' as root once." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
mkdir -p "$out"
work=$(mktemp -d "$(dirname "$out")/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

install() { apt-get install -qq --no-install-recommends "$@" >apt.log 2>&1 || { cat apt.log >&2; exit 1; }; }

echo "Debian packages"
apt-get update -qq
if missing etcd; then
  # Unpacked and not installed: the package would start a service.
  apt-get -o APT::Sandbox::User=root download -qq etcd-server
  dpkg-deb --fsys-tarfile etcd-server_*.deb | tar -xO ./usr/bin/etcd >etcd
  chmod 755 etcd
  mv etcd "$out/etcd"
fi
missing "${programs[@]}" || exit 0

install golang-1.19-go golang-github-modern-go-reflect2-dev dpkg-dev
echo "source package, verified by apt"
mkdir -p lists/partial
cat >debian.sources <<SOURCES
Types: deb-src
URIs: $mirror
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
own=(-o Dir::Etc::sourcelist="$work/debian.sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
  -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= -o APT::Sandbox::User=root)
apt-get "${own[@]}" update -qq
apt-get "${own[@]}" source -qq --download-only kubernetes
dpkg-source --no-check -x kubernetes_1.20*.dsc tree >/dev/null # apt compared the hashes with those Debian signed

# A classic GOPATH: the package is vendored, nothing is downloaded.
mkdir -p gopath/src/k8s.io
mv tree gopath/src/k8s.io/kubernetes
cd gopath/src/k8s.io/kubernetes
export PATH=/usr/lib/go-1.19/bin:$PATH GO111MODULE=off GOFLAGS= GOPROXY=off CGO_ENABLED=0 GOPATH=$work/gopath GOCACHE=$work/gocache

# The vendored reflect2 crashes under Go >= 1.18; Debian's own copy is newer.
reflect2=vendor/github.com/modern-go/reflect2
rm -f $reflect2/*.go $reflect2/*.s
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $reflect2/

echo "OpenAPI definitions: generated, because the package does not ship them"
go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
staging=$(ls -d vendor/k8s.io/*/ | grep -vE 'code-generator|sample-apiserver|/kubernetes/')
# shellcheck disable=SC2086
described=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg $staging | grep -v /testdata/ | xargs -n1 dirname \
  | LC_ALL=C sort -u | sed 's#^#k8s.io/kubernetes/#' | paste -sd,)
"$work/openapi-gen" --logtostderr -i "$described" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
  -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$work/violations" 2>"$work/openapi.log" \
  || { tail -20 "$work/openapi.log" >&2; exit 1; }

flags="-s -w"
for package in component-base client-go/pkg; do
  version=k8s.io/kubernetes/vendor/k8s.io/$package/version
  flags+=" -X $version.gitVersion=v1.20.2 -X $version.gitMajor=1 -X $version.gitMinor=20"
done
for name in "${programs[@]}"; do
  echo "$name"
  go build -ldflags "$flags" -o "$work/$name" "k8s.io/kubernetes/cmd/$name"
  mv "$work/$name" "$out/$name" # in one step: an interrupted build leaves no half of a program
done
