# The help of the commands: `help-COMMAND`, `help-COMMAND-OPTION`, or `help-any-OPTION` for every command.
# `-detail` is what only --help shows.
help-qdemo = multiprocessing.Queue for the command line, through named pipes
help-qdemo-detail = qdemo runs queues like Python's multiprocessing.Queue. A queue has a name: processes that know the name put items and get them, and each item goes to one consumer. An item whose consumer dies goes back into the queue. The first command that uses a queue makes it, and no server is needed. A consumer with a COMMAND is a pool: it runs the command for each item.
help-qdemo-variables =
    QDEMO_DIR                       the folder of the queues
    QDEMO_QUEUE                     the queue of a command without --queue
    QDEMO_SERVER                    the server of a command without --server
    QDEMO_SERVER_PASSWORD_FILE      the file with the password for the server
    QDEMO_SERVER_PASSWORD           the password for the server
    QDEMO_SERVER_SENTINEL_PASSWORD  the password of the server's Sentinels
    QDEMO_SERVER_CA                 the certificate authorities to trust
    QDEMO_LANG                      the language: ja or en
help-qdemo-codes = Exit codes: see `qdemo man`
help-environment = Environment
help-usage = Usage
help-default = [default: { $value }]
help-values = [one of: { $values }]
help-examples = Examples
help-heading-arguments = Arguments
help-heading-options = Options
help-heading-server = For a queue on a server
help-heading-command = With a COMMAND
help-group-see = See how a queue behaves
help-group-share = Share a queue by name
help-group-manage = Manage queues and this program
help-more = `qdemo { $command } --help` explains all options, and has examples.

help-any-help = Print help: -h the short one, --help the long one
help-any-version = Print the version
help-any-lang = Language: ja or en [default: QDEMO_LANG, or the locale]
help-any-color = Show colours: auto (on a terminal; NO_COLOR and CLICOLOR_FORCE decide first), always, never
help-any-queue = Name of the queue [default: QDEMO_QUEUE, or default]
help-any-format = Format of the output
help-any-quiet = Print no log
help-any-null = End a bare item with NUL instead of a newline
help-any-seed = Seed of random delays: the same seed gives the same delays [default: random]
help-any-timeout = Wait at most this long for an item, or for a reply
help-any-no-wait = Do not wait for an item
help-any-count = Number of items
help-any-capacity = Capacity of the queue in items; 0 for no limit
help-any-item-name = Name of the generated items [default: アイテム, or item with --lang en]
help-producer-given = Items to put, or - for the lines of standard input
help-any-literal = Items to put as they are, even if they begin with -
help-any-json = Each item is JSON text, and stays as it is written
help-any-max-item-size = Refuse items that are larger
help-any-sync = Accept items only when they are on the disk, so that they survive a crash of the machine; holds for all clients of the queue from now on
help-any-server = The queue is on this Redis or Valkey server: redis://HOST, rediss://HOST with TLS, redis+unix:///SOCKET [default: QDEMO_SERVER, or else the queue is on this machine]
help-any-server-password-file = Read the password for the server from this file [default: QDEMO_SERVER_PASSWORD_FILE, or else the password is in QDEMO_SERVER_PASSWORD, or in the URL]
help-any-server-ca = Trust the certificate authorities in this file [default: QDEMO_SERVER_CA, or those of the system]
help-any-server-timeout = Give up when the server has been away for this time [default: 30s]
help-any-dead-after = Count this client as dead, and requeue its items, when the server has not heard of it for this time [default: 30s]
help-any-allow-eviction = Put even if the server may drop items when its memory is full

help-run = Watch producer and consumer processes share a queue
help-run-lang = Language: ja or en [default: QDEMO_LANG, or the locale; ja for the log lines]
help-run-items = Number of items, shared evenly among the producers
help-run-producer-delay = Delay of a producer after each item: 1s, exp:1s (random, with this mean), uniform:500ms..1.5s, erlang:PHASES,MEAN, hyper:P,MEAN,MEAN (the first mean with probability P), normal:MEAN,SD, lognormal:MEAN,SD, or file:FILE (one delay a line, in order)
help-run-consumer-delay = Delay of a consumer after each item, in the same form
help-run-format = Format of the output: log, json, or trace (a log with times, waits and depths)
help-run-seed = Seed of random delays: the same seed gives the same delays [default: random, and printed]
help-run-producers = Number of producers
help-run-consumers = Number of consumers
help-run-speed = Speed of the run as a multiple of wall time; max for no waiting
help-run-simulate = Compute the run in this process, with the same events, and start no processes; implies --speed max
help-run-respawn = How many times each dead worker is replaced; 0 for never
help-run-chaos = Kill a random worker about once per TIME; a killed worker is always replaced
help-run-stats = Print statistics at the end, on standard error; without a FORM, as text
help-run-stats-file = Write the statistics to this file, as JSON unless --stats text is given
help-run-warmup = Leave the first N items out of the statistics
help-run-timeline = Draw a timeline of the run, to this .svg or .html file
help-run-progress = Show a live view: auto (on a terminal), always, never
help-run-detail = Exit code 1: items are not done, since workers have died.

help-timeline = Draw a timeline of a run from its recorded events
help-timeline-events = The output of `qdemo run --format json`; - for standard input
help-timeline-output = Draw to this .svg or .html file [default: standard output, as SVG]

help-sweep = Simulate a run for several values of one parameter
help-sweep-vary = What varies, and its values: consumers, producers or capacity, as in consumers=1..10, capacity=1..100:12 (12 points) or capacity=1,2,4; or the mean of consumer-delay or producer-delay, as in consumer-delay=100ms..950ms:10
help-sweep-items = Number of items of each run
help-sweep-producer-delay = Delay of a producer after each item, as in `qdemo run`
help-sweep-consumer-delay = Delay of a consumer after each item
help-sweep-seed = Seed of the first run of each point; the next run has the next seed [default: random, and printed]
help-sweep-producers = Number of producers
help-sweep-consumers = Number of consumers
help-sweep-replications = Number of runs of each point
help-sweep-warmup = Leave the first N items of each run out [default: a tenth of the items]
help-sweep-format = Format of the results: a table, a JSON object, or CSV
help-sweep-plot = Draw the results, with the line of theory, to this .svg or .html file
help-sweep-metric = What --plot shows
help-sweep-progress = Show a progress bar: auto (on a terminal), always, never
help-sweep-detail =
    The runs are those of `qdemo run --simulate`, on all cores. The averages come with 95 % confidence intervals, and with the values of queueing theory where there are any.
    Every point has runs with the same seeds, so points differ by the parameter and hardly by chance (common random numbers). `qdemo run --simulate` with a point's values and a run's seed repeats that run.
    With --replications 1 the intervals come from batch means within the run.
    The number of cores does not change the results.

help-bench = Measure how fast queues are on this machine
help-bench-size = Size of the items; repeat for more sizes [default: 16 256 4KiB 64KiB 1MiB]
help-bench-workers = Number of producers x consumers; repeat for more [default: 1x1 4x4]
help-bench-against = Peer to compare with: python (multiprocessing.Queue), if python3 is installed
help-bench-rounds = Number of measurements of each case [default: 5, or fewer on a slow machine]
help-bench-format = Format of the results: a table, or a JSON object
help-bench-plot = Draw a bar chart of the results to this .svg file
help-bench-detail =
    The bench takes less than 20 seconds with the default sizes, workers and rounds.
    Exit code 1: no measurement was possible.

help-learn = Learn how queues behave: lessons with questions and real runs
help-learn-lesson = Number of the lesson; without it, the list of lessons
help-learn-print = Print the lesson, or all lessons, without asking (Markdown)
help-learn-python = Run the programs in Python too, if python3 is installed
help-learn-detail =
    A lesson shows a program in Python and the same with qdemo, asks what will happen, runs the commands, and explains. With --print, and where standard input or output is not a terminal, the lesson has its answers and asks nothing.
    The list marks the lessons that you have completed. The marks are in $XDG_STATE_HOME/qdemo/lessons, by default ~/.local/state/qdemo/lessons.

help-producer = Put items into a queue; the last producer to leave ends it
help-producer-lang = Language: ja or en [default: QDEMO_LANG, or the locale; ja for the log lines]
help-producer-items = Put this many generated items: アイテム0, アイテム1, …
help-producer-delay = Delay after each item: 1s, exp:1s (random, with this mean), uniform:500ms..1.5s, erlang:PHASES,MEAN, hyper:P,MEAN,MEAN (the first mean with probability P), normal:MEAN,SD, lognormal:MEAN,SD, or file:FILE (one delay a line, in order)
help-producer-quiet = Print no log, and no notice on a long wait or on items that nobody gets
help-producer-keep-open = Leave without ending the queue
help-producer-null = Items on standard input end with NUL, not with a newline
help-producer-server-timeout = Give up when the server has been away for this time [default: never]
help-producer-detail = Exit code 1: an item is not valid. Exit code 4: the queue is closed.

help-consumer = Get items from a queue until it ends
help-consumer-lang = Language: ja or en [default: QDEMO_LANG, or the locale; ja for the log lines]
help-consumer-delay = Delay after each item, before the item is done; with a COMMAND, after it is done
help-consumer-fast = An item is done when it is written to a pipe, read or not; take many items ahead
help-consumer-max = Leave after this many items
help-consumer-follow = Stay when the queue ends, and wait for new items
help-consumer-lease = Requeue an item that is not done after this time, even if its consumer lives; while a COMMAND runs, its lease is renewed
help-consumer-max-attempts = Move an item to the failed items after this many delivery failures (its consumer died, or its lease ran out); 0 for never
help-consumer-format = Format of the output [default: log; with a COMMAND, the output of the command]
help-consumer-quiet = Print no log, and no notice on a long wait; with a COMMAND, no progress and no summary. Failed items are still named
help-consumer-server-timeout = Give up when the server has been away for this time [default: never]
help-consumer-jobs = Run up to this many commands at a time: 4, 50% of the usable cores, or auto for all of them; at most 1000
help-consumer-retries = Run a command that fails up to this many more times
help-consumer-backoff = Delay before the first retry; it doubles up to MAX (5m). A random part shortens each delay, at most by half; `1s,jitter=0%`: no random part
help-consumer-timeout-each = End a command after this time with SIGTERM, 5 s later with SIGKILL: it has failed
help-consumer-halt = Stop at the first failed item, or as in `soon,fail=10%`; `now` ends the other commands and requeues their items, `soon` lets them finish
help-consumer-tty = Give each command the terminal, for a password prompt or an editor
help-consumer-dry-run = Print the commands of the ready items, and run none: every item stays in the queue
help-consumer-live = Print each line of a command at once; without --live, the whole output when the command has ended
help-consumer-tag = Begin each line of the output with the item and a tab
help-consumer-keep-order = Print the output in the order of the items, however long each command takes
help-consumer-results = Save the output and a record of each command in the folder DIR/ID of its item
help-consumer-command = The command to run for each item, with its arguments
help-consumer-detail =
    The consumer runs COMMAND once for each item. In the arguments, {"{}"} stands for the item, {"{/}"} for its basename, {"{//}"} for its directory, {"{.}"} for the item without its extension, {"{/.}"} for its basename without the extension, {"{#}"} for the id of the item, and {"{%}"} for the slot of the command: the smallest number, from 1 on, that no other running command of this consumer has. They mean what they mean in GNU parallel, except for {"{#}"}, which is not a running number of this command. If no argument is made of the item, the item is on standard input. The consumer sets QDEMO_ITEM, QDEMO_ID, QDEMO_ATTEMPT, QDEMO_SLOT and QDEMO_QUEUE for COMMAND, and QDEMO_SERVER for a queue on a server.
    Exit code 1: items have failed. Exit code 126: COMMAND cannot be executed. Exit code 127: there is no such COMMAND.

    Without a COMMAND, an item is done as soon as the item is printed. On Linux, if standard output is a pipe, an item is done when the reader has read the item, and the consumer takes few items ahead of a slow reader.

help-put = Put items into a queue
help-put-items = Items to put, or - for the lines of standard input
help-put-timeout = Wait at most this long for room, or for a reply
help-put-no-wait = Do not wait for room
help-put-quiet = Print no notice on a long wait
help-put-null = Items on standard input end with NUL, not with a newline
help-put-detail =
    With -, the timeout starts anew for each line.
    Exit code 3: no room within the timeout. Exit code 4: the queue is closed.

help-get = Get items from a queue and print them
help-get-format = Format of the output: bare items, or JSON objects with id, item and attempt
help-get-quiet = Print no message when the queue is empty or has ended, and no notice on a long wait
help-get-detail =
    An item is done as soon as the item is printed.
    Exit code 3: no item within the timeout. Exit code 4: the queue has ended.

help-peek = Show the first ready items; they stay in the queue
help-peek-format = Format of the output: bare items, or JSON objects with id, item and attempt
help-peek-detail =
    An item is ready until a consumer takes the item.
    Exit code 1: the queue does not exist. Exit code 3: no item is ready.

help-join = Wait until all items are done
help-join-timeout = Wait at most this long until all items are done
help-join-quiet = Print no notice on a long wait
help-join-detail =
    An item that `qdemo get` has printed is done.
    Exit code 1: items have failed, or the queue does not exist.
    Exit code 3: items are not done within the timeout.

help-close = Close a queue: it takes no more, and ends after its last item
help-close-now = Drop the ready items, which no consumer has taken
help-close-detail =
    The sentinel, the end mark after the last item, stops every consumer that has already started.
    Exit code 0: the queue is closed, even if it was closed before. Exit code 1: the queue does not exist.

help-status = Show the items and clients of queues
help-status-queue = Name of the queue [default: QDEMO_QUEUE, or all queues]
help-status-format = Format of the output: lines, or a JSON object for each queue
help-status-watch = Refresh the output until Ctrl-C
help-status-every = Time between two refreshes, with --watch
help-status-progress = With --watch, show a live view: auto (on a terminal), always, never
help-status-server-timeout = Give up when the server has been away for this time [default: 30s; --watch waits for ever]
help-status-detail =
    Ready items wait for a consumer. Items in flight are with a consumer. Queues that have ended come last.
    A closed queue takes no more items, and ends after its last item. An ending queue has no producer any more, and tells its end to the next consumer.
    Exit code 1: the queue does not exist, or a queue is not usable.

help-failed = List failed items and tell why they failed, retry or drop them
help-failed-ids = Ids of the items to retry or drop [default: all]
help-failed-retry = Requeue the items
help-failed-drop = Drop the items
help-failed-format = Format of the list (text has lines with id, attempt, reason and item, and is long on a terminal; long has the time, the reason, and the last lines of standard error)
help-failed-detail =
    Exit code 1: the queue does not exist, or an ID is not the id of a failed item. With such an ID, no item is retried or dropped.

help-rm = Remove a queue, or all queues that have ended
help-rm-force = Remove the queue even if it has items or clients
help-rm-ended = Remove all queues that have ended, except those that have failed items or clients
help-rm-detail =
    A queue has ended when a consumer has taken its sentinel, and nothing has been put since. `qdemo status` lists such queues apart.
    Exit code 1: the queue does not exist, or it has items or clients. With --force, items and clients do not matter. With --ended, exit code 1 says that an ended queue stays, since it has items or clients.

help-completions = Print completions for a shell
help-completions-shell = Print completions for this shell

help-man = Print the manual page of qdemo or of a command
help-man-command = Print the page of this command [default: the page of qdemo itself]

help-help = Explain a command
help-help-command = Explain this command [default: list all commands]
