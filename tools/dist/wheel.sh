#!/bin/sh
# Prints a file of the Python wheel.
#
# wheel.sh metadata VERSION
# wheel.sh tags TAG…
set -eu

metadata() {
    cat << END
Metadata-Version: 2.4
Name: qdemo
Version: $1
Summary: A queue that processes share by name, like multiprocessing.Queue, for the command line
License-Expression: MIT OR Apache-2.0
License-File: LICENSE-APACHE
License-File: LICENSE-MIT
License-File: THIRD-PARTY
Requires-Python: >=3.8
Description-Content-Type: text/markdown

$(cat README.md)
END
}

tags() {
    echo "Wheel-Version: 1.0"
    echo "Generator: qdemo"
    # The wheel has a program for one system, and no Python.
    echo "Root-Is-Purelib: false"
    for tag; do
        echo "Tag: py3-none-$tag"
    done
}

"$@"
