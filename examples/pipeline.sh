#!/usr/bin/env bash
# A shell pipeline feeds a producer: each of the three largest files here is one item. A consumer in another process
# handles each item as soon as the producer has put it.
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
