#!/usr/bin/env bash
# Tries the packages in target/dist, on Debian as root: installs each in a place of its own, uses the program there, removes
# the package, and compares the files of the place before and after. The places are in target/dist-test.
#
#   musl     the static program in a folder that has nothing else
#   aarch64  the same with the program for 64-bit ARM, in an emulator
#   darwin   the header of the program for macOS; nothing runs it
#   wheel    in a new Python environment
#   deb      in a new Debian
#
# tools/dist/test.sh [PART…]
set -euo pipefail
# Without this, a failure inside $(…) goes unnoticed.
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."

fail() {
    echo "$0: $1" >&2
    exit 1
}

parts=("$@")
[ $# -gt 0 ] || parts=(musl aarch64 wheel deb)
[ "$(id -u)" = 0 ] || fail "only root can change the root folder of a process: run it as root"
for tool in unshare chroot readelf python3 debootstrap dpkg; do
    command -v "$tool" > /dev/null || fail "$tool is missing: apt-get install util-linux binutils python3 debootstrap"
done
# All mounts and processes of the tests end with this script.
[ "${QDEMO_TEST_DIST-}" ] || QDEMO_TEST_DIST=1 exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "${parts[@]}"

out=$PWD/target/dist
places=$PWD/target/dist-test
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
export LC_ALL=C.UTF-8 HOME=/tmp/home
mkdir -p "$places"

# Prints the path of the package with the name $1, which has a pattern.
package() {
    local found
    found=$(compgen -G "$out/$1" | head -n 1) || fail "$out/$1 is missing: make dist makes it"
    echo "$found"
}

# `same WHAT EXPECTED ACTUAL`
same() {
    [ "$2" = "$3" ] || fail "$1 is not as it should be:
$(diff <(echo "$2") <(echo "$3"))"
}

# Uses the program as a person would. The arguments start it. `$inner` is the program, as its own processes find it.
use() {
    same "the version" "qdemo $version" "$("$@" --version | cut -d ' ' -f 1,2)"
    same "a run" "生産者: アイテム0 を追加しました
消費者: アイテム0 を取得しました
すべてのプロセスが終了しました" "$("$@" run --items 1 --speed max --lang ja)"
    same "the English help" "$(expected_help en)" "$("$@" put --help --lang en | head -n 1)"
    same "the Japanese help" "$(expected_help ja)" "$("$@" put --help --lang ja | head -n 1)"
    same "what put prints" "" "$("$@" put -q try 1 2 '{"a":3}')"
    same "an item" 1 "$("$@" get -q try)"
    same "what close prints" "" "$("$@" close -q try)"
    same "the output of commands" "$("$@" --version; "$@" --version)" \
        "$("$@" consumer -q try --quiet -- "$inner" --version)"
    "$@" rm -q try > /dev/null
    same "what is left of the queues" "" "$("$@" status)"
    wait_for_processes
}

# The first line of the help of put, in the language $1.
expected_help() {
    sed -n 's/^help-put = //p' "src/catalogue/$1/help.ftl"
}

# Waits until no keeper runs. Only the processes of this script are in its /proc.
wait_for_processes() {
    local process
    for process in /proc/[0-9]*; do
        if tr '\0' ' ' < "$process/cmdline" 2> /dev/null | grep -q 'qdemo keeper'; then
            timeout 10 tail --follow /dev/null --pid="${process#/proc/}" || fail "a keeper does not end"
        fi
    done
}

# All files under $1 but those of the kernel.
files() {
    (cd "$1" && find . -path ./proc -prune -o -path ./dev -prune -o -print | sort)
}

# A folder with the program of the archive $1 and what each system has of the kernel: /proc and /dev/null. Sets `root`.
bare_root() {
    root=$places/$1
    rm -rf "$root"
    mkdir -p "$root/proc" "$root/tmp" "$root/dev"
    mknod -m 666 "$root/dev/null" c 1 3
    tar --extract --file "$(package "qdemo-$version-$1.tar.gz")" --directory "$root" --strip-components=2 --wildcards '*/bin/qdemo'
    mount -t proc proc "$root/proc"
    inner=/qdemo
}

static_program() {
    local header
    header=$(readelf --file-header --program-headers --wide "$1")
    grep -q "Machine: *$2" <<< "$header" || fail "$1 is not for $2"
    if grep -q INTERP <<< "$header"; then fail "$1 is not static"; fi
}

try_musl() {
    bare_root x86_64-unknown-linux-musl
    static_program "$root/qdemo" "Advanced Micro Devices X86-64"
    use chroot "$root" /qdemo
    umount "$root/proc"
    same "what is left" "$(printf '%s\n' . ./qdemo ./tmp)" "$(files "$root" | grep -v '^./tmp/')"
}

# The program for 64-bit ARM, in the emulator of Debian's package, which is unpacked and not installed.
try_aarch64() {
    local emulator=$places/qemu
    bare_root aarch64-unknown-linux-musl
    static_program "$root/qdemo" AArch64
    if [ ! -x "$emulator/usr/bin/qemu-aarch64-static" ]; then
        mkdir -p "$emulator"
        (cd "$emulator" && apt-get -o APT::Sandbox::User=root download -qq qemu-user-static)
        dpkg -x "$emulator"/*.deb "$emulator"
        rm "$emulator"/*.deb
    fi
    # Linux starts the emulator, and knows of the emulator only in this namespace.
    unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc "$0" emulated
    umount "$root/proc"
}

# The inside of `try_aarch64`.
try_emulated() {
    local registry=/proc/sys/fs/binfmt_misc header
    root=$places/aarch64-unknown-linux-musl
    inner=/qdemo
    mount -t binfmt_misc binfmt_misc "$registry"
    mount -t proc proc "$root/proc"
    # The first 20 bytes of a program for this processor, and a mask. F: the emulator is opened now, outside of the root.
    header='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    echo ":qdemo-test:M::$header:$mask:$places/qemu/usr/bin/qemu-aarch64-static:F" > "$registry/register"
    use chroot "$root" /qdemo
}

try_darwin() {
    local folder=$places/darwin
    rm -rf "$folder"
    mkdir -p "$folder"
    tar --extract --file "$(package "qdemo-$version-*-apple-darwin-untested.tar.gz")" --directory "$folder" --strip-components=1
    tools/dist/mach_o.py "$folder/bin/qdemo"
}

try_wheel() {
    local environment=$places/python before
    rm -rf "$environment"
    python3 -m venv "$environment"
    export PYTHONDONTWRITEBYTECODE=1
    before=$(files "$environment")
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-index --no-compile "$(package "qdemo-$version-*.whl")"
    inner=$environment/bin/qdemo
    use "$inner"
    "$environment/bin/pip" uninstall --quiet --yes qdemo
    same "what is left" "$before" "$(files "$environment")"
}

try_deb() {
    local before manual
    root=$places/debian
    rm -rf "$root"
    debootstrap --variant=minbase bookworm "$root" > "$places/debootstrap.log" 2>&1 ||
        fail "debootstrap made no Debian: see $places/debootstrap.log"
    mount --bind /proc "$root/proc"
    before=$(files "$root")
    cp "$(package "qdemo_$version-*_amd64.deb")" "$root/tmp/qdemo.deb"
    chroot "$root" dpkg --install /tmp/qdemo.deb > /dev/null
    inner=/usr/bin/qdemo
    use chroot "$root" qdemo
    for manual in man1/qdemo-put.1.gz ja/man1/qdemo-put.1.gz; do
        gzip --decompress --stdout "$root/usr/share/man/$manual" | grep -q '^\.TH qdemo-put 1' || fail "$manual is no page"
    done
    same "completions and documents" "$(cat << END
/usr/share/bash-completion/completions/qdemo
/usr/share/doc/qdemo/README.ja.md
/usr/share/doc/qdemo/README.md
/usr/share/doc/qdemo/THIRD-PARTY.gz
/usr/share/doc/qdemo/changelog.Debian.gz
/usr/share/doc/qdemo/changelog.gz
/usr/share/doc/qdemo/copyright
/usr/share/fish/vendor_completions.d/qdemo.fish
/usr/share/zsh/vendor-completions/_qdemo
END
    )" "$(chroot "$root" dpkg --listfiles qdemo | grep -E '(doc|completion).*/.*qdemo(/|\.fish$|$)' | grep -v 'doc/qdemo$' | sort)"
    chroot "$root" dpkg --purge qdemo > /dev/null
    rm -r "$root/tmp/qdemo.deb" "$root/tmp/home"
    # dpkg keeps an older copy of its own list.
    same "what is left" "$before" "$(files "$root")"
    umount "$root/proc"
}

for part in "${parts[@]}"; do
    case $part in
    musl | aarch64 | emulated | darwin | wheel | deb) "try_$part" ;;
    *) fail "unknown part: $part" ;;
    esac
    [ "$part" = emulated ] || echo "$part: as it should be"
done
