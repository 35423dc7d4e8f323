#!/usr/bin/env bash
# The two halves of the demonstration, as one would type them in two terminals, in any order. Neither
# starts the other, and there is nothing to set up or to stop.
set -eu

# The first terminal: waits for items, takes two seconds for each (here a hundredth of that).
qdemo consumer --queue two-terminals --delay 20ms &

# The second terminal: an item a second.
qdemo producer --queue two-terminals --items 5 --delay 10ms

wait # The queue ended when its producer left, and so the consumer has come home.
