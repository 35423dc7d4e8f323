#!/usr/bin/env bash
# Runs `cargo check` on library, program and tests for other systems than Linux. `cargo check` only checks types: nothing is
# linked or run. The check needs neither such a system nor rustup. Debian packages the compiler together with the source of the
# standard library, in the same version, and cargo builds the standard library of each target from this source. Cargo itself
# is the installed one. All files are in target/check-darwin.
#
# tools/check-darwin.sh [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/.."

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    targets=(aarch64-apple-darwin x86_64-unknown-freebsd)
fi
here=$PWD/target/check-darwin
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
        apt-get update -qq
        names=$(packages)
    }
    rm -rf "$here/packages" "$root"
    mkdir -p "$here/packages"
    # Each name is one word.
    # shellcheck disable=SC2086
    (cd "$here/packages" && apt-get -o APT::Sandbox::User=root download -qq $names)
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
"$rustc" --version

# A dependency compiles C. A check of types needs no objects, and there is no C compiler for these systems here: this one
# makes an empty file of each.
cat > "$here/cc" << 'END'
#!/bin/sh
while [ $# -gt 0 ]; do
    if [ "$1" = -o ]; then : > "$2"; fi
    shift
done
END
cat > "$here/ar" << 'END'
#!/bin/sh
for file; do
    case $file in *.a) : > "$file" ;; esac
done
END
chmod +x "$here/cc" "$here/ar"

for target in "${targets[@]}"; do
    echo "checking for $target"
    name=${target//-/_}
    export "CC_$name=$here/cc" "AR_$name=$here/ar"
    # RUSTC_BOOTSTRAP: -Z build-std is not stable.
    RUSTC=$rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$here/build "${CARGO:-cargo}" check --quiet --locked \
        --all-targets -Z build-std=std,panic_unwind,test --target "$target"
done
