#!/bin/bash
# Builds the program as one static file for each host, and prints the paths.
#
#   dist/make.sh [HOST...]      x86_64, i686, aarch64, s390x; all, where none is named
#
# The compilers are Debian's, unpacked by testdata/fetch.sh and not installed; cargo is the machine's own. Of no
# host but the machine's is there a standard library to fetch, so cargo makes it (-Zbuild-std); so that all are
# alike, x86_64's too. A host takes two minutes at first, on two cores.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cache=${XINITRD_CACHE:-$top/.cache}

# build HOST: the program, in cargo's own directory.
build() {
    local target=$1-unknown-linux-gnu compiler=$1-linux-gnu-gcc upper
    # The machine's own C compiler is not among those that were fetched.
    [ "$1" != x86_64 ] || compiler=gcc
    upper=${target^^}
    [ "$1" = x86_64 ] || compiler=$tools/usr/bin/$compiler
    command -v "$compiler" >/dev/null || {
        printf 'make.sh: %s is missing: apt-get install gcc\n' "$compiler" >&2
        exit 2
    }
    env LD_LIBRARY_PATH="$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu" \
        RUSTC="$tools/usr/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS='-C target-feature=+crt-static' \
        CARGO_TARGET_DIR="$cache/hosts-target" "CARGO_TARGET_${upper//-/_}_LINKER=$compiler" \
        "CC_${target//-/_}=$compiler" \
        cargo build --release --locked --quiet -Zbuild-std=std,panic_abort --target "$target" >&2
    printf '%s\n' "$cache/hosts-target/$target/release/xinitrd"
}

[ $# -gt 0 ] || set -- x86_64 i686 aarch64 s390x
for host; do
    case $host in
    x86_64 | i686 | aarch64 | s390x) ;;
    *)
        printf 'make.sh: no host is called %s; x86_64, i686, aarch64 and s390x are\n' "$host" >&2
        exit 2
        ;;
    esac
done
tools=$("$top/testdata/fetch.sh" rust-hosts)
cd "$top"
for host; do
    build "$host"
done
