"""The bars that qdemo must reach, and the measurements behind them.

Each value is a ratio of two things that were measured in turns in one round, where that is possible. The median of the
rounds counts.
"""

import statistics
from dataclasses import dataclass, field

import ours

SIZES = {16: "16 B", 256: "256 B", 4 << 10: "4 KiB", 64 << 10: "64 KiB", 1 << 20: "1 MiB"}
# The bar and the aim of items/s against mp.Queue, for each size.
AGAINST_MP_QUEUE = {
    "1x1": {16: (190, None), 256: (30, None), 4 << 10: (1.5, 2), 64 << 10: (1.5, 2), 1 << 20: (1.5, 2)},
    "4x4": {16: (140, None), 256: (20, None), 4 << 10: (1.3, 2), 64 << 10: (1.3, 2), 1 << 20: (1.3, 2)},
}
IDLE = 1_000
# Of a program that is as fast as before, half of the measurements are below 1. This much below is chance.
AS_FAST = 0.95
# Items per second of paced runs before the pipes of each client, at worst.
PACED = 32_000


@dataclass
class Bar:
    """A bar that qdemo must reach: at least `bar`, or at most `bar` if less is better."""

    what: str
    bar: float
    aim: float | None
    # One value for each round. Empty if nothing could be measured.
    values: list = field(default_factory=list)
    unit: str = "×"
    less: bool = False

    def reaches(self, goal):
        value = statistics.median(self.values)
        return value <= goal if self.less else value >= goal

    def verdict(self):
        if not self.values:
            return "not measured"
        if self.aim is not None and self.reaches(self.aim):
            return "aim"
        return "bar" if self.reaches(self.bar) else "**no**"

    def measured(self):
        if not self.values:
            return "–"
        middle = number(statistics.median(self.values))
        least, most = number(min(self.values)), number(max(self.values))
        spread = "" if least == most else f" ({least} … {most})"
        return f"{middle} {self.unit}{spread}"

    def row(self):
        goal = lambda value: f"{'≤ ' if self.less else ''}{number(value)} {self.unit}"
        aim = "" if self.aim is None else goal(self.aim)
        return f"| {self.what} | {goal(self.bar)} | {aim} | {self.measured()} | {self.verdict()} |"


def number(value):
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(pair):
    return pair.replace("x", " × ")


def ratios(rounds, of, to, what):
    """The ratio of two cases of `qdemo bench` in each round that has both. `what` is 0 for the items per second, and 1
    for the hand-over."""
    return [one[of][what] / one[to][what] for one in rounds if of in one and to in one]


def paired(ours_of_rounds, theirs_of_rounds):
    """The ratio in each round. Empty if one of both was not measured."""
    return [mine / other for mine, other in zip(ours_of_rounds or [], theirs_of_rounds or [])]


def bars_of_bench(rounds):
    """The bars of throughput and hand-over, from `qdemo bench`."""
    qdemo = lambda size, pair="1x1": ("qdemo", size, pair, 0)
    relay = lambda size: ("relay", size, "1x1", 0)
    by_size = [ours.bench(SIZES, AGAINST_MP_QUEUE, "--against", "python") for _ in range(rounds)]
    by_workers = [ours.bench([16], ["1x1", "16x16", "100x100"]) for _ in range(rounds)]
    beside_idle = [ours.bench([16], ["1x1"], "--idle", str(IDLE)) for _ in range(rounds)]
    all_bars = []
    for pair, goals in AGAINST_MP_QUEUE.items():
        for size, (bar, aim) in goals.items():
            values = ratios(by_size, qdemo(size, pair), ("python", size, pair, 0), 0)
            what = f"items/s against mp.Queue, {times(pair)}, {SIZES[size]}"
            all_bars.append(Bar(what, bar, aim, values))
    for size in list(SIZES)[1:]:
        values = ratios(by_size, qdemo(size), relay(size), 0)
        what = f"bytes/s against a bare relay with writes of 64 KiB, {SIZES[size]}"
        all_bars.append(Bar(what, 0.5, 0.75, values))
    for size in SIZES:
        values = ratios(by_size, qdemo(size), relay(size), 1)
        what = f"hand-over of one item against a bare relay's, {SIZES[size]}"
        all_bars.append(Bar(what, 1.2, 1.0, values, less=True))
    for pair, bar, aim in [("16x16", 0.9, 1.0), ("100x100", 0.5, 0.8)]:
        values = ratios(by_workers, qdemo(16, pair), qdemo(16), 0)
        all_bars.append(Bar(f"items/s, {times(pair)} against 1 × 1, 16 B", bar, aim, values))
    beside = ("qdemo", 16, "1x1", IDLE)
    what = f"items/s of a pair beside {IDLE:,} idle clients against alone"
    all_bars.append(Bar(what, 0.9, 1.0, ratios(beside_idle, beside, qdemo(16), 0)))
    what = f"hand-over of a pair alone against beside {IDLE:,} idle clients"
    all_bars.append(Bar(what, 0.9, 1.0, ratios(beside_idle, qdemo(16), beside, 1)))
    values = ratios(by_size, qdemo(16), ("python", 16, "1x1", 0), 1)
    all_bars.append(Bar("hand-over of one item against mp.Queue's, 16 B", 1.0, None, values, less=True))
    return all_bars


def bars_of_processes(items, rounds, before):
    """The bars of whole processes."""
    repeat = lambda measure: [measure() for _ in range(rounds)]
    puts, gets = zip(*repeat(ours.one_shots))
    journal = paired(items["qdemo producer | consumer, journal"], items["qdemo run"])
    runs = [seconds * 1e3 for seconds in repeat(ours.small_run)]
    return [
        Bar("items/s, 16 × 16 against 1 × 1, `qdemo run`", 0.9, 1.0, repeat(ours.many_workers)),
        Bar("items/s with the journal against in memory, 22 B", 0.8, 0.95, journal),
        Bar("`qdemo put x`, queue in use, against `true`", 2.0, 1.5, list(puts), less=True),
        Bar("`qdemo get`, queue in use, against `true`", 2.0, 1.5, list(gets), less=True),
        Bar("`qdemo run --items 5`, no delays, whole process", 4, 3, runs, "ms", less=True),
        paced(rounds, before),
    ]


def paced(rounds, before):
    """A paced run. Another program to compare with is measured in turns."""
    if before is None:
        values = [ours.paced() / 1e3 for _ in range(rounds)]
        return Bar("paced, `--speed max`, 1 × 1", PACED / 1e3, None, values, "k items/s")
    values = [ours.paced() / ours.paced(before) for _ in range(rounds)]
    return Bar("items/s, paced, `--speed max`, 1 × 1, against before", AS_FAST, 1.0, values)


def other_bars(items, rounds):
    """The bars of memory, of a deep queue, and of streams."""
    millions = lambda values: [value / 1e6 for value in values]
    bytes_in_memory, bytes_of_items = ours.memory()
    # Beside its items, a keeper may use 16 MiB.
    own = (16 << 20) / bytes_of_items
    in_memory = [bytes_in_memory / bytes_of_items]
    depth = [ours.depth_cost() for _ in range(rounds)]
    logs = millions(ours.log_lines() for _ in range(rounds))
    million = "M items/s"
    return [
        Bar("keeper's memory, 1,000,000 waiting, against their bytes", 2 + own, 1.2 + own, in_memory, less=True),
        Bar("cost per item at 10 M waiting against 1,000 waiting", 1.3, 1.0, depth, less=True),
        Bar("log lines of `run` into a file, no delays", 1, None, logs, million),
        Bar("`seq 1e6 \\| qdemo put -`", 1, None, millions(items["qdemo put -"]), million),
        Bar("`qdemo get --count 1000000`", 1, None, millions(items["qdemo get"]), million),
    ]


def bars_of_commands(commands):
    """The bars of a command for each item."""
    against = lambda peer: paired(commands["qdemo consumer -j 2 -- true"], commands.get(peer))
    return [
        Bar("`consumer -j 2 -- true` against `xargs -P2 -n1 true`", 1.1, None, against("xargs -P2 -n1 true")),
        Bar("`consumer -j 2 -- true` against `parallel -j2 true`", 5, None, against("parallel -j2 true")),
    ]
