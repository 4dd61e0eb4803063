#!/bin/bash
# Builds the native init for guests, and holds it against what stands in native/prebuilt.
#
#   native/make.sh [ARCHITECTURE...]           makes native/prebuilt/ARCHITECTURE anew (all, where none is named)
#   native/make.sh --check [ARCHITECTURE...]   builds each, and compares the bytes
#
# x86_64 is built by the machine's own Rust. Of i386 and aarch64 that has no `core`: Debian's rustc makes it
# (package rust-web-src), unpacked by testdata/fetch.sh and not installed. The linker is the one that comes
# with Rust. The bytes are those of one compiler: which, native/prebuilt/compilers says; with another one
# --check says so, counts that architecture as skipped, and proves only that it builds and is small enough.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/.." && pwd)
prebuilt=$here/prebuilt
limit=24576 # bytes that a program may have

die() {
    printf 'make.sh: %s\n' "$*" >&2
    exit 2
}

# The toolchain that x86_64 is built with, where rustup has it; the ordinary one otherwise.
ordinary() {
    local recorded
    recorded=$(recorded_compiler x86_64 | sed -n 's/^rustc \([0-9.]*\) .*/\1/p')
    { [ -n "$recorded" ] && rustup which --toolchain "$recorded" rustc 2>/dev/null; } ||
        rustup which rustc 2>/dev/null || command -v rustc
}

recorded_compiler() {
    sed -n "s/^$1: //p" "$prebuilt/compilers" 2>/dev/null
}

# toolchain ARCHITECTURE: its compiler in $rustc, its target in $target, what cargo needs besides in $build_core.
toolchain() {
    build_core=()
    case $1 in
    x86_64)
        target=x86_64-unknown-linux-gnu
        rustc=$(ordinary)
        ;;
    i386 | aarch64)
        target=$1-unknown-linux-gnu
        [ "$1" = aarch64 ] || target=i686-unknown-linux-gnu
        local tools
        tools=$("$top/testdata/fetch.sh" rust-hosts) || die "no rust-hosts"
        rustc=$tools/usr/bin/rustc
        export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu
        export RUSTC_BOOTSTRAP=1
        build_core=(-Zbuild-std=core)
        ;;
    *) die "no init is made for $1; x86_64, i386 and aarch64 are known" ;;
    esac
    compiler="$("$rustc" --version), $("$(linker)" -flavor gnu --version | sed 's/ (.*//')"
}

# linker: rust-lld, from beside the machine's own compiler.
linker() {
    local found
    found=$(find "$("$(ordinary)" --print sysroot)/lib/rustlib" -name rust-lld | head -n 1)
    [ -n "$found" ] || die "this Rust has no rust-lld: rustup's has"
    printf '%s\n' "$found"
}

# build ARCHITECTURE: the program, in $program.
build() {
    local flags separator=$'\x1f' word
    flags=''
    for word in -Clinker="$(linker)" -Clinker-flavor=ld.lld -Crelocation-model=static -Cforce-unwind-tables=no \
        -Clink-arg=-nostdlib -Clink-arg=-static -Clink-arg=--gc-sections -Clink-arg=--build-id=none \
        -Clink-arg=--no-eh-frame-hdr -Clink-arg=-znosectionheader -Cjump-tables=no -Clink-arg=-T"$here/init/link.ld" \
        --remap-path-prefix="$top"=.; do
        flags+=${flags:+$separator}$word
    done
    (cd "$here/init" && RUSTC=$rustc RUSTC_WRAPPER=$here/rustc.sh CARGO_ENCODED_RUSTFLAGS=$flags CARGO_TARGET_DIR=$built \
        cargo build --release --locked --quiet "${build_core[@]}" --target "$target" >&2) || die "$1 does not build"
    program=$built/$target/release/init
    [ "$(stat -c %s "$program")" -lt "$limit" ] || die "$1: $(stat -c %s "$program") bytes; fewer than $limit are allowed"
}

make_one() {
    (
        toolchain "$1"
        build "$1"
        cp "$program" "$prebuilt/$1"
        touch "$prebuilt/compilers"
        sed -i "/^$1: /d" "$prebuilt/compilers"
        printf '%s: %s\n' "$1" "$compiler" >>"$prebuilt/compilers"
        sort -o "$prebuilt/compilers" "$prebuilt/compilers"
        printf '%s: %s bytes\n' "$1" "$(stat -c %s "$program")"
    )
}

# check_one ARCHITECTURE: ends with 0 where the bytes are the same, 1 where not, 3 where they cannot be compared.
check_one() {
    (
        toolchain "$1"
        build "$1"
        if [ "$compiler" != "$(recorded_compiler "$1")" ]; then
            printf 'SKIPPED %s: made by %s, and here is %s; it builds, to %s bytes\n' \
                "$1" "$(recorded_compiler "$1")" "$compiler" "$(stat -c %s "$program")"
            # Where nothing may be missing, the ordinary compiler must be the one that is recorded.
            [ "${CI:-}" != true ] || [ "$1" != x86_64 ] || exit 1
            exit 3
        fi
        cmp "$program" "$prebuilt/$1" || exit 1
        printf 'PASS %s: the same %s bytes\n' "$1" "$(stat -c %s "$program")"
    )
}

check() {
    local passed=0 failed=0 skipped=0 status
    for architecture; do
        status=0
        check_one "$architecture" || status=$?
        case $status in
        0) passed=$((passed + 1)) ;;
        3) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) ;;
        esac
    done
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" = 0 ]
}

checking=no
if [ "${1:-}" = --check ]; then
    checking=yes
    shift
fi
[ $# -gt 0 ] || set -- x86_64 i386 aarch64
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
if [ "$checking" = yes ]; then check "$@"; else for architecture; do make_one "$architecture"; done; fi
