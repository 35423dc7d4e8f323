#!/usr/bin/env bash
# Checks that the library, the program and the tests compile for macOS and FreeBSD (`cargo check`: types
# only, nothing is linked or run). It needs no Mac: Debian's Rust has the standard library's source, from
# which cargo builds what a target needs. Compiler and source come from the same packages, as they must be
# of one version; cargo is the usual one. Everything lies in target/check-other-systems.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    targets=(aarch64-apple-darwin x86_64-unknown-freebsd)
fi
here=$PWD/target/check-other-systems
root=$here/root
libraries=$root/usr/lib/$(uname -m)-linux-gnu

# Unpacked beside the system, not installed: Debian's Rust conflicts with rustup's.
unpack() {
    command -v apt-get dpkg > /dev/null || {
        echo "check-darwin needs apt-get: it takes the standard library's source from Debian" >&2
        exit 1
    }
    rm -rf "$here/packages" "$root"
    mkdir -p "$here/packages"
    (
        cd "$here/packages"
        depends() { apt-cache depends --important "$@" | sed -n 's/^ *Depends: *//p' | tr -d '<>'; }
        list() {
            shared=$(depends libstd-rust-web-dev | grep '^libstd-rust-web-')
            llvm=$(depends "$shared" | grep '^libllvm')
            echo rustc-web rust-web-src libstd-rust-web-dev "$shared" "$llvm"
        }
        packages=$(list 2> /dev/null) || {
            apt-get update -qq
            packages=$(list)
        }
        # shellcheck disable=SC2086
        apt-get download $packages
        for package in *.deb; do
            dpkg -x "$package" "$root"
        done
    )
    rm -rf "$here/packages"
}

mkdir -p "$here"
cat > "$here/rustc" << END
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$root/usr/bin/rustc' "\$@"
END
chmod +x "$here/rustc"
"$here/rustc" --version 2> /dev/null || unpack
"$here/rustc" --version

for target in "${targets[@]}"; do
    echo "checking for $target"
    RUSTC=$here/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$here/build \
        "${CARGO:-cargo}" check --locked --quiet --all-targets \
        -Z build-std=std,panic_unwind,test --target "$target"
done
