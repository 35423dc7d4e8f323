#!/usr/bin/env python3
"""Checks that a file is a program for macOS on Apple silicon, which is signed and loads only what each macOS has.

mach_o.py FILE
"""

import struct
import sys
from pathlib import Path

MAGIC, ARM64, EXECUTABLE = 0xFEEDFACF, 0x0100000C, 2
LOAD_DYLIB, CODE_SIGNATURE = 0xC, 0x1D
SYSTEM_FOLDERS = ("/usr/lib/", "/System/Library/Frameworks/")


def main(path: str) -> None:
    data = Path(path).read_bytes()
    magic, processor, _, kind, count, _, _, _ = struct.unpack_from("<8I", data)
    if (magic, processor, kind) != (MAGIC, ARM64, EXECUTABLE):
        sys.exit(f"{path}: not a program for macOS on Apple silicon")
    libraries, is_signed, offset = [], False, 32
    for _ in range(count):
        command, size, name = struct.unpack_from("<3I", data, offset)
        if command == LOAD_DYLIB:
            libraries.append(data[offset + name : offset + size].rstrip(b"\0").decode())
        is_signed |= command == CODE_SIGNATURE
        offset += size
    if not is_signed:
        sys.exit(f"{path}: not signed, and Apple silicon runs no program without a signature")
    for library in libraries:
        if not library.startswith(SYSTEM_FOLDERS):
            sys.exit(f"{path}: loads {library}, which is not part of macOS")


main(sys.argv[1])
