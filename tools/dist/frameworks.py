#!/usr/bin/env python3
"""Writes stubs of Apple's frameworks, against which the program for macOS is linked, and prints their folder.

Only Apple has the frameworks. A linker asks them for their names alone, and the crates that use the frameworks
declare these names. On macOS the program loads the frameworks of the system.
"""

import json
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target/dist-build/frameworks"
# The crate that declares the names of each framework.
FRAMEWORKS = {"Security": "security-framework-sys", "CoreFoundation": "core-foundation-sys"}
DECLARATION = re.compile(r"^\s*pub (?:fn|static) (\w+)", re.MULTILINE)
STUB = """--- !tapi-tbd
tbd-version: 4
targets: [ arm64-macos, x86_64-macos ]
install-name: '/System/Library/Frameworks/{name}.framework/Versions/A/{name}'
exports:
  - targets: [ arm64-macos, x86_64-macos ]
    symbols: [ {symbols} ]
...
"""


def main() -> None:
    cargo = os.environ.get("CARGO", "cargo")
    metadata = json.loads(subprocess.check_output([cargo, "metadata", "--locked", "--format-version=1"], cwd=ROOT))
    folders = {package["name"]: Path(package["manifest_path"]).parent for package in metadata["packages"]}
    for name, crate in FRAMEWORKS.items():
        files = folders[crate].rglob("*.rs")
        names = {symbol for file in files for symbol in DECLARATION.findall(file.read_text())}
        stub = FOLDER / f"{name}.framework/{name}.tbd"
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(STUB.format(name=name, symbols=", ".join(f"_{symbol}" for symbol in sorted(names))))
    print(FOLDER)


main()
