# The notices on long waits, on failed items and on what a pool has left.
notice-first-item = waiting for an item in `{ $queue }`: none has been put yet
notice-items-in-progress = waiting for an item in `{ $queue }`: { $items ->
    [one] another consumer has the only item
   *[other] other consumers have all { $items } items
 }
notice-item = waiting for an item in `{ $queue }`: { $done ->
    [0] none
   *[other] { $done }
 } done so far{ $failed ->
    [0] {""}
   *[other] , { $failed } failed
 }
notice-next-round = the queue `{ $queue }` has ended: waiting for new items
notice-room = waiting for room in `{ $queue }`: the queue is full ({ $ready } of { $capacity } items){ $consumers ->
    [0] , and no consumer is there
   *[other] {""}
 }
notice-join = waiting for { $items ->
    [one] 1 item
   *[other] { $items } items
 } of `{ $queue }`: { $in_progress } in progress, { $ready } ready{ $consumers ->
    [0] , and no consumer is there
   *[other] {""}
 }
notice-stop = { $text }; Ctrl-C to stop

notice-item-failed = item { $id } "{ $item }" failed{ $tries ->
    [one] {""}
   *[other] {" "}after { $tries } tries
 }: { $reason }
notice-exit-code = exit code { $code }
notice-signal = killed by signal { $signal }
notice-timed-out = took longer than --timeout-each ({ $how })
notice-all-done = { $done ->
    [one] 1 item is done
   *[other] { $done } items are done
 }
notice-some-failed = { $done } done, { $failed } failed: `qdemo failed { $queue }` lists failed items
notice-interrupted = interrupted: { $ready ->
    [one] 1 item waits
   *[other] { $ready } items wait
 } in `{ $queue }`; run the same command again to go on
notice-interrupted-at-work = interrupted: { $items ->
    [one] 1 item in progress goes
   *[other] { $items } items in progress go
 } back into `{ $queue }`{ $ready ->
    [0] {""}
    [one] , where 1 more waits
   *[other] , where { $ready } more wait
 }; run the same command again to go on
