# What the commands of a queue say: results, notices and errors.
command-no-queue = there is no queue `{ $queue }`: there are no queues; `qdemo put` makes one
command-similar-queue = there is no queue `{ $queue }`: did you mean { $known }?
command-other-queues = there is no queue `{ $queue }`: { $count ->
    [one] the only queue is
   *[other] the queues are
 } { $names }
command-unknown-queue = there is no queue `{ $queue }`: `qdemo put` makes one, `qdemo status` lists all queues
command-name = `{ $name }`
command-more-names = { $names } and { $more } more (`qdemo status` lists them)
command-and = { $first }, { $second }
command-or = { $first } or { $second }
command-damaged = the journal of the queue `{ $queue }` is damaged in { $damaged ->
    [one] line { $lines }: this record is
   *[other] lines { $lines }: these records are
 } lost, the rest is intact
command-damaged-legacy = the file memory.json of the queue `{ $queue }` was damaged and has been removed: the capacity and the end of the queue may be lost, all items are intact
command-was-removed = the queue has been removed
command-is-held = another process holds the queue by now: try again

command-empty = the queue `{ $queue }` is empty{ $printed ->
    [0] {""}
   *[other] {" "}after { $printed } of { $count } items
 }
command-unused = the queue `{ $queue }` is empty: nothing has ever been put into it
command-ended = the queue `{ $queue }` has ended{ $printed ->
    [0] {""}
   *[other] {" "}after { $printed } of { $count } items
 }
command-printed-again = { $cause }; the printed items may be delivered again
command-full = the queue `{ $queue }` is full (capacity { $capacity }); not put: { $items }
command-closed = the queue `{ $queue }` is closed and takes no more items: `qdemo status -q { $quoted }` shows what is left, `qdemo rm -q { $quoted }` removes the queue, and the next `qdemo put` makes a new one
command-nothing-ready = no item is ready in the queue `{ $queue }`
command-nul-item = item { $id } is not shown: no line of a shell can hold the NUL in it
command-joined-failed = { $items ->
    [one] 1 item
   *[other] { $items } items
 } of the queue `{ $queue }` failed, all others are done: `qdemo failed -q { $quoted }` lists failed items
command-unfinished = { $items ->
    [one] 1 item
   *[other] { $items } items
 } of the queue `{ $queue }` { $items ->
    [one] is
   *[other] are
 } not done within the timeout
command-dropped = dropped { $items ->
    [one] 1 item
   *[other] { $items } items
 }
command-retried = { $items ->
    [one] 1 item is
   *[other] { $items } items are
 } ready again
command-not-failed = item { $id } is not a failed item: `qdemo failed -q { $quoted }` lists failed items
command-lone-ids = ids need an action: give --retry or --drop, or no id for a list of all items
command-removed-items = removed { $items ->
    [one] 1 item
   *[other] { $items } items
 }
command-removed-uncounted = removed the queue, whose items could not be counted
command-not-removed = the queue `{ $queue }` stays
command-removed-ended = removed { $queues ->
    [one] 1 ended queue
   *[other] { $queues } ended queues
 }
command-no-ended = there is no ended queue to remove
command-kept-failed = the ended queue `{ $queue }` stays, as { $items ->
    [one] 1 item has
   *[other] { $items } items have
 } failed: `qdemo failed -q { $quoted }` lists failed items
command-kept-used = the ended queue `{ $queue }` stays, as items or clients are there: `qdemo status -q { $quoted }` shows them

command-failed-count = { $failed } failed
# How an item failed, in `qdemo failed`.
command-failed-deliveries = { $consumers ->
    [one] its consumer died or was too slow
   *[other] { $consumers } consumers died or were too slow
 }
command-failed-timeout = timed out ({ $how })
command-failed-tries = { $how }, { $tries } tries
command-revoked = { $items ->
    [one] 1 item
   *[other] { $items } items
 } came too late, and may be done twice: give more time with --dead-after
command-late-dead = qdemo: { $items ->
    [one] item { $id }
   *[other] { $items } items from item { $id } on
 } came too late: this consumer had counted as dead, and others may have { $items ->
    [one] it
   *[other] them
 }
command-late-lease = qdemo: { $items ->
    [one] item { $id } came too late: its lease had run out, and it
   *[other] { $items } items from item { $id } on came too late: their lease had run out, and they
 } went back into the queue
command-no-guard = cannot start the guard of the commands
command-no-command = there is no command after --: add a command, or leave -- out
command-json-lines = { $option } is for the text of commands, and --format json prints records: leave one of the two out
command-tty-jobs = --tty is for one command at a time: leave --jobs out

command-run-open-files = { $workers } workers need { $needed } open files, and only { $limit } are allowed: raise `ulimit -n`, or take fewer workers
command-no-delay-file = cannot write the delays of the run to the folder for temporary files (TMPDIR)
command-no-worker = cannot start a worker process
command-no-pipe = cannot make a named pipe
command-no-random = no random numbers
command-no-directory = cannot make a directory in { $parent } (set TMPDIR to a folder where you may write)
command-directory-left = cannot remove the private directory
command-no-signals = cannot set up signals: { $cause }
command-panic = internal error, please report it: { $panic }

command-results-unusable = cannot use { $dir } for --results: { $error }: choose another folder
command-results-not-empty = { $dir } has other content than results: give --results an empty or a new folder
command-results-other-queue = { $dir } has the results of another queue ({ $queue }): give --results another folder
command-results-unwritable = cannot save the result of item { $id } in { $dir }: make room there, or choose another folder
