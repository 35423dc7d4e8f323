#!/bin/sh
# Installs the program $QDEMO with its manual pages and completions under the folder ROOT, or removes exactly these files.
# Usage: install.sh [--remove] ROOT PAGE...
set -eu

if [ "$1" = --remove ]; then
    remove=yes
    shift
else
    remove=
fi
root=$1
shift

# Installs standard input as the file $1.
install_file() {
    mkdir -p "$root/${1%/*}"
    cat > "$root/$1.new"
    mv -f "$root/$1.new" "$root/$1"
}

# Installs the output of qdemo as the file $1.
install_output() {
    file=$1
    shift
    # A pipe would hide a failure of qdemo.
    text=$("$QDEMO" "$@" && echo .)
    printf '%s' "${text%.}" | install_file "$file"
}

if [ "$remove" ]; then
    rm -f "$root/bin/qdemo" "$root/share/bash-completion/completions/qdemo" "$root/share/zsh/site-functions/_qdemo" \
        "$root/share/fish/vendor_completions.d/qdemo.fish"
    for page; do
        rm -f "$root/share/man/man1/$page.1" "$root/share/man/ja/man1/$page.1"
    done
    echo "removed qdemo from $root"
    exit
fi

# The new file replaces the old one: a process may run the old program.
mkdir -p "$root/bin"
cp "$QDEMO" "$root/bin/qdemo.new"
chmod 755 "$root/bin/qdemo.new"
mv -f "$root/bin/qdemo.new" "$root/bin/qdemo"
for page; do
    command=${page#qdemo}
    command=${command#-}
    # The page of qdemo itself is that of no command.
    install_output "share/man/man1/$page.1" man --lang en ${command:+"$command"}
    install_output "share/man/ja/man1/$page.1" man --lang ja ${command:+"$command"}
done
install_output share/bash-completion/completions/qdemo completions bash
install_output share/zsh/site-functions/_qdemo completions zsh
install_output share/fish/vendor_completions.d/qdemo.fish completions fish
echo "installed qdemo in $root: bin/qdemo, its manual pages, and completions for bash, zsh and fish"
case :$PATH: in
*":$root/bin:"*) ;;
*) echo "$root/bin is not in PATH: add it, as in  export PATH=\"$root/bin:\$PATH\"" ;;
esac
