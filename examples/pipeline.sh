#!/usr/bin/env bash
# Shows a shell pipeline that feeds a producer: each of the three largest documents in a folder is one item. A consumer in
# another process handles each item as soon as the producer has put it.
#
#     pipeline.sh [FOLDER]    by default the folder of this repository's documents
set -eu
source "$(dirname "$0")/find_qdemo.sh"
folder=${1:-$(dirname "$0")/../docs}
queue=pipeline

qdemo consumer --queue "$queue" --format raw |
    while read -r size file; do
        echo "$file has $size bytes"
    done &

cd "$folder"
wc -c -- *.md |
    sed '$d' | # the total
    sort -rn |
    head -3 |
    qdemo producer --queue "$queue" --quiet -

wait
