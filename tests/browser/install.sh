#!/usr/bin/env bash
# Installs Chromium and a font with Japanese letters, unless both are installed.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" > /dev/null && [ -n "$(fc-list :lang=ja 2> /dev/null)" ]; then
        exit 0
    fi
done
if ! command -v apt-get > /dev/null; then
    echo "make test-browser needs Chromium and a font with Japanese letters: install them" >&2
    exit 1
fi
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk fontconfig
