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
from dataclasses import dataclass

import ours
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
    "qdemo producer | consumer, journal": (peers.qdemo_journal, 5_000_000),
    "qdemo put -": (peers.qdemo_put, 1_000_000),
    "qdemo get": (peers.qdemo_get, 1_000_000),
}
COMMANDS = {
    "xargs -P2 -n1 true": (peers.commands(["xargs", "-P2", "-n1", "true"]), 2_000),
    "parallel -j2 true": (peers.commands(["parallel", "-j2", "true"]), 200),
    "qdemo consumer -j 2 -- true": (peers.qdemo_commands, 2_000),
}


@dataclass
class Bar:
    """A bar that qdemo must reach: at least `bar`, or at most `bar` if less is better."""

    what: str
    unit: str
    bar: float
    aim: float | None
    value: float | None
    less: bool = False

    def reaches(self, goal):
        return self.value <= goal if self.less else self.value >= goal

    def row(self):
        number = lambda value: "–" if value is None else f"{value:.3g} {self.unit}".rstrip()
        bound = "≤ " if self.less else ""
        if self.value is None:
            verdict = "not measured"
        elif self.aim is not None and self.reaches(self.aim):
            verdict = "aim"
        else:
            verdict = "bar" if self.reaches(self.bar) else "**not reached**"
        aim = "" if self.aim is None else bound + number(self.aim)
        return f"| {self.what} | {bound}{number(self.bar)} | {aim} | {number(self.value)} | {verdict} |"


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


def bars(items, commands, rounds):
    """All bars, with the measured values."""
    repeat = lambda measured: statistics.median(measured() for _ in range(rounds))
    rate = lambda name: statistics.median(items[name])
    pairs = [ours.warm_put_and_get() for _ in range(rounds)]
    puts, gets = (statistics.median(one) * 1e3 for one in zip(*pairs))
    bytes_in_memory, bytes_of_items = ours.memory()
    # Beside its items, a keeper may use 16 MiB.
    own = (16 << 20) / bytes_of_items
    bench = ours.bench(max(rounds, 5))
    hand_over = lambda peer: bench["qdemo"][1] / bench[peer][1] if peer in bench else None
    against = lambda name, peer: rate(name) / rate(peer) if peer in items else None
    xargs = commands.get("xargs -P2 -n1 true")
    beside_xargs = None
    if xargs:
        ours_rate = statistics.median(commands["qdemo consumer -j 2 -- true"])
        beside_xargs = ours_rate / statistics.median(xargs)
    mp, relay = "multiprocessing.Queue", "bare two-hop pipe relay"
    return [
        Bar("items/s, `run --quiet`, in memory, against mp.Queue", "×", 40, 100, against("qdemo run", mp)),
        Bar("bytes/s against a bare two-hop relay of the same bytes", "×", 0.25, 0.5, against("qdemo run", relay)),
        Bar("the same in `qdemo bench`, without starting and leaving", "×", 0.25, 0.5,
            bench["qdemo"][0] / bench["relay"][0]),
        Bar("items/s with the journal, against mp.Queue", "×", 20, 50,
            against("qdemo producer | consumer, journal", mp)),
        Bar("one-item hand-over, median, against mp.Queue's", "×", 1.0, None, hand_over("python"), less=True),
        Bar("the same, against a bare two-hop relay's", "×", 2.0, 2.0, hand_over("relay"), less=True),
        Bar("`seq 1e6 \\| qdemo put -`", "M items/s", 1, None, rate("qdemo put -") / 1e6),
        Bar("`qdemo get --count 1000000`", "M items/s", 1, None, rate("qdemo get") / 1e6),
        Bar("`qdemo run --items 5`, zero delays, whole process", "ms", 15, 5, repeat(ours.small_run) * 1e3, less=True),
        Bar("`qdemo put x` on a warm queue", "ms", 5, 2, puts, less=True),
        Bar("`qdemo get` on a warm queue", "ms", 5, 2, gets, less=True),
        Bar("keeper's memory, all of it, 1,000,000 waiting, against their bytes", "×", 2 + own, 1.2 + own,
            bytes_in_memory / bytes_of_items, less=True),
        Bar("cost per item at 10 M waiting against 1,000 waiting", "×", 1.3, 1.0, repeat(ours.depth_cost), less=True),
        Bar("items/s with 16 × 16 against 1 × 1", "×", 0.5, 0.9, repeat(ours.many_workers)),
        Bar("`consumer -j 2 -- true` against `xargs -P2 -n1 true`", "×", 0.8, 1.0, beside_xargs),
        Bar("log lines of `run` into a file, zero delays", "M items/s", 1, None, repeat(ours.log_lines) / 1e6),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the numbers of items")
    options = parser.parse_args()
    if shutil.which("qdemo") is None:
        sys.exit("there is no qdemo in the PATH: `make bench-peers` builds it")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{cores} cores, medians of {options.rounds} rounds (least … most), × is against the first")
    print("\none producer, one consumer", flush=True)
    items = measure(ITEMS, options.rounds, options.scale)
    show(items, "multiprocessing.Queue")
    print("\na command for each item, two at a time", flush=True)
    commands = measure(COMMANDS, options.rounds, options.scale)
    show(commands, "xargs -P2 -n1 true")
    print("\n| measure | bar | aim | measured | reached |\n| --- | --- | --- | --- | --- |")
    for bar in bars(items, commands, options.rounds):
        print(bar.row())


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
