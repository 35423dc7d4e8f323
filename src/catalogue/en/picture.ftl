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
picture-overview = one column is { $column }; { $shown ->
    [0] no arrows, since the waits are shorter than a column
   *[other] arrows for { $shown } of { $delivered } deliveries: the longest wait in each part of the run
 }
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
picture-items = working (the color is the item's)
picture-redelivery = another attempt
picture-unpaced = not paced: the run has no delays, so these are real times, from the first event on

# The events of a run, in the page of its picture.
picture-event-put = { $worker } puts { $item }
picture-event-late-put = { $worker } puts { $item }, after { $time } without room
picture-event-get = { $worker } gets { $item }
picture-event-get-again = { $worker } gets { $item } (attempt { $attempt })
picture-event-done = { $worker } is done with { $item }
picture-event-back = { $item } is ready again
picture-event-died = { $worker } dies
picture-event-restart = { $worker } starts again
picture-event-left = { $worker } leaves
picture-event-clear = the run drops all ready items
picture-event-end = all processes have finished

# The page of a picture.
picture-page-view = picture of the run
picture-page-first = first event
picture-page-previous = previous event
picture-page-next = next event
picture-page-last = last event
picture-page-closer = zoom in
picture-page-wider = zoom out
picture-page-whole = whole run
picture-page-ready = ready
picture-page-in-flight = in flight
picture-page-done = done
picture-page-none = none
picture-page-start = Step through the events with ← and →, or click on the picture.
picture-page-help = <kbd>←</kbd> <kbd>→</kbd> event, <kbd>Home</kbd> <kbd>End</kbd> first and last, <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom, <kbd>Shift</kbd> <kbd>←</kbd> <kbd>→</kbd> move, <kbd>Esc</kbd> no event. Wheel (with <kbd>Ctrl</kbd> if the page scrolls) or pinch zooms, drag moves.
picture-page-help-touch = Tap the picture to select an event. Two fingers zoom, one moves.
