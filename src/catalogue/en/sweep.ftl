# The values, the table and the picture of `qdemo sweep`.
sweep-not-vary = that is nothing to vary: write NAME=RANGE, as in consumers=1..10 or consumer-delay=100ms..950ms:10
sweep-similar-parameter = '{ $name }' cannot vary: write { $known }
sweep-unknown-parameter = '{ $name }' cannot vary: write { $names }
sweep-backwards = the range ends before it begins: write the smaller end first
sweep-not-increasing = the values of a list increase: write them from the smallest to the largest, each once
sweep-no-points = a sweep over 0 points is nothing: write 2 or more behind the colon
sweep-one-point = one point has no two ends: write 2 or more behind the colon, or the one value alone
sweep-many-points = that is too many: write { $max } points or fewer, as in capacity=1..1000000:10
sweep-few-values = the range does not have so many values: write at most { $count } behind the colon
sweep-open-count = the number of points is missing: write 100ms..1s:10 for 10 points
sweep-no-capacity = capacity 0 is no limit, and no place on an axis: write 1 or more
sweep-zero-mean = the mean of a random { $name } cannot be 0: let the range begin above 0
sweep-only-zeros = { $name } is always 0 ({ $delay }), and has no other mean: give a --{ $name } above 0, as in --{ $name } exp:1s
sweep-only-warmup = --warmup { $warmup } leaves nothing of { $items ->
    [one] 1 item
   *[other] { $items } items
 }: give more --items, or a smaller --warmup
sweep-out-of-time = the run with { $setting } would take more than 584 years of its time: take shorter delays, or fewer --items
sweep-theory = theory
sweep-theory-bound = theory: an upper bound
sweep-runs = { $replications ->
    [one] 1 run
   *[other] { $replications } runs
 } of { $items ->
    [one] 1 item
   *[other] { $items } items
 } at each point, the first { $warmup } not counted; seed { $seed }.
sweep-student = ±: half of the 95 % confidence interval, by Student's t from the runs of the point.
sweep-batch-means = ±: half of the 95 % confidence interval, by the means of { $batches } batches of one run.
sweep-correlated = At { $points ->
    [one] 1 point
   *[other] { $points } points
} successive batches depend on each other, and the interval may be too narrow: take --replications 2 or more, or more --items.
sweep-no-interval = Too few items for a confidence interval of one run: take more --items, or --replications 2 or more.
sweep-no-theory = Queueing theory has no formula for these runs.
sweep-overload = ∞: overloaded. The queue grows as long as the run lasts: the measured values in those columns depend on --items.
sweep-title = qdemo sweep: { $metric } by { $parameter }
sweep-mean-of = mean { $parameter }
sweep-measured = simulated, with the 95 % confidence interval
sweep-measured-alone = simulated
sweep-overloaded = overloaded: grows as long as the run lasts
