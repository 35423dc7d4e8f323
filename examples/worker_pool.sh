#!/usr/bin/env bash
# Three workers share the work: each item goes to one of them, whoever is free. One producer ends the
# queue for all three.
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
