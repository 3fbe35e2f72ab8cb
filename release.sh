#!/bin/sh
# Makes a release: both images for amd64 and arm64 as one manifest list each, and both charts as packages.
#
#   ./release.sh                              # into target/dist: OCI archives and .tgz, nothing is pushed
#   ./release.sh registry.example.com/team    # and pushes REGISTRY/causeway/causeway, …/causeway-broker and the charts
#   ARCHITECTURES=amd64 ./release.sh          # one architecture only
#
# Debian: apt-get install buildah gcc-aarch64-linux-gnu libc6-dev-arm64-cross; rustup target add aarch64-unknown-linux-gnu;
# Helm 3.8 or newer. The images hold one file each, so none is run while they are built, and no emulation is needed.
set -eu
cd "$(dirname "$0")"

registry="${1:-}"
architectures="${ARCHITECTURES:-amd64 arm64}"
dist="target/dist"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)"

# What an image may take, in bytes. It is one file, so that is its size.
broker_limit=15000000
operator_limit=30000000

target_of() {
    case "$1" in
    amd64) echo x86_64-unknown-linux-gnu ;;
    arm64) echo aarch64-unknown-linux-gnu ;;
    *)
        echo "release.sh: $1 is neither amd64 nor arm64" >&2
        exit 2
        ;;
    esac
}

build() { # ARCHITECTURE
    target="$(target_of "$1")"
    case "$1-$(uname -m)" in
    amd64-x86_64 | arm64-aarch64) ;;
    *)
        # Another machine's linker and C compiler, for Rust and for the C of its cryptography.
        tools="$(echo "$target" | sed 's/-unknown//')"
        lower="$(echo "$target" | tr - _)"
        upper="$(echo "$lower" | tr '[:lower:]' '[:upper:]')"
        export "CARGO_TARGET_${upper}_LINKER=$tools-gcc" "CC_$lower=$tools-gcc" "AR_$lower=$tools-ar"
        ;;
    esac
    # Not as CARGO_PROFILE_RELEASE_STRIP: packages with a profile of their own would not hear of it.
    RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" \
        cargo build --release --locked --target "$target" -p causeway-broker -p causeway-operator
}

image() { # NAME PROGRAM DOCKERFILE LIMIT
    list="$1:$version"
    buildah manifest rm "$list" >/dev/null 2>&1 || true
    buildah manifest create "$list" >/dev/null
    for architecture in $architectures; do
        program="target/$(target_of "$architecture")/release/$2"
        size="$(stat -c %s "$program")"
        echo "$2 $architecture: $size bytes of $4"
        if [ "$size" -gt "$4" ]; then
            echo "release.sh: $2 for $architecture is too large" >&2
            exit 1
        fi
        context="$dist/context/$2-$architecture"
        mkdir -p "$context"
        cp "$program" "$context/"
        buildah bud --platform "linux/$architecture" --manifest "$list" --file "$3" "$context"
    done
    buildah manifest push --all "$list" "oci-archive:$dist/$2-$version.tar"
    if [ -n "$registry" ]; then
        buildah manifest push --all "$list" "docker://$registry/$list"
    fi
}

rm -rf "$dist"
mkdir -p "$dist"
for architecture in $architectures; do
    build "$architecture"
done
image causeway/causeway causeway operator/Dockerfile "$operator_limit"
image causeway/causeway-broker causeway-broker broker/Dockerfile "$broker_limit"
rm -rf "$dist/context"

for chart in causeway causeway-network; do
    helm package "charts/$chart" --destination "$dist"
    if [ -n "$registry" ]; then
        helm push "$dist/$chart-$version.tgz" "oci://$registry/charts"
    fi
done
ls -l "$dist"
