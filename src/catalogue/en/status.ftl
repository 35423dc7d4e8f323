# What `qdemo status` says of queues and clients.
status-counts = { $queue }{ $state }: { $ready }{ $capacity } ready, { $in_flight } in flight, { $done } done, { $failed } failed
status-capacity = {" "}of { $capacity }
status-oldest = { $counts }, the oldest { $age }
status-closed = {" "}(closed)
status-ending = {" "}(ending)
status-ended = {" "}(ended)
status-no-queues = there are no queues: `qdemo put` makes one
status-ended-queues = ended:
status-producer = producer { $pid }: { $items } put, { $activity }
status-consumer = consumer { $pid }: { $items } done, { $activity }
status-holds = has { $items ->
    [one] 1 item
   *[other] { $items } items
 }
status-holds-for = has { $items ->
    [one] 1 item
   *[other] { $items } items
 } for { $time }
status-waits-for-room = waits for room
status-waits-for-item = waits for an item
status-waits-until-done = waits until all is done
status-producing = at work
status-processing = at work
status-and = { $first }, { $second }
status-seconds = { $time } s
status-minutes = { $time } min
status-hours = { $time } h
status-days = { $time } days
status-more-lines = … and { $lines } lines more
status-silent-keeper = { $queue }: its keeper does not answer: continue or end the keeper
status-silent-process = { $queue }: its keeper (process { $pid }) does not answer: continue it with `kill -CONT { $pid }`, or end it with `kill -9 { $pid }`
status-trying-again = { $problem }; trying again
status-server-is-back = the server answers again
