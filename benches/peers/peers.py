#!/usr/bin/env python3
"""qdemo and its peers. Each function passes a number of items and returns its duration in seconds."""

import fcntl
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager

BATCH = 1_000  # Items in a pipelined batch, for peers with pipelining.
WRITE = 64 << 10  # Bytes in a write of the bare relay.
PIPE = 512 << 10  # Bytes in a pipe of the bare relay, as in qdemo's, where the system permits it.


def item(n):
    """An item: 22 bytes as JSON if `n` has three digits."""
    return f"アイテム{n}"


def side_by_side(*works):
    """Runs each work in its own process. Returns the seconds until all processes have ended. A failed process is an error."""
    workers = [multiprocessing.Process(target=work) for work in works]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begin
    assert all(worker.exitcode == 0 for worker in workers), "a process has failed"
    return seconds


# --- peers that pass items from a producer to a consumer -------------------------------------------


def through_processes(make, items):
    """The seconds of a producer and a consumer process on a queue with Python's interface."""
    queue = make()

    def produce():
        for n in range(items):
            queue.put(item(n))
        queue.put(None)

    def consume():
        while queue.get() is not None:
            pass

    return side_by_side(produce, consume)


def mp_queue(items):
    return through_processes(multiprocessing.Queue, items)


def simple_queue(items):
    return through_processes(multiprocessing.SimpleQueue, items)


def faster_fifo(items):
    import faster_fifo as fifo

    class Waits:
        """A queue whose put and get wait, as they do in the other queues."""

        def __init__(self):
            self.queue = fifo.Queue(16 << 20)

        def put(self, value):
            self.queue.put(value, timeout=60)

        def get(self):
            return self.queue.get(timeout=60)

    return through_processes(Waits, items)


def pipe_relay(items):
    """The same bytes through two named pipes, in writes of 64 KiB, with a relay between the pipes."""
    data = "".join(f'"{item(n)}"\n' for n in range(items)).encode()
    with tempfile.TemporaryDirectory() as place:
        first, second = (os.path.join(place, name) for name in ("first", "second"))
        os.mkfifo(first)
        os.mkfifo(second)

        def reader(path):
            pipe = open(path, "rb", buffering=0)
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
            return pipe

        def write_pieces(pipe, view):
            for at in range(0, len(view), WRITE):
                pipe.write(view[at : at + WRITE])

        def write():
            with open(first, "wb", buffering=0) as pipe:
                write_pieces(pipe, memoryview(data))

        def relay():
            buffer = memoryview(bytearray(PIPE))
            with reader(first) as source, open(second, "wb", buffering=0) as sink:
                while size := source.readinto(buffer):
                    write_pieces(sink, buffer[:size])

        def read():
            buffer = bytearray(PIPE)
            with reader(second) as pipe:
                while pipe.readinto(buffer):
                    pass

        return side_by_side(write, relay, read)


@contextmanager
def server(command, port):
    """A server that only this machine can reach, until the block ends."""
    with tempfile.TemporaryDirectory() as place:
        process = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise
            yield
        finally:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def through_redis(items, stream):
    import redis

    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def produce():
        pipe = redis.Redis(port=port).pipeline(transaction=False)
        for n in range(items):
            pipe.xadd("s", {"i": item(n)}) if stream else pipe.rpush("l", item(n))
            if n % BATCH == BATCH - 1:
                pipe.execute()
        pipe.execute()

    def consume():
        client, got, last = redis.Redis(port=port), 0, "0"
        while got < items:
            if stream:
                entries = client.xread({"s": last}, count=BATCH, block=1000)
                if entries:
                    last = entries[0][1][-1][0]
                    got += len(entries[0][1])
            else:
                found = client.blmpop(1, 1, "l", direction="LEFT", count=BATCH)
                got += len(found[1]) if found else 0

    with server(command, port):
        return side_by_side(produce, consume)


def redis_list(items):
    return through_redis(items, stream=False)


def redis_stream(items):
    return through_redis(items, stream=True)


def beanstalkd(items):
    """One request for each item, as the protocol demands. The replies to a batch are read together."""
    port = free_port()

    def produce():
        with socket.create_connection(("127.0.0.1", port)) as peer:
            replies = peer.makefile("rb")
            for first in range(0, items, BATCH):
                bodies = [item(n).encode() for n in range(first, min(items, first + BATCH))]
                peer.sendall(b"".join(b"put 0 0 60 %d\r\n%b\r\n" % (len(b), b) for b in bodies))
                for _ in bodies:
                    replies.readline()

    def consume():
        with socket.create_connection(("127.0.0.1", port)) as peer:
            replies = peer.makefile("rb")
            done = 0
            while done < items:
                batch = min(BATCH, items - done)
                peer.sendall(b"reserve\r\n" * batch)
                numbers = []
                for _ in range(batch):
                    _, number, size = replies.readline().split()
                    replies.read(int(size) + 2)
                    numbers.append(number)
                peer.sendall(b"".join(b"delete %b\r\n" % number for number in numbers))
                for _ in numbers:
                    replies.readline()
                done += batch

    with server(["beanstalkd", "-l", "127.0.0.1", "-p", str(port)], port):
        return side_by_side(produce, consume)


# --- qdemo ------------------------------------------------------------------------------------------


def timed(command, **more):
    begin = time.perf_counter()
    subprocess.run(command, check=True, **more)
    return time.perf_counter() - begin


@contextmanager
def queues():
    """An environment with private queues. At the end, waits for a keeper that still runs."""
    place = tempfile.mkdtemp()
    try:
        yield {**os.environ, "QDEMO_DIR": place}
    finally:
        deadline = time.monotonic() + 10
        while True:
            try:
                shutil.rmtree(place)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise


def qdemo_run(items):
    delays = ["--producer-delay", "0", "--consumer-delay", "0"]
    return timed(["qdemo", "run", "--quiet", "--items", str(items), *delays])


def qdemo_journal(items):
    """A producer and a consumer on a shared queue, which keeps a journal."""
    with queues() as environment:
        begin = time.perf_counter()
        consumer = subprocess.Popen(["qdemo", "consumer", "--quiet"], env=environment)
        subprocess.run(
            ["qdemo", "producer", "--quiet", "--items", str(items)], env=environment, check=True
        )
        assert consumer.wait() == 0
        return time.perf_counter() - begin


def qdemo_put(items):
    """Lines from standard input into a queue without a keeper."""
    with queues() as environment:
        lines = "".join(f"{n}\n" for n in range(items)).encode()
        return timed(["qdemo", "put", "-"], input=lines, env=environment)


def qdemo_get(items):
    """Items out of a queue without a keeper."""
    with queues() as environment:
        lines = "".join(f"{n}\n" for n in range(items)).encode()
        subprocess.run(["qdemo", "put", "-"], input=lines, env=environment, check=True)
        command = ["qdemo", "get", "--count", str(items)]
        return timed(command, env=environment, stdout=subprocess.DEVNULL)


# --- a command for each item ------------------------------------------------------------------------


def commands(command):
    def run(items):
        lines = "".join(f"{n}\n" for n in range(items)).encode()
        return timed(command, input=lines, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return run


def qdemo_commands(command):
    def run(items):
        with queues() as environment:
            lines = "".join(f"{n}\n" for n in range(items)).encode()
            subprocess.run(["qdemo", "put", "-"], input=lines, env=environment, check=True)
            subprocess.run(["qdemo", "close"], env=environment, check=True)
            consumer = ["qdemo", "consumer", "--quiet", "-j", "2", "--", *command]
            return timed(consumer, env=environment, stdout=subprocess.DEVNULL)

    return run
