# What a keeper or a server refuses. The English texts go over the wire, and the script of a server has them too: a
# client finds the message and its parameters by the English text, and shows the text of its own language.
refusal-version = the keeper speaks protocol version { $own }, the client version { $other }
refusal-capacity = the queue has capacity { $have }, not { $asked }: leave --capacity out, or give the same one; `qdemo rm` begins anew
refusal-unbounded = 0 (unbounded)
refusal-private = this queue belongs to a run, and only the run's workers may use it
refusal-too-far = too many items wait for room: the items up to { $seq } are not taken
refusal-get-twice = a get is waiting already: one at a time
refusal-not-in-flight = the batch from item { $first } (count { $count }) is not in flight with this client
refusal-not-failed = no item { $id } has failed: `qdemo failed` lists those that have
refusal-in-use-items = the queue has { $items ->
    [one] { $items } item
   *[other] { $items } items
 } ({ $ready } ready, { $in_flight } in flight, { $failed } failed): give --force to remove it all the same
refusal-in-use-clients = the queue has { $clients ->
    [one] { $clients } process that uses it
   *[other] { $clients } processes that use it
 }: give --force to remove it all the same
refusal-in-use = the queue has { $items ->
    [one] { $items } item
   *[other] { $items } items
 } ({ $ready } ready, { $in_flight } in flight, { $failed } failed) and { $clients ->
    [one] { $clients } process that uses it
   *[other] { $clients } processes that use it
 }: give --force to remove it all the same
refusal-journal = cannot write the queue's journal: { $error }; every item accepted before is still there
refusal-removed = the queue has been removed
refusal-removed-or-lost = the queue has been removed, or the server has lost it
refusal-not-paced = time is not paced here: wait by your own clock
refusal-item-too-large = an item has at most { $bytes } bytes as JSON
refusal-put-too-large = a put of several items has at most { $bytes } bytes
refusal-incomplete-items = the keeper holds at most { $size } MiB of incomplete items: put large items one after another
refusal-line-too-long = the line is longer than a request
refusal-put-head = put takes the client's number of its last item, a count and a number of bytes
refusal-no-room = no room for another client: { $error }
refusal-no-room-to-resume = no room for the client: { $error }
refusal-not-removed = the queue cannot be removed: { $error }
