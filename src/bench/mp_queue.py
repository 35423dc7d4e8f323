"""multiprocessing.Queue, measured as the others: put for some time, or one item at a time."""

import json
import multiprocessing
import signal
import sys
import time

size, producers, consumers, max_puts = map(int, sys.argv[1:5])
seconds, kind = float(sys.argv[5]), sys.argv[6]
one_by_one = kind == "latency"
now = time.monotonic_ns
DIGITS = 14
most = sys.maxsize if one_by_one else max_puts


def tell(told):
    print(json.dumps(told), flush=True)


def produce(queue, go, tokens, results):
    signal.alarm(60)
    go.wait()
    begin = now()
    end = begin + int(seconds * 1e9)
    filler = "0" * (size - 2 - DIGITS)
    item = "0" * DIGITS + filler
    for _ in range(most):
        if now() >= end:
            break
        if one_by_one:
            tokens.acquire()
            item = f"{now() - origin:014d}{filler}"
        queue.put(item)
    results.put({"put": {"begin": begin - origin}})


def consume(queue, go, tokens, results):
    signal.alarm(60)
    go.wait()
    latencies, items, end = [], 0, 0
    if one_by_one:
        tokens.release()
    while (item := queue.get()) is not None:
        end = now() - origin
        items += 1
        if one_by_one:
            latencies.append(end - int(item[:DIGITS]))
            tokens.release()
    results.put({"got": {"end": end, "items": items, "latencies": latencies}})


multiprocessing.set_start_method("fork")
origin = now()
queue, results = multiprocessing.Queue(), multiprocessing.SimpleQueue()
go, tokens = multiprocessing.Event(), multiprocessing.Semaphore(0)
common = (queue, go, tokens, results)
# Daemons go when this process does, and whoever is left behind by its death goes too, at the alarm.


def process(what):
    return multiprocessing.Process(target=what, args=common, daemon=True)


putting = [process(produce) for _ in range(producers)]
getting = [process(consume) for _ in range(consumers)]
signal.alarm(60)
for worker in putting + getting:
    worker.start()
tell("ready")
sys.stdin.read()
go.set()
told = [results.get() for _ in putting]
for worker in putting:
    worker.join()
for _ in getting:
    queue.put(None)
told += [results.get() for _ in getting]
for line in told:
    tell(line)
