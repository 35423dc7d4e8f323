#!/usr/bin/env bash
# Installs the peers that this user may install. The comparison reports each peer that it skips.
set -uo pipefail
cd "$(dirname "$0")/../.."

venv=target/peers
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || exit 1
for package in faster-fifo redis; do
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$package" || echo "no $package" >&2
done
missing=()
for tool in redis-server:redis-server beanstalkd:beanstalkd parallel:parallel xargs:findutils; do
    command -v "${tool%%:*}" > /dev/null || missing+=("${tool##*:}")
done
if [ "${#missing[@]}" -gt 0 ] && command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi
exit 0
