#!/usr/bin/env bash
# Installs what the tests need and this user may install: redis-server, openssl, zsh, fish and GNU parallel. Without a server, the tests
# of queues on a server are skipped, and say so at the end; without a shell, its test of completions.
set -uo pipefail

programs="redis-server openssl zsh fish parallel"
for program in $programs; do
    command -v "$program" > /dev/null || missing=yes
done
[ "${missing-}" ] || exit 0
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $programs > /dev/null
fi
exit 0
