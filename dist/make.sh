#!/bin/bash
# Builds the program as one static file for each host, and prints the paths.
#
#   dist/make.sh [HOST...]      x86_64, i686, aarch64, s390x; all, where none is named
#
# The compilers are Debian's, unpacked by testdata/fetch.sh and not installed; cargo is the machine's own, and so is
# the C compiler that links what runs while it builds. Of no host but the machine's is there a standard library to
# fetch, so cargo makes it (-Zbuild-std); so that all are alike, x86_64's too. Where the sources and the
# compilers lie is kept out of the programs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/.." && pwd)
built=$top/target/hosts
separator=$'\x1f'

die() {
    printf 'make.sh: %s\n' "$*" >&2
    exit 2
}

# renamed DIRECTORY NAME...: what stands for each in the messages of a program that ends in a panic.
renamed() {
    while [ $# -gt 1 ]; do
        rust_flags+=$separator--remap-path-prefix=$1=$2
        c_flags+=" '-ffile-prefix-map=$1=$2'"
        shift 2
    done
}

# flags: what every compiler is told, in $rust_flags and $c_flags.
flags() {
    local crates
    rust_flags=-Ctarget-feature=+crt-static c_flags=''
    renamed "$top" . "$tools" debian
    for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do renamed "$crates" crates; done
}

# for_host HOST: its C compiler and linker, as cargo and the builders of C code ask for them.
for_host() {
    local target=${1}_unknown_linux_gnu prefix=$tools/usr/bin/$1-linux-gnu
    export "CARGO_TARGET_${target^^}_LINKER=$prefix-gcc" "CC_$target=$prefix-gcc" "AR_$target=$prefix-ar"
    export "CFLAGS_$target=$c_flags"
    # The others have their own headers below their own names.
    [ "$1" != x86_64 ] || export "CFLAGS_$target=$c_flags '--sysroot=$tools'"
    targets+=(--target "$1-unknown-linux-gnu")
}

# static PROGRAM: it asks for no loader and no library.
static() {
    local asks
    asks=$("$tools/usr/bin/x86_64-linux-gnu-readelf" -lW -dW "$1" | grep -E 'INTERP|\(NEEDED\)') || return 0
    die "$1 is not static: $asks"
}

[ $# -gt 0 ] || set -- x86_64 i686 aarch64 s390x
for host; do
    case $host in
    x86_64 | i686 | aarch64 | s390x) ;;
    *) die "no host is called $host; x86_64, i686, aarch64 and s390x are" ;;
    esac
done
[ "$(uname -m)" = x86_64 ] || die "the compilers run on x86_64 alone"
command -v cc >/dev/null || die "cc is missing: apt-get install gcc"
tools=$("$top/testdata/fetch.sh" rust-hosts)
export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu

cd "$top"
cargo fetch --locked --quiet
flags
targets=()
for host; do for_host "$host"; done
# Together: each has stretches that only one core can work at.
RUSTC=$tools/usr/bin/rustc RUSTC_WRAPPER=$here/rustc.sh RUSTC_BOOTSTRAP=1 CC_SHELL_ESCAPED_FLAGS=1 \
    CARGO_ENCODED_RUSTFLAGS=$rust_flags CARGO_TARGET_DIR=$built \
    cargo build --release --locked --quiet --bin xinitrd -Zbuild-std=std,panic_abort "${targets[@]}" >&2
for host; do
    program=$built/$host-unknown-linux-gnu/release/xinitrd
    static "$program"
    printf '%s\n' "$program"
done
