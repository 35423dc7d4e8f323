# Finds qdemo for the other examples: the installed one, or else the one of this repository, which is built first.
if ! command -v qdemo >/dev/null; then
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    echo "building qdemo, once" >&2
    cargo build --release --locked --manifest-path "$root/Cargo.toml"
    PATH=$root/target/release:$PATH
fi
