#!/usr/bin/env python3
"""Prints the licences of the crates that are in the program for a target, and those of the C library.

third_party.py TARGET
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", re.IGNORECASE)
# The licences of what zig links: the C library and its start-up code.
ZIG_FILES = ["lib/libc/musl/COPYRIGHT", "LICENSE"]


def crates(target: str) -> list[dict]:
    """The crates that are linked into the program, without macros and what only the build needs."""
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        crate = waiting.pop()
        is_macro = any("proc-macro" in kind for kind in packages[crate]["targets"][0]["kind"])
        if crate in found or is_macro:
            continue
        found.add(crate)
        for dependency in nodes[crate]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    found.remove(metadata["resolve"]["root"])
    return sorted((packages[crate] for crate in found), key=lambda crate: crate["name"])


def licence_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and LICENCE_FILE.match(file.name))


def main(target: str) -> None:
    print("qdemo contains these crates:\n")
    # Texts that differ only in white space are one.
    texts: dict[str, tuple[str, list[str]]] = {}

    def add(file: Path, name: str) -> None:
        text = file.read_text(errors="replace").strip()
        _, names = texts.setdefault(" ".join(text.split()), (text, []))
        if name not in names:
            names.append(name)

    for crate in crates(target):
        name = f"{crate['name']} {crate['version']}"
        print(f"  {name} ({crate['license']})")
        for file in licence_files(Path(crate["manifest_path"]).parent):
            add(file, name)
    print("\nIt also contains the standard library of Rust (MIT or Apache-2.0).")
    if "linux" in target:
        print("It also contains the C library musl.")
        zig = next((ROOT / "target/tools/zig").glob("lib/*/site-packages/ziglang"))
        for file in ZIG_FILES:
            add(zig / file, "musl, zig")
    for text, names in texts.values():
        print(f"\n{'-' * 80}\n{', '.join(names)}\n{'-' * 80}\n\n{text}")


main(sys.argv[1])
