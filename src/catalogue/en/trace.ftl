# The lines of run --format trace, and their columns.
trace-parent = parent

trace-put = added { $item }
trace-got = got { $item }
trace-got-again = got { $item } (attempt { $attempt })
trace-done = done with { $item }
trace-requeued = { $item } is ready again
trace-waits-for-room = waits for room
trace-waits-for-item = waits for an item
trace-waited-for-room = { $text } (waited { $time })
trace-waited-for-item = { $text } (waited { $time })
trace-killed = was killed by signal { $signal }
trace-failed = failed with exit code { $code }
trace-died = died
trace-restarted = restarted
trace-left = finished
trace-sentinel-put = added the sentinel
trace-sentinel-taken = got the sentinel
trace-cleared = dropped the ready items
trace-finished = all processes have finished

trace-depth = depth { $depth }
