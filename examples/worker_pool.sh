#!/usr/bin/env bash
# Three workers share the items: each item goes to one free worker. When the only producer leaves, the queue ends for all
# three workers.
set -eu
queue=worker-pool

for worker in 1 2 3; do
    qdemo consumer --queue "$queue" --format raw |
        while read -r page; do
            echo "worker $worker: page $page"
        done &
done

seq 1 12 | qdemo producer --queue "$queue" --quiet -
wait
