# The log lines of run, producer and consumer.
log-item-name = item
log-producer = producer
log-consumer = consumer
log-worker = { $role } { $index }

log-put = { $worker }: added { $item }
log-delivered = { $worker }: got { $item }
log-delivered-again = { $worker }: got { $item } (attempt { $attempt })
log-requeued = { $worker }: { $item } is ready again (attempt { $attempt } is next)
log-killed = { $worker }: was killed by signal { $signal }
log-failed = { $worker }: failed with exit code { $code }
log-died = { $worker }: died
log-restarted = { $worker }: restarted
log-finished = all processes have finished
