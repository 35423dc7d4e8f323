# The notices and the live view of a run, a producer and a consumer.
run-unconsumed = producer: no consumer is there, and the queue `{ $queue }` has { $items ->
    [one] 1 item ready
   *[other] { $items } items ready
 }: `qdemo consumer -q { $quoted }` gets { $items ->
    [one] it
   *[other] them
 }
run-interrupted = interrupted: { $items ->
    [one] 1 item is
   *[other] { $items } items are
 } not done
run-summary = { $done } of { $items ->
    [one] 1 item
   *[other] { $items } items
 } done; { $deaths ->
    [one] 1 worker
   *[other] { $deaths } workers
 } died, { $restarts } replaced; { $redelivered ->
    [one] 1 item
   *[other] { $redelivered } items
 } delivered again
run-seed = seed { $seed }: the same run again with --seed { $seed }
run-shutdown = consumers finish the items that they hold (Ctrl-C again ends the run at once)

run-starting = starting
run-blocked = waiting for room
run-waiting = waiting
run-producing = working
run-processing = working
run-dead = dead
run-ended = finished
run-items-put = { $items } put
run-items-done = { $items } done
run-items = { $items ->
    [one] 1 item
   *[other] { $items } items
 }
run-hidden-workers = … and { $workers } more
run-queue = queue
run-total = total
run-total-done = done
run-depth-peak = { $bar } { $ready } (at most { $peak } so far)

run-out-of-time = the simulated time has reached 584 years, the largest time: { $not_done ->
    [0] all { $items } items were done by then, and a delay was not over
    [one] 1 of { $items } items was not done by then
   *[other] { $not_done } of { $items } items were not done by then
 }; take shorter delays or fewer items
run-workers-died = { $not_done } of { $items ->
    [one] 1 item
   *[other] { $items } items
 } { $not_done ->
    [one] was
   *[other] were
 } not done, since workers have died
run-folder-removed = { $died } and could not be replaced: another program has removed the run's folder in the temporary folder; keep cleaners away from qdemo-run.*, or set TMPDIR
