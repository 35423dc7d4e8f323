#!/usr/bin/env bash
# Shows three workers that share the items: each item goes to one free worker. When the only producer leaves, the queue ends
# for all three workers.
set -eu
source "$(dirname "$0")/find_qdemo.sh"
queue=worker-pool

for worker in 1 2 3; do
    qdemo consumer --queue "$queue" --format raw |
        while read -r page; do
            echo "worker $worker: page $page"
        done &
done

seq 1 12 | qdemo producer --queue "$queue" --quiet -
wait
