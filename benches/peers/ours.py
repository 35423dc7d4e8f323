"""Measurements of qdemo alone, or against itself. Each function makes one measurement."""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager

from peers import qdemo_run, queues, timed

FREE = ["--producer-delay", "0", "--consumer-delay", "0"]
TIMES = 40  # Repetitions of a short measurement.
MANY = 1_000_000
PACED = 50_000


def lines(items):
    """Lines, each of which is an item of 22 bytes as JSON."""
    return "".join(f"アイテム{n % 10**8:08}\n" for n in range(items)).encode()


@contextmanager
def queue_with_a_keeper():
    """An empty queue whose keeper stays, because a producer waits for its input."""
    with queues() as environment:
        command = ["qdemo", "producer", "--quiet", "-"]
        producer = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
        try:
            while json.loads(status(environment))["producers"] == []:
                pass
            yield environment
        finally:
            producer.kill()
            producer.wait()


def status(environment):
    command = ["qdemo", "status", "-q", "default", "--format", "json"]
    result = subprocess.run(command, env=environment, capture_output=True)
    return result.stdout or b'{"producers": []}'


def spawned(*command, env=os.environ):
    """Seconds of a whole process, started with as little as possible around it. Its standard streams are `/dev/null`."""
    path = shutil.which(command[0])
    streams = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawn(path, command, env, file_actions=streams)
    _, wait_status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - begin
    assert wait_status == 0, f"{command} has failed"
    return seconds


def small_run():
    """Seconds of the smallest run, as a whole process."""
    command = ["qdemo", "run", "--quiet", "--items", "5", *FREE]
    return statistics.median(spawned(*command) for _ in range(TIMES))


def one_shots():
    """The times of a put, and of a get, as multiples of the time of `true`. All are whole processes, in turns."""
    nothings, puts, gets = [], [], []
    with queue_with_a_keeper() as environment:
        for _ in range(TIMES):
            nothings.append(spawned("true"))
            puts.append(spawned("qdemo", "put", "x", env=environment))
            gets.append(spawned("qdemo", "get", env=environment))
    nothing, put_x, get_x = map(statistics.median, (nothings, puts, gets))
    return put_x / nothing, get_x / nothing


def put(items, environment):
    return timed(["qdemo", "put", "-"], input=lines(items), env=environment)


def get(items, environment):
    command = ["qdemo", "get", "--count", str(items)]
    return timed(command, env=environment, stdout=subprocess.DEVNULL)


def keeper_of(environment):
    """The process id of the keeper of the queues in this environment."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as command:
                is_keeper = command.read().startswith(b"qdemo\0keeper")
            with open(f"/proc/{pid}/environ", "rb") as variables:
                if is_keeper and f"QDEMO_DIR={environment['QDEMO_DIR']}".encode() in variables.read():
                    return pid
        except OSError:
            pass
    raise AssertionError("there is no keeper")


def memory():
    """The keeper's bytes in memory when a million items are ready, and the bytes of these items."""
    with queue_with_a_keeper() as environment:
        put(MANY, environment)
        with open(f"/proc/{keeper_of(environment)}/status") as lines_of_status:
            kib = next(int(line.split()[1]) for line in lines_of_status if line.startswith("VmRSS"))
        return kib * 1024, 22 * MANY


def depth_cost():
    """The time of the same puts and gets with 10 million ready items, as a multiple of the time with 1,000."""
    seconds = []
    for waiting in (1_000, 10 * MANY):
        with queue_with_a_keeper() as environment:
            put(waiting, environment)
            seconds.append(put(MANY, environment) + get(MANY, environment))
    return seconds[1] / seconds[0]


def many_workers():
    """The rate of 16 producers and 16 consumers, as a part of the rate of one producer and one consumer."""
    few = qdemo_run(10 * MANY)
    workers = ["--producers", "16", "--consumers", "16"]
    many = timed(["qdemo", "run", "--quiet", "--items", str(10 * MANY), *FREE, *workers])
    return few / many


def paced(program="qdemo"):
    """Items per second of a run with delays that does not wait for the clock."""
    command = [program, "run", "--quiet", "--items", str(PACED), "--speed", "max"]
    return PACED / timed(command)


def log_lines():
    """Items per second when a run writes two log lines for each item to a file."""
    with tempfile.TemporaryFile() as log:
        return MANY / timed(["qdemo", "run", "--items", str(MANY), *FREE], stdout=log)


def bench(sizes, workers, *more):
    """One round of `qdemo bench`: the items per second and the seconds of a hand-over of each case that could be
    measured. The key of a case is what passes the items, the size, producers x consumers, and the idle clients."""
    command = ["qdemo", "bench", "--rounds", "1", "--format", "json", *more]
    command += [part for size in sizes for part in ("--size", str(size))]
    command += [part for pair in workers for part in ("--workers", pair)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    key = lambda case: (
        case["subject"],
        case["size"],
        f"{case['producers']}x{case['consumers']}",
        case.get("idle", 0),
    )
    report = json.loads(result.stdout)
    return {
        key(case): (case["items_per_s"]["median"], case["p50_s"]["median"])
        for case in report["cases"]
    }
