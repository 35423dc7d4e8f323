#!/usr/bin/env bash
# Runs `cargo check` on library, program and tests for other systems than Linux. `cargo check` only checks types: nothing is
# linked or run. The check needs neither such a system nor rustup: tools/debian-rust.sh has the compiler, and cargo builds the
# standard library of each target. All files are in target/debian-rust and target/check-targets.
#
# tools/check-targets.sh [TARGET…]
set -euo pipefail
# Without this, a failure inside $(…) goes unnoticed.
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    targets=(aarch64-apple-darwin x86_64-apple-darwin x86_64-unknown-freebsd)
fi
here=$PWD/target/check-targets
rustc=$(tools/debian-rust.sh)
"$rustc" --version

# A dependency compiles C. A check of types needs no objects, and there is no C compiler for these systems here: this one
# makes an empty file of each.
mkdir -p "$here"
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

options=()
for target in "${targets[@]}"; do
    echo "checking for $target"
    options+=(--target "$target")
    name=${target//-/_}
    export "CC_$name=$here/cc" "AR_$name=$here/ar"
done
# One call checks all targets, so what is of this machine, such as macros, is compiled once.
RUSTC=$rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$here/build "${CARGO:-cargo}" check --quiet --locked \
    --all-targets -Z build-std=std,panic_unwind,test "${options[@]}"
