# The statistics of a run.
stats-title = statistics
stats-mean = mean
stats-max = max
stats-wait = wait
stats-sojourn = sojourn
stats-depth = depth
stats-in-system = in system
stats-done = done
stats-done-text = { $items ->
    [one] 1 item
   *[other] { $items } items
 } in { $elapsed } ({ $rate }/s)
stats-wait-probability = had to wait
stats-blocked = blocked
stats-utilization = utilization
stats-throughput = throughput
stats-little-exact = holds exactly: the difference is 0 ns
stats-little-unfinished = says nothing of this run: not every item was done
stats-little-difference = the difference is { $difference } ns
stats-seed = seed
stats-simulated = simulated
stats-simulated-text = no processes were started
stats-formula = formula
stats-measured = measured
stats-interval = 95 % interval
stats-unstable = unstable: the queue grows without limit, and has no average
stats-bounded-model = { $kendall }, capacity { $capacity }, producers block
stats-bound = ≤: no formula is known; this is an upper bound (Kingman), not the value
stats-file-order = the formula takes the delays of the file as independent; a run replays them in order
stats-method = { $interval }: batch means, { $batches } batches
stats-comma = {", "}
stats-correlated = successive batches depend on each other ({ $names }): the interval may be too narrow; raise --items
