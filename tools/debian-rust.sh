#!/usr/bin/env bash
# Prints the path of a rustc that can build the standard library for other systems, and needs no rustup. Debian packages
# the compiler together with the source of the standard library, in the same version. The first call downloads these
# packages and unpacks them in target/debian-rust. Cargo itself is the installed one, and takes:
#
# RUSTC=$(tools/debian-rust.sh) RUSTC_BOOTSTRAP=1 cargo … -Z build-std=std,panic_unwind --target TARGET
#
# RUSTC_BOOTSTRAP is needed because -Z build-std is not stable.
set -euo pipefail
# Without this, a failure inside $(…) goes unnoticed.
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

here=$PWD/target/debian-rust
root=$here/root
rustc=$here/rustc

# The names of the packages, and of the libraries that these packages need and a Debian without Rust lacks.
packages() {
    local library llvm
    library=$(depends libstd-rust-web-dev | grep '^libstd-rust-web-') &&
        llvm=$(depends "$library" | grep '^libllvm') &&
        echo rustc-web rust-web-src libstd-rust-web-dev "$library" "$llvm"
}

depends() {
    apt-cache depends --important "$1" | sed -n 's/^ *Depends: *//p'
}

# Unpacks the packages into target. Installed packages would take the place of rustup's compiler.
unpack() {
    if ! command -v apt-get > /dev/null || ! command -v dpkg > /dev/null; then
        echo "$0: apt-get and dpkg are missing: the standard library's source comes from Debian" >&2
        exit 1
    fi
    local names
    names=$(packages 2> /dev/null) || {
        apt-get update -qq >&2
        names=$(packages)
    }
    rm -rf "$here/packages" "$root"
    mkdir -p "$here/packages"
    # Each name is one word.
    # shellcheck disable=SC2086
    (cd "$here/packages" && apt-get -o APT::Sandbox::User=root download -qq $names >&2)
    for package in "$here"/packages/*.deb; do
        dpkg -x "$package" "$root"
    done
    rm -rf "$here/packages"
}

mkdir -p "$here"
cat > "$rustc" << END
#!/bin/sh
LD_LIBRARY_PATH='$root/usr/lib/$(uname -m)-linux-gnu' exec '$root/usr/bin/rustc' "\$@"
END
chmod +x "$rustc"
"$rustc" --version > /dev/null 2>&1 || unpack
echo "$rustc"
