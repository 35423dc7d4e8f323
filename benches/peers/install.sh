#!/usr/bin/env bash
# Installs the peers that this user may install. The comparison reports each peer that it skips.
set -uo pipefail
cd "$(dirname "$0")/../.."

venv=target/peers
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || exit 1
# Celery's client of Redis needs packaging.
for packages in faster-fifo redis rq "celery packaging"; do
    # shellcheck disable=SC2086
    "$venv/bin/pip" install --quiet --disable-pip-version-check $packages || echo "no $packages" >&2
done
if command -v npm > /dev/null; then
    mkdir -p "$venv/node"
    npm install --silent --no-audit --no-fund --prefix "$venv/node" bullmq ioredis || echo "no bullmq" >&2
fi
missing=()
for tool in redis-server:redis-server beanstalkd:beanstalkd parallel:parallel xargs:findutils; do
    command -v "${tool%%:*}" > /dev/null || missing+=("${tool##*:}")
done
if [ "${#missing[@]}" -gt 0 ] && command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi
exit 0
