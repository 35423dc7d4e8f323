#!/bin/sh
# Prints a file of the Debian package.
#
# debian.sh control VERSION ARCHITECTURE KIBIBYTES
# debian.sh changelog VERSION
# debian.sh copyright
set -eu

# The project has no address.
maintainer="the qdemo developers <developers@qdemo.invalid>"

control() {
    cat << END
Package: qdemo
Version: $1
Architecture: $2
Maintainer: $maintainer
Installed-Size: $3
Section: utils
Priority: optional
Description: queue that processes share by name, like Python's multiprocessing.Queue
 One program passes items safely between processes, and shows how. Producers
 put items into a queue that has a name, and consumers get them, in order.
 .
 A command can run for each item, with retries, timeouts and a list of failed
 items. The program is static and depends on no other package.
END
}

changelog() {
    cat << END
qdemo ($1) unstable; urgency=low

  * Built from the source; changelog.gz tells what has changed.

 -- $maintainer  $(date --utc --rfc-email --date="@${SOURCE_DATE_EPOCH:?}")
END
}

copyright() {
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
}

"$@"
