#!/usr/bin/env python3
"""Counts the instructions that keeper, producer and consumer of a run take for an item, by function.

Each runs in callgrind, once with items and once without; the difference is theirs. What the kernel does is
not counted.
"""

import collections
import glob
import os
import re
import subprocess
import tempfile

QDEMO = os.environ.get("CARGO_TARGET_DIR", "target") + "/release/qdemo"
ITEMS = 200_000
SHOWN = 6  # How many functions of each.


def counted(items):
    """Instructions by role and function."""
    with tempfile.TemporaryDirectory() as place:
        command = ["valgrind", "--tool=callgrind", "--trace-children=yes",
                   f"--callgrind-out-file={place}/%p", QDEMO, "run", "--quiet", "--items", str(items),
                   "--producer-delay", "0", "--consumer-delay", "0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        roles = collections.defaultdict(collections.Counter)
        for profile in glob.glob(f"{place}/*"):
            with open(profile, errors="replace") as text:
                command = next((line for line in text if line.startswith("cmd:")), None)
            if command is None:
                continue  # Of a process that was not to be yet.
            role = next((r for r in ("producer", "consumer") if f" {r} " in command), "keeper")
            told = subprocess.run(
                ["callgrind_annotate", "--threshold=100", profile], capture_output=True, text=True
            ).stdout
            for line in told.splitlines():
                found = re.match(r"\s*([\d,]+) \([ \d.]+%\)\s+(\S.*)", line)
                if found and found[2] != "PROGRAM TOTALS":
                    # Without the file before it, and the program or library behind it.
                    function = re.sub(r"^[^ ]*?:(?=[^:])", "", found[2]).rsplit(" [", 1)[0]
                    roles[role][function] += int(found[1].replace(",", ""))
        return roles


def main():
    with_items, without = counted(ITEMS), counted(0)
    print("| instructions an item | of them, by function |\n| --- | --- |")
    for role in ("keeper", "producer", "consumer"):
        counts = with_items[role]
        counts.subtract(without[role])
        parts = ", ".join(f"`{name}` {n / ITEMS:.0f}" for name, n in counts.most_common(SHOWN))
        print(f"| {role}: {counts.total() / ITEMS:.0f} | {parts} |")


if __name__ == "__main__":
    main()
