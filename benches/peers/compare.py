#!/usr/bin/env python3
"""Passes the same items through qdemo and through its peers, and compares qdemo with its bars.

Each round measures every peer once, one after another, so that other load on the machine affects all peers. The median
of the rounds counts. Rates are items per second of whole processes, on all cores of the machine. A peer that is not
installed is skipped and reported.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys

import bars
import peers

ITEMS = {
    "multiprocessing.Queue": (peers.mp_queue, 100_000),
    "multiprocessing.SimpleQueue": (peers.simple_queue, 100_000),
    "faster-fifo": (peers.faster_fifo, 100_000),
    "redis list, pipelined": (peers.redis_list, 100_000),
    "redis stream, pipelined": (peers.redis_stream, 100_000),
    "beanstalkd, pipelined": (peers.beanstalkd, 50_000),
    "bare two-hop pipe relay": (peers.pipe_relay, 10_000_000),
    "qdemo run": (peers.qdemo_run, 10_000_000),
    "qdemo producer | consumer, journal": (peers.qdemo_journal, 10_000_000),
    "qdemo put -": (peers.qdemo_put, 1_000_000),
    "qdemo get": (peers.qdemo_get, 1_000_000),
}
COMMANDS = {
    "xargs -P2 -n1 true": (peers.commands(["xargs", "-P2", "-n1", "true"]), 2_000),
    "parallel -j2 true": (peers.commands(["parallel", "-j2", "true"]), 400),
    "qdemo consumer -j 2 -- true": (peers.qdemo_commands(["true"]), 2_000),
    "qdemo consumer -j 2 -- true {}": (peers.qdemo_commands(["true", "{}"]), 2_000),
}


def measure(all_peers, rounds, scale):
    """The items per second of each peer in each round. A peer that cannot run is left out and reported."""
    rates = {name: [] for name in all_peers}
    for _ in range(rounds):
        for name, (run, items) in all_peers.items():
            if name not in rates:
                continue
            items = max(1, int(items * scale))
            try:
                rates[name].append(items / run(items))
            except (OSError, ImportError, AssertionError, subprocess.CalledProcessError) as error:
                if name.startswith("qdemo"):
                    raise
                del rates[name]
                print(f"skipped: {name}: {error}", file=sys.stderr)
    return rates


def show(rates, base):
    ruler = statistics.median(rates[base]) if rates.get(base) else None
    for name, values in rates.items():
        middle = statistics.median(values)
        ratio = f"{middle / ruler:8.2f} ×" if ruler else ""
        spread = f"{min(values):,.0f} … {max(values):,.0f}"
        print(f"{name:36} {middle:14,.0f}/s {ratio}  ({spread})", flush=True)


def show_bars(some_bars):
    for bar in some_bars:
        print(bar.row(), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the numbers of items")
    parser.add_argument("--only", choices=["commands"], help="measure only the commands for items")
    parser.add_argument("--before", metavar="PROGRAM", help="an earlier qdemo, to compare paced runs with")
    options = parser.parse_args()
    if shutil.which("qdemo") is None:
        sys.exit("there is no qdemo in the PATH: `make bench-peers` builds it")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Other load takes more from few processes than from many, so it changes ratios too.
    load = os.getloadavg()[0]
    print(f"{cores} cores, load {load:.1f} before the start, medians of {options.rounds} rounds (least … most)")
    if load > cores / 4:
        print("the machine is busy: do not trust these figures", file=sys.stderr)
    print("× is against the first")
    if options.only != "commands":
        print("\none producer, one consumer", flush=True)
        items = measure(ITEMS, options.rounds, options.scale)
        show(items, "multiprocessing.Queue")
    print("\na command for each item, two at a time", flush=True)
    commands = measure(COMMANDS, options.rounds, options.scale)
    show(commands, "xargs -P2 -n1 true")
    print("\n| measure | bar | aim | measured | reached |\n| --- | --- | --- | --- | --- |", flush=True)
    if options.only != "commands":
        # The trials of `qdemo bench` are short, and need more rounds.
        show_bars(bars.bars_of_bench(2 * options.rounds))
        show_bars(bars.bars_of_processes(items, options.rounds, options.before))
        show_bars(bars.other_bars(items, options.rounds))
    show_bars(bars.bars_of_commands(commands))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
