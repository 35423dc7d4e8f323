#!/usr/bin/env bash
# Installs what the tests need and this user may install: redis-server and openssl. Without a server, the tests of queues
# on a server are skipped, and say so at the end.
set -uo pipefail

command -v redis-server > /dev/null && command -v openssl > /dev/null && exit 0
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server openssl > /dev/null
fi
exit 0
