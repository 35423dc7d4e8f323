# Why an operation on a queue failed.
error-name-empty = a queue's name cannot be empty: give it one, such as `jobs`
error-name-too-long = a queue's name has at most { $max } bytes, and this one has { $bytes }: shorten it
error-name-path = a queue's name has no `/` and no `..`, and starts with no `.`: leave them out
error-name-control = a queue's name has no control characters: leave them out

error-no-home = there is no home directory: say where queues lie with QDEMO_DIR
error-pipe = the queue's pipe failed
error-start = cannot start a keeper for the queue
error-keeper-gone = the queue's keeper has died
error-closed = the queue is closed
error-closed-for-puts = the queue is closed: it takes no more items
error-full = the queue is full
error-empty = the queue is empty
error-ended = the queue has ended
error-unfinished = { $items ->
    [one] 1 item is
   *[other] { $items } items are
 } not done yet
error-lease-expired = item { $id } came too late: its lease had run out, and it went back into the queue
error-encode = the item cannot be written as JSON
error-decode = item { $id } has another type than expected: it counts as failed now
error-not-a-line = an item is JSON text on a single line: write its line breaks as \n
error-too-large = the item has { $size } bytes as JSON, and at most { $max } are taken: split it
error-items-lost = the server has lost { $items ->
    [one] 1 item that
   *[other] { $items } items that
 } it had accepted from here: put them again
error-stdout-closed = nobody reads standard output any more
error-interrupted = interrupted
error-keepers-died = { $keepers } keepers exited at once
error-no-program = there is no program { $program }: install qdemo, or call qdemo::keep_if_asked() first thing in main
error-malformed-reply = the keeper's reply `{ $reply }` is not of protocol version { $version }

error-no-answer = the keeper of the queue `{ $queue }` (process { $process }) does not answer: continue it with `kill -CONT { $process }`, or end it with `kill -9 { $process }`: the next command starts another, and nothing accepted is lost
error-no-answer-unknown = the keeper of the queue `{ $queue }` does not answer: continue it, or end it: the next command starts another, and nothing accepted is lost
error-not-ready = a keeper of the queue `{ $queue }` is being started (process { $process }), and is not ready: give it more time, or if it has been stopped, continue it with `kill -CONT { $process }`, or end it with `kill -9 { $process }`: the next command starts another, and nothing accepted is lost
error-not-ready-unknown = a keeper of the queue `{ $queue }` is being started, and is not ready: give it more time, or if it has been stopped, continue it, or end it: the next command starts another, and nothing accepted is lost

error-no-inbox = cannot open the queue's inbox
error-no-client-key = cannot choose a client key
error-no-client-pipes = cannot make the client's pipes
error-no-lock = cannot lock the queue's directory
error-no-working-directory = no working directory
error-no-server-thread = cannot start a thread for the connection to the server

error-cannot-read = cannot read { $file }
error-cannot-write = cannot write { $file }
error-name-a-file = name a file in an existing folder
