#!/usr/bin/env bash
# Checks licences, duplicates and sources of the dependencies, and known advisories where the database can be reached.
set -euo pipefail
# Without this, a failure inside $(…) goes unnoticed.
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

deny=$(tools/dist/tool.sh cargo-deny)
"$deny" --locked check bans licenses sources
if "$deny" --locked fetch db > /dev/null 2>&1; then
    "$deny" --locked check advisories
else
    echo "advisories not checked: the database at github.com/RustSec/advisory-db cannot be reached" >&2
fi
