# The lines of run --format trace, and their columns.
trace-parent = parent

trace-put = added { $item }
trace-got = got { $item }
trace-done = done with { $item }
trace-requeued = { $item } is ready again
trace-waits-for-room = waits for room
trace-waits-for-item = waits for an item
trace-died = died
trace-restarted = restarted
trace-left = finished
trace-sentinel-put = added the sentinel
trace-sentinel-taken = got the sentinel
trace-cleared = dropped the items in the queue
trace-finished = all processes have finished

trace-note = { $text } ({ $note })
trace-two-notes = { $text } ({ $first }, { $second })
trace-waited-for-room = waited { $time }
trace-waited-for-item = waited { $time }
trace-attempt = attempt { $attempt }
trace-signal = signal { $signal }
trace-exit-code = exit code { $code }

trace-depth = depth { $depth }
