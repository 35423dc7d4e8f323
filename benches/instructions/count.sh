#!/usr/bin/env bash
# Counts the instructions that the keeper's loop takes to pass on 100,000 items, and compares them with
# those that were accepted last. They don't depend on what else the machine does; on the compiler and
# the processor's kind they do. `count.sh accept` takes what it counts for the new measure.
set -euo pipefail
cd "$(dirname "$0")/../.."

accepted=benches/instructions/accepted
tolerance=5 # per cent
if ! command -v valgrind > /dev/null; then
    if ! command -v apt-get > /dev/null || [ "$(id -u)" != 0 ]; then
        echo "instructions are counted by valgrind: install it" >&2
        exit 1
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends valgrind > /dev/null
fi
target=${CARGO_TARGET_DIR:-target}
told=$(valgrind --tool=callgrind --callgrind-out-file="$target/keeper-loop.callgrind" \
    --toggle-collect='*take_a_turn*' "$target/release/qdemo" \
    bench-task '{"part":"KeeperLoop","size":22}' 2>&1) || true
count=$(sed -n 's/.*Collected : \([0-9]*\)$/\1/p' <<< "$told")
if ! grep -q '"items":100000' <<< "$told" || [ -z "$count" ] || [ "$count" = 0 ]; then
    echo "$told" >&2
    echo "the relay has not done its work" >&2
    exit 1
fi
if [ "${1:-}" = accept ]; then
    echo "$count" > "$accepted"
fi
before=$(cat "$accepted")
change=$(awk -v now="$count" -v before="$before" 'BEGIN { printf "%.2f", (now / before - 1) * 100 }')
awk -v n="$count" -v c="$change" \
    'BEGIN { printf "the keeper takes %.1f instructions an item, %+.2f %% against what was accepted\n", n / 100000, c }'
if awk -v c="$change" -v t="$tolerance" 'BEGIN { exit !(c > t || c < -t) }'; then
    echo "that differs by more than $tolerance %: find out why, and then \`make instructions ACCEPT=1\`" >&2
    exit 1
fi
