# The table, the chart and the notices of `qdemo bench`.
bench-cores = { $cores ->
    [one] 1 core
   *[other] { $cores } cores
 }
bench-rounds = { $rounds ->
    [one] 1 round
   *[other] medians of { $rounds } rounds
 }
bench-size = items
bench-workers = workers
bench-rate = items/s
bench-spread = spread
bench-bytes = bytes/s
bench-of-limit = of limit
bench-limit = limit
bench-latency-note = p50, p99: from the put in one process until the get in another, one item at a time a pair.
bench-limit-note = limit: the same bytes through two named pipes, one writer, a bare relay, one reader.
bench-case = { $size }, { $producers } × { $consumers }
bench-idle-case = { $size }, { $producers } × { $consumers } and { $idle } idle
bench-relay-case = { $size }, the bare relay
bench-python-case = { $size }, { $producers } × { $consumers } of Python
bench-more-cases = { $case } and { $more } more
bench-wide-spread = the rounds differ by more than 25 % up or down ({ $cases }): something else keeps the machine busy; measure again when it is idle, or with more --rounds
bench-rate-title = Items a second (each line is ten times the one below it)
bench-latency-title = From one process to the other: median, and up to the 99th of a hundred
bench-idle-series = qdemo { $producers } × { $consumers }, { $idle } idle
bench-relay-series = the limit: a bare relay on two named pipes
bench-left-out = qdemo: left out: { $what }: { $reason }
bench-wide-pipes = pipes as wide as they are meant to be
bench-narrow-pipes = they hold down to { $percent } % of that, as their user has many, these included: the figures are those of narrow pipes; end what has them, take fewer workers, or raise /proc/sys/fs/pipe-user-pages-soft
bench-large-items = items of more than { $bytes } bytes
bench-little-memory = { $needed } MiB of memory are needed, and { $free } MiB are free
bench-python-failed = python3 cannot do it: { $reason }
bench-python-silent = it failed, and did not say why
bench-python-missing = there is no python3 in the PATH: install it
bench-python-unstartable = python3 cannot be started: { $cause }
bench-no-python = cannot start python3
bench-no-program = cannot start this program
bench-no-directory = cannot make a directory
bench-no-pipe = cannot make a named pipe
bench-no-script = cannot write a script
bench-no-item = no item came through within { $time } ms
bench-no-answer = a process does not answer for { $time } s
bench-died = a process has died
bench-invalid-report = a process sent an invalid report
bench-idle-left = the idle clients have left
bench-interrupted = interrupted
bench-open-files = `qdemo bench` needs { $needed } open files, and the limit is { $limit }: raise `ulimit -n`
