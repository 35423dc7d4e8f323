#!/usr/bin/env bash
# Counts the lines of code of each room in src, without blank lines, comments, unit tests and the room `testing`.
set -euo pipefail
cd "$(dirname "$0")/.."

find src -name '*.rs' -not -path 'src/testing/*' -not -path '*/tests/*' -not -name 'tests.rs' \
    -not -name 'model.rs' -print0 | sort -z | xargs -0 awk '
    FNR == 1 { is_test = 0; split(FILENAME, parts, "/"); room = parts[2] }
    # Unit tests are at the end of their file.
    /^#\[cfg\(test\)\]$/ { is_cfg = 1; next }
    is_cfg && /^mod tests \{/ { is_test = 1 }
    { is_cfg = 0 }
    !is_test && !/^[[:space:]]*(\/\/|$)/ { lines[room]++; all++ }
    END {
        for (room in lines) printf "%6d  src/%s\n", lines[room], room | "sort -rn"
        close("sort -rn")
        printf "%6d  in all\n", all
    }'
