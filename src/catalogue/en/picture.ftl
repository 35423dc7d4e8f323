# The picture of a run.
picture-working = working
picture-producing = working
picture-processing = working
picture-waiting = waiting
picture-blocked = blocked
picture-dead = dead
picture-put = putting
picture-delivery = delivery
picture-depth = queue depth
picture-capacity = capacity { $capacity }
picture-title = qdemo: { $producers ->
    [one] 1 producer
   *[other] { $producers } producers
 }, { $consumers ->
    [one] 1 consumer
   *[other] { $consumers } consumers
 }, { $items ->
    [one] 1 item
   *[other] { $items } items
 }, { $end }
picture-overview = one column is { $column }; arrows for { $shown } of { $delivered } deliveries
picture-mean-depth = queue depth { $mean } on average ({ $min } to { $max })
picture-delivery-tip = { $arrow } ({ $time } in the queue)
picture-redelivery-tip = { $arrow } ({ $time } in the queue, attempt { $attempt })
picture-items-put = { $items ->
    [one] 1 item
   *[other] { $items } items
 } put
picture-items-got = { $items ->
    [one] 1 item
   *[other] { $items } items
 } got
picture-item = item number { $id }
