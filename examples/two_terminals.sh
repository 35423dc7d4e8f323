#!/usr/bin/env bash
# Shows the two halves of the demonstration, for two terminals and in any order. Neither half starts the other, and the
# user has no server to set up or to stop.
set -eu
source "$(dirname "$0")/find_qdemo.sh"

# The first terminal: the consumer waits for items, and takes 2 s for each item (in this script, 20 ms).
qdemo consumer --queue two-terminals --delay 20ms &

# The second terminal: the producer puts one item per second (in this script, every 10 ms).
qdemo producer --queue two-terminals --items 5 --delay 10ms

wait # The queue ends when its producer leaves, and the end of the queue ends the consumer.
