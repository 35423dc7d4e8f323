#!/usr/bin/env bash
# Installs SimPy and Ciw in target/simulators.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/simulators
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check simpy ciw
