#!/usr/bin/env python3
"""Simulates the same M/M/1 queue with `qdemo run --simulate`, SimPy and Ciw, and compares qdemo with its bars.

Each round measures everything once, one after another, so that other load on the machine affects all. The median of the
rounds counts. Times are CPU seconds, as each simulation runs on one core; only that of a sweep, which uses all cores, is by
the clock. The time of qdemo is that of the whole process, with its statistics; the times of SimPy and Ciw are those of the
simulation alone, without the start of Python.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

MODELS = os.path.join(os.path.dirname(__file__), "models.py")
# The mean waiting time of M/M/1 is ρ / (μ − λ).
THEORY = 0.5 / (2.0 - 1.0)
MANY_ITEMS = 10_000_000
SWEEP = ["--consumer-delay", "exp:500ms", "--vary", "consumer-delay=100ms..950ms:10", "--items", "100000"]
# One run at each point, and five, which is the default.
REPLICATIONS = [1, 5]


def child(command):
    """Runs a command. Returns its standard output and error, its CPU seconds, its seconds, and its peak memory in MiB."""
    with tempfile.TemporaryFile("w+") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}: {text}")
    return text, usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024


def python_model(name, items):
    """The mean waiting time, the CPU seconds and the peak memory of an M/M/1 in Python."""
    text, _, _, memory = child([sys.executable, MODELS, name, str(items)])
    mean, seconds = map(float, text.split())
    return mean, seconds, memory


def qdemo(qdemo_seed, items, pairs=1):
    """The same of `pairs` producers and consumers that share a queue."""
    command = ["qdemo", "run", "--simulate", "--quiet", "--stats=json", f"--items={items}", f"--seed={qdemo_seed}"]
    command += [f"--producers={pairs}", f"--consumers={pairs}"]
    command += ["--producer-delay=exp:1s", "--consumer-delay=exp:500ms"]
    text, seconds, _, memory = child(command)
    return json.loads(text)["wait_s"]["mean"], seconds, memory


def measure(rounds, items, scale):
    """The results of each subject in each round."""
    many = int(MANY_ITEMS * scale)
    subjects = {
        "SimPy": (items, lambda seed: python_model("simpy", items)),
        "Ciw": (items, lambda seed: python_model("ciw", items)),
        "qdemo": (items, lambda seed: qdemo(seed, items)),
        "qdemo, 1 × 1": (5 * items, lambda seed: qdemo(seed, 5 * items)),
        "qdemo, 1,000 × 1,000": (5 * items, lambda seed: qdemo(seed, 5 * items, 1000)),
        f"qdemo, {many:,} items": (many, lambda seed: qdemo(seed, many)),
    }
    results = {name: [] for name in subjects}
    sweeps = {replications: [] for replications in REPLICATIONS}
    for seed in range(1, rounds + 1):
        for name, (_, run) in subjects.items():
            results[name].append(run(seed))
        for replications, seconds in sweeps.items():
            seconds.append(child(["qdemo", "sweep", *SWEEP, f"--replications={replications}"])[2])
    return {name: (count, results[name]) for name, (count, _) in subjects.items()}, sweeps


def ratios(results, numerator, denominator):
    """The ratio of the costs of an item in each round."""
    (count, of), (other_count, to) = results[numerator], results[denominator]
    return [(a[1] / count) / (b[1] / other_count) for a, b in zip(of, to)]


def spread(values, form="{:.3g}"):
    low, middle, high = (form.format(f(values)) for f in (min, statistics.median, max))
    return f"{middle} ({low} … {high})"


def show(results):
    print("| | items | µs an item | mean wait | peak memory |\n| --- | ---: | ---: | ---: | ---: |")
    for name, (count, of) in results.items():
        cost = spread([1e6 * seconds / count for _, seconds, _ in of])
        # 1,000 producers and consumers share one queue: that is no M/M/1.
        wait = "" if "1,000 × 1,000" in name else f"{statistics.median(mean for mean, _, _ in of):.4f} s"
        print(f"| {name} | {count:,} | {cost} | {wait} | {max(memory for _, _, memory in of):.0f} MiB |")
    print(f"\nTheory: a mean wait of {THEORY:.4f} s.\n")


def show_bars(results, sweeps):
    print("| measure | bar | measured | reached |\n| --- | --- | --- | --- |")
    bars = [
        ("a simulated item, SimPy against qdemo", "10 ×", ratios(results, "SimPy", "qdemo"), lambda x: x >= 10),
        ("a simulated item, Ciw against qdemo", "20 ×", ratios(results, "Ciw", "qdemo"), lambda x: x >= 20),
        (
            "an item of 1,000 × 1,000 against one of 1 × 1",
            "≤ 2 ×",
            ratios(results, "qdemo, 1,000 × 1,000", "qdemo, 1 × 1"),
            lambda x: x <= 2,
        ),
    ]
    for name, bar, values, holds in bars:
        reached = "yes" if holds(statistics.median(values)) else "**no**"
        print(f"| {name} | {bar} | {spread(values)} × | {reached} |")
    for replications, seconds in sweeps.items():
        reached = "yes" if statistics.median(seconds) <= 2 else "**no**"
        name = f"`qdemo sweep`, ten points of {replications} × 100,000 items"
        print(f"| {name} | ≤ 2 s | {spread(seconds)} s | {reached} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--scale", type=float, default=1.0, help="of the 10 million items")
    arguments = parser.parse_args()
    results, sweeps = measure(arguments.rounds, arguments.items, arguments.scale)
    print(f"{datetime.date.today()}, {os.cpu_count()} cores ({platform.system()} {platform.release()}), ", end="")
    print(f"{arguments.rounds} rounds; CPU time; median (least … most)\n")
    show(results)
    show_bars(results, sweeps)


if __name__ == "__main__":
    main()
