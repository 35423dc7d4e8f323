#!/usr/bin/env bash
# Builds packages in target/dist, on Debian for x86-64, and tells the time and the size of each. SHA256SUMS there is written anew.
#
#   musl     an archive with a static program for Linux on x86-64
#   aarch64  the same for Linux on 64-bit ARM
#   darwin   the same for macOS on Apple silicon, untested
#   deb      Debian packages with the static programs, for amd64 and arm64
#   wheel    a Python wheel with the static program for x86-64
#
# tools/dist/build.sh PART…
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$PWD/target/dist
build=$PWD/target/dist-build
host=x86_64-unknown-linux-musl
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# The time of every file in a package: the same commit gives the same package.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2> /dev/null || date +%s)
export SOURCE_DATE_EPOCH

fail() {
    echo "$0: $1" >&2
    exit 1
}

# Runs a command with all that cargo needs to build for $1 without rustup.
with_target() {
    local target=$1 zig rustc flags
    shift
    zig=$(tools/dist/tool.sh cargo-zigbuild)
    rustc=$(tools/debian-rust.sh 2> /dev/null)
    # The C library is that of zig. No path of this machine is in the program.
    flags=(-Clink-self-contained=no "--remap-path-prefix=$PWD=." "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo")
    case $target in
    *-apple-*) flags+=("-Clink-arg=-F$(tools/dist/frameworks.py)") ;;
    esac
    PATH=${zig%/*}:$PATH RUSTC=$rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$build \
        CARGO_ZIGBUILD_CACHE_DIR=$build/zigbuild ZIG_GLOBAL_CACHE_DIR=$build/zig \
        CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}") "$@"
}

# Builds the program for $1, and prints the program's path.
program() {
    with_target "$1" "${CARGO:-cargo}" zigbuild --quiet --release --locked --bin qdemo --target "$1" \
        -Z build-std=std,panic_unwind --config 'profile.release.strip="symbols"' >&2
    echo "$build/$1/release/qdemo"
}

# Fills the folder $2 with what every package for $1 has. The program for this machine writes the manual pages.
stage() {
    local target=$1 root=$2 own program
    own=$(program "$host")
    program=$(program "$target")
    rm -rf "$root"
    make --no-print-directory install PROGRAM="$own" PREFIX="$root" DESTDIR= > /dev/null
    install -m 755 "$program" "$root/bin/qdemo"
    mkdir -p "$root/share/doc/qdemo"
    cp README.md README.ja.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$root/share/doc/qdemo"
    tools/dist/third_party.py "$target" > "$root/share/doc/qdemo/THIRD-PARTY"
}

# Packs the program for $1 with its manual pages, completions and licences. $2 is a part of the name.
archive() {
    local name=qdemo-$version-$1${2-}
    stage "$1" "$build/stage/$name"
    tar --create --directory "$build/stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        "$name" | gzip -9 --no-name > "$out/$name.tar.gz"
    made=("$name.tar.gz")
}

deb() {
    local tool target staged=$build/stage/deb
    tool=$(tools/dist/tool.sh cargo-deb)
    made=()
    for target in "$host" aarch64-unknown-linux-musl; do
        stage "$target" "$staged"
        tools/dist/copyright.sh > "$staged/copyright"
        # Debian has a name for each of these, and one place for the texts of licences.
        (cd "$staged/share/doc/qdemo" && mv CHANGELOG.md changelog && rm LICENSE-* && gzip -9 --no-name changelog THIRD-PARTY)
        made+=("$(basename "$(CARGO_TARGET_DIR=$build "$tool" --quiet --no-build --no-strip --target "$target" \
            --output "$out")")")
    done
}

wheel() {
    local tool name
    tool=$(tools/dist/tool.sh maturin)
    program "$host" > /dev/null
    rm -rf "$build/wheel"
    with_target "$host" "$tool" build --quiet --release --locked --zig --target "$host" --strip true \
        -Z build-std=std,panic_unwind --compatibility musllinux_1_1 --out "$build/wheel"
    # A static program also runs where the C library is GNU's.
    name=$(tools/dist/tool.sh wheel)
    name=$("$name" tags --remove --platform-tag manylinux_2_17_x86_64.musllinux_1_1_x86_64 "$build"/wheel/*.whl)
    mv "$build/wheel/$name" "$out"
    made=("$name")
}

[ $# -gt 0 ] || fail "no part is named: musl, aarch64, darwin, deb or wheel"
[ "$(uname -sm)" = "Linux x86_64" ] || fail "packages are built on Linux for x86-64, and this is $(uname -sm)"
mkdir -p "$out"
for part; do
    begin=$SECONDS
    case $part in
    musl) archive "$host" ;;
    aarch64) archive aarch64-unknown-linux-musl ;;
    darwin) archive aarch64-apple-darwin -untested ;;
    deb | wheel) "$part" ;;
    *) fail "unknown part: $part" ;;
    esac
    for file in "${made[@]}"; do
        echo "dist-$part: target/dist/$file, $(numfmt --to=si --suffix=B "$(stat -c %s "$out/$file")"), $((SECONDS - begin)) s"
    done
done
(cd "$out" && sha256sum -- *.deb *.whl *.tar.gz > SHA256SUMS.new 2> /dev/null; mv SHA256SUMS.new SHA256SUMS)
