#!/usr/bin/env bash
# Counts the instructions of the keeper's loop for 100,000 items, and compares the number with the accepted
# one. The number depends on the compiler and on the kind of the processor, and not on the load of the
# machine. `count.sh accept` accepts the new number.
set -euo pipefail
cd "$(dirname "$0")/../.."

accepted=benches/instructions/accepted
tolerance=5 # per cent
# The test `every_item_passes_through_the_keeper` in src/testing/keeper_loop.rs, and its counted function.
test=testing::keeper_loop::every_item_passes_through_the_keeper
counted='*keeper_loop*process_requests*'
if ! command -v valgrind > /dev/null; then
    if ! command -v apt-get > /dev/null || [ "$(id -u)" != 0 ]; then
        echo "valgrind counts the instructions: install valgrind" >&2
        exit 1
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends valgrind > /dev/null
fi
target=${CARGO_TARGET_DIR:-target}
# The names of the executables are in the messages on standard error.
program=$("${CARGO:-cargo}" test --release --locked --lib --no-run 2>&1 | tee -a /dev/stderr |
    sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
output=$(valgrind --tool=callgrind --callgrind-out-file="$target/keeper-loop.callgrind" \
    --toggle-collect="$counted" "$program" "$test" --exact --test-threads=1 2>&1) || true
count=$(sed -n 's/.*Collected : \([0-9]*\)$/\1/p' <<< "$output")
if ! grep -q '1 passed' <<< "$output" || [ -z "$count" ] || [ "$count" = 0 ]; then
    echo "$output" >&2
    echo "the keeper's loop has failed: see the output above" >&2
    exit 1
fi
if [ "${1:-}" = accept ]; then
    echo "$count" > "$accepted"
fi
before=$(cat "$accepted")
change=$(awk -v now="$count" -v before="$before" 'BEGIN { printf "%.2f", (now / before - 1) * 100 }')
awk -v n="$count" -v c="$change" \
    'BEGIN { printf "the keeper takes %.1f instructions for an item: %+.2f %% against the accepted number\n", n / 100000, c }'
if awk -v c="$change" -v t="$tolerance" 'BEGIN { exit !(c > t || c < -t) }'; then
    echo "the difference is more than $tolerance %: find the cause, and then run \`make instructions ACCEPT=1\`" >&2
    exit 1
fi
