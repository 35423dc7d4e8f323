#!/usr/bin/env bash
# A producer fed by a shell pipeline: the names of the largest files here, one item each, handled by
# a consumer in another process as they come.
set -eu
queue=pipeline

qdemo consumer --queue "$queue" --format raw |
    while read -r size file; do
        echo "$file has $size bytes"
    done &

find . -type f -name '*.txt' -printf '%s %f\n' |
    sort -rn |
    head -3 |
    qdemo producer --queue "$queue" --quiet -

wait
