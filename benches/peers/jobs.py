#!/usr/bin/env python3
"""Trivial jobs through RQ or Celery: `jobs.py PEER SOCKET JOBS` enqueues them one by one, works them off with one worker,
and prints the jobs per second of both together. SOCKET is a Redis server's."""

import os
import sys
import time


def job():
    pass


def rq(socket, jobs):
    import jobs as module
    from redis import Redis
    from rq import Queue, SimpleWorker

    connection = Redis(unix_socket_path=socket)
    queue = Queue(connection=connection)
    begin = time.perf_counter()
    for _ in range(jobs):
        queue.enqueue(module.job, result_ttl=0)
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
    seconds = time.perf_counter() - begin
    assert queue.count == 0, "jobs are left"
    return seconds


def celery(socket, jobs):
    from celery import Celery

    app = Celery(broker=f"redis+socket://{socket}")
    app.conf.task_ignore_result = True
    times = []

    @app.task
    def work():
        times.append(time.perf_counter())
        if len(times) == jobs:
            app.control.shutdown()

    begin = time.perf_counter()
    for _ in range(jobs):
        work.delay()
    seconds = time.perf_counter() - begin
    # Celery takes a second to start, which does not count.
    arguments = ["worker", "--pool=solo", "--concurrency=1", "--loglevel=ERROR"]
    arguments += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    try:
        app.worker_main(arguments)
    except SystemExit:
        pass
    assert len(times) == jobs, "jobs are left"
    return seconds + times[-1] - times[0]


def main():
    peer, socket, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # What a worker prints is not the result.
    results = os.dup(1)
    os.dup2(2, 1)
    seconds = {"rq": rq, "celery": celery}[peer](socket, jobs)
    os.write(results, f"{jobs / seconds}\n".encode())


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main()
