# The commands for the items.
exec-not-found = there is no command `{ $command }`: is it in the PATH?
exec-not-executable = `{ $command }` cannot be executed: is it a program, or a script with `#!`, and may it be run?
exec-cannot-run = cannot run a command: take fewer --jobs, or raise the limit (`ulimit -n`, `ulimit -u`)
exec-cannot-keep-output = cannot keep the output of the commands in { $dir }: make room there, or choose another place with TMPDIR
exec-no-terminal = --tty needs a terminal, and there is none: leave --tty out
exec-background = --tty needs the terminal, and this consumer is in the background: start it without &
exec-item-failed = item { $id } has failed: { $reason }
exec-wants-terminal = the command for item { $id } is stopped, since it wants the terminal: start the consumer with --tty
exec-stopped = the command for item { $id } is stopped by signal { $signal }: `kill -CONT -- -{ $group }` lets it go on
exec-halt-failed = { $items ->
    [one] 1 item has failed
   *[other] { $items } items have failed
}
exec-halt-succeeded = { $items ->
    [one] 1 item is done
   *[other] { $items } items are done
}
exec-halt-done = { $items ->
    [one] 1 item has been processed
   *[other] { $items } items have been processed
}
exec-halt-now = { $cause }, and --halt { $rule } ends the other commands: their items go back into the queue
exec-halt-soon = { $cause }, and --halt { $rule } starts no other command: those that run may finish
