#!/bin/sh
# Prints Debian's copyright file for the program. The texts of Apache-2.0 are on every Debian.
set -eu
cat << END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: qdemo
Comment: The program contains other crates and the C library musl. Their licences are in
 /usr/share/doc/qdemo/THIRD-PARTY.gz.

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE-MIT)
License: MIT or Apache-2.0

License: MIT
$(sed '1,/^Permission/{/^Permission/!d}; s/^$/./; s/^/ /' LICENSE-MIT)

License: Apache-2.0
 On Debian the text of this licence is in /usr/share/common-licenses/Apache-2.0.
END
