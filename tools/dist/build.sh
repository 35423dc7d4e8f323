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
# Without this, a failure inside $(…) goes unnoticed.
shopt -s inherit_errexit
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

# Builds the program for $1 without rustup, and prints the program's path.
program() {
    local target=$1 zig rustc flags strip path=$build/$1/release/qdemo
    # No package gets the program of an earlier build.
    rm -f "$path"
    zig=$(tools/dist/tool.sh cargo-zigbuild)
    rustc=$(tools/debian-rust.sh)
    # The path of this folder does not matter to the program.
    flags=("--remap-path-prefix=$PWD=." "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo")
    case $target in
    # Rust strips a program for Apple with rust-objcopy, which is not here.
    *-apple-*) flags+=("-Clink-arg=-F$(tools/dist/frameworks.py)") strip=none ;;
    # The C library is that of zig.
    *) flags=(-Clink-self-contained=no "${flags[@]}") strip=symbols ;;
    esac
    PATH=${zig%/*}:$PATH RUSTC=$rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$build \
        CARGO_ZIGBUILD_CACHE_DIR=$build/zigbuild ZIG_GLOBAL_CACHE_DIR=$build/zig \
        CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}") \
        "${CARGO:-cargo}" zigbuild --quiet --release --locked --bin qdemo --target "$target" \
        -Z build-std=std,panic_unwind --config "profile.release.strip=\"$strip\"" >&2
    [ -x "$path" ] || fail "the build made no $path"
    echo "$path"
}

# Fills the folder $2 with what every package for $1 has. The program for this machine writes the manual pages.
stage() {
    local target=$1 root=$2 own program
    own=$(program "$host")
    program=$own
    [ "$target" = "$host" ] || program=$(program "$target")
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

# Packs the static programs for Debian. They depend on no other package.
deb() {
    made=()
    deb_of "$host" amd64
    deb_of aarch64-unknown-linux-musl arm64
}

deb_of() {
    local root=$build/stage/deb name=qdemo_$version-1_$2.deb share documents
    share=$root/usr/share
    documents=$share/doc/qdemo
    rm -rf "$root"
    stage "$1" "$root/usr"
    # Debian has one place for the texts of licences, another one for completions of zsh, and compresses what is long.
    mkdir "$share/zsh/vendor-completions"
    mv "$share/zsh/site-functions/_qdemo" "$share/zsh/vendor-completions"
    rmdir "$share/zsh/site-functions"
    rm "$documents"/LICENSE-*
    mv "$documents/CHANGELOG.md" "$documents/changelog"
    tools/dist/debian.sh changelog "$version-1" > "$documents/changelog.Debian"
    tools/dist/debian.sh copyright > "$documents/copyright"
    gzip -9 --no-name "$documents/changelog" "$documents/changelog.Debian" "$documents/THIRD-PARTY" "$share"/man/man1/* "$share"/man/ja/man1/*
    mkdir "$root/DEBIAN"
    (cd "$root" && find usr -type f -exec md5sum {} + | sort -k 2 > DEBIAN/md5sums)
    tools/dist/debian.sh control "$version-1" "$2" "$(du -sk "$root/usr" | cut -f 1)" > "$root/DEBIAN/control"
    chmod -R u=rwX,go=rX "$root"
    dpkg-deb --build --root-owner-group "$root" "$out/$name" > /dev/null
    made+=("$name")
}

# Packs the static program for pip, which runs it wherever the C library is GNU's or musl.
wheel() {
    local tool root=$build/stage/wheel information
    tool=$(tools/dist/tool.sh wheel)
    stage "$host" "$build/stage/qdemo"
    information=$root/qdemo-$version.dist-info
    rm -rf "$root"
    mkdir -p "$root/qdemo-$version.data/scripts" "$information/licenses"
    mv "$build/stage/qdemo/bin/qdemo" "$root/qdemo-$version.data/scripts"
    (cd "$build/stage/qdemo/share/doc/qdemo" && mv LICENSE-* THIRD-PARTY "$information/licenses")
    tools/dist/wheel.sh metadata "$version" > "$information/METADATA"
    tools/dist/wheel.sh tags manylinux_2_17_x86_64 musllinux_1_1_x86_64 > "$information/WHEEL"
    "$tool" pack --dest-dir "$out" "$root" > /dev/null
    made=("qdemo-$version-py3-none-manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl")
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
shopt -s nullglob
(cd "$out" && sha256sum -- *.deb *.whl *.tar.gz > "$build/SHA256SUMS" && mv "$build/SHA256SUMS" .)
