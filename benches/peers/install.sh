#!/usr/bin/env bash
# Installs what the comparison can use, as far as that may be done here; the comparison tells what it skipped.
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
