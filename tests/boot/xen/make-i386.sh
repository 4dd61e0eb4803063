#!/bin/bash
# Builds the program as a static one for i386, and prints its path: what a 32-bit dom0 runs.
#
#   XINITRD_I386=$(tests/boot/xen/make-i386.sh) tests/boot/run.sh xen-build-in-dom0
#
# The compilers are Debian's, unpacked and not installed; cargo is the machine's own. There is no
# standard library for i386 to fetch, so cargo makes it (-Zbuild-std). Takes some minutes at first.
set -eu

top=$(cd "$(dirname "$0")/../../.." && pwd)
cache=${XINITRD_CACHE:-$top/.cache}
tools=$("$top/testdata/fetch.sh" rust-i686)
target=i686-unknown-linux-gnu

cd "$top"
LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu \
    RUSTC=$tools/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS='-C target-feature=+crt-static' \
    CARGO_TARGET_DIR=$cache/i386-target \
    CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=$tools/usr/bin/i686-linux-gnu-gcc \
    CC_i686_unknown_linux_gnu=$tools/usr/bin/i686-linux-gnu-gcc \
    AR_i686_unknown_linux_gnu=$tools/usr/bin/i686-linux-gnu-ar \
    cargo build --release --locked --quiet -Zbuild-std=std,panic_abort --target "$target" >&2
printf '%s\n' "$cache/i386-target/$target/release/xinitrd"
