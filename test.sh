#!/bin/sh
# Installs what the tests need and runs all of them. Debian; Rust, Go and a C compiler are there already.
# Where it may not install, it says what to install and fails.
set -eu
cd "$(dirname "$0")"

# The peers: real MCollective, the Ruby stomp gem, Python's stomp.py; Lua, which runs Argo CD's health checks.
packages="mcollective mcollective-client ruby-stomp python3 python3-venv lua5.4"
# A Kubernetes node: only root can run one.
node_packages="containerd runc containernetworking-plugins nftables iptables conntrack iproute2 buildah"
venv="${CARGO_TARGET_DIR:-target}/python"

is_installed() {
    [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]
}

without=""
if [ "$(id -u)" -eq 0 ]; then
    packages="$packages $node_packages"
else
    echo "test.sh: not root, so the tests that run pods are left out" >&2
    without="--skip full_node"
fi

# Kubernetes is built from its Go modules, once; an older Go fetches the newer one that it takes by itself.
if ! command -v go >/dev/null; then
    echo "test.sh: Go 1.26 or newer is missing; how to install it: https://go.dev/doc/install" >&2
    exit 1
fi

missing=""
for package in $packages; do
    is_installed "$package" || missing="$missing $package"
done

as_root=""
may_install=yes
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        may_install=no
    fi
fi

if [ -n "$missing" ]; then
    if [ "$may_install" = no ]; then
        echo "test.sh: these packages are missing and may not be installed from here. As root:" >&2
        echo "    apt-get install$missing" >&2
        exit 1
    fi
    $as_root apt-get update
    # shellcheck disable=SC2086 # a list of packages
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi

# mold only makes linking faster.
if ! command -v mold >/dev/null && [ "$may_install" = yes ]; then
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mold ||
        echo "test.sh: going on without mold" >&2
fi
with_mold=""
if command -v mold >/dev/null; then
    with_mold="mold -run"
fi

has_stomp_py() {
    "$1" -c 'import stomp, sys; sys.exit(stomp.__version__[0] != "9")' 2>/dev/null
}

if has_stomp_py python3; then
    CAUSEWAY_E2E_PYTHON="$(command -v python3)"
else
    if ! has_stomp_py "$venv/bin/python"; then
        /usr/bin/python3 -m venv --clear "$venv"
        if ! "$venv/bin/pip" install --quiet --disable-pip-version-check 'stomp.py==9.*'; then
            echo "test.sh: stomp.py is missing. Where the package index can be reached:" >&2
            echo "    $venv/bin/pip install 'stomp.py==9.*'" >&2
            exit 1
        fi
    fi
    CAUSEWAY_E2E_PYTHON="$(realpath "$venv")/bin/python"
fi
export CAUSEWAY_E2E_PYTHON

# promtool checks alerts and metrics. Its package is not installed but unpacked, for installing it would start a server.
CAUSEWAY_E2E_PROMTOOL="$(command -v promtool || true)"
if [ -z "$CAUSEWAY_E2E_PROMTOOL" ]; then
    unpacked="${CARGO_TARGET_DIR:-target}/prometheus"
    if [ ! -x "$unpacked/usr/bin/promtool" ]; then
        mkdir -p "$unpacked"
        if ! (cd "$unpacked" && { apt-get download prometheus || { $as_root apt-get update && apt-get download prometheus; }; } &&
            dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && rm prometheus_*.deb); then
            echo "test.sh: promtool is missing and its package, prometheus, cannot be downloaded" >&2
            exit 1
        fi
    fi
    CAUSEWAY_E2E_PROMTOOL="$(realpath "$unpacked")/usr/bin/promtool"
fi
export CAUSEWAY_E2E_PROMTOOL

# Everything is built before anything runs: the end-to-end tests start the `causeway` command.
$with_mold cargo build --workspace --all-targets
# shellcheck disable=SC2086 # no words, or two
$with_mold cargo test --workspace -- $without
