#!/bin/bash
# Runs the program of each host over the same inputs, and holds what they make against each other.
#
#   tests/hosts/run.sh [--all] [--document FILE] [CASE...]
#
# --all       aarch64 and s390x too, which QEMU emulates, in some ten minutes more; x86_64 and i686 run as they are
# --document  the digests of all images by host, into FILE; with --all, or two hosts are missing
# XINITRD_HOSTS  a directory with the programs, each called by its host (default: those of dist/make.sh; but without
#             --all that of x86_64 is target/release/xinitrd, which other compilers made, and the machine's C library)
#
# The cases, each a function below, and what each holds:
CASES='
images      every manifest, compression and level: the same image everywhere
kernel      a whole kernel, from its directory and from its package, and what is reported of it
settings    threads, locale, zone, umask, environment and the order of a directory: the same image whatever they are
processors  old and new processors: the same image on each
readings    what inspect, list, cat and diff print of images
large       files, images and packages above 2 GiB: read, or refused with words, and in little memory
memory      the minimal image, and judging one of 40 MB: in 64 MiB
tests       the tests through the command, with the program of i686
'
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
limit=65536 # KiB that a program may take
swift=''      # a directory in memory

# What is needed: a program, and the Debian package that has it.
TOOLS='
python3             python3
cpio                cpio
time                time
qemu-x86_64-static  qemu-user-static
'

die() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
}

set_up() {
    local tool debian missing='' host
    while read -r tool debian; do
        [ -z "$tool" ] || command -v "$tool" >/dev/null || missing+=" $debian"
    done <<<"$TOOLS"
    [ -z "$missing" ] || die "missing: apt-get install$missing"
    work=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
    mkdir "$work/bin"
    if [ -n "${XINITRD_HOSTS:-}" ]; then
        for host in "${hosts[@]}"; do ln -s "$(realpath "$XINITRD_HOSTS")/$host" "$work/bin"; done
    else
        make_programs
    fi
    make_inputs
}

# make_programs: each under its host's name in $work/bin. Of two hosts the one is the program that the tests have
# built already.
make_programs() {
    local made=("${hosts[@]}") program target
    if [ ${#hosts[@]} = 2 ]; then
        (cd "$top" && cargo build --release --locked --quiet)
        ln -s "$top/target/release/xinitrd" "$work/bin/x86_64"
        made=(i686)
    fi
    "$top/dist/make.sh" "${made[@]}" >"$work/made"
    while read -r program; do
        target=${program%/release/*}
        target=${target##*/}
        ln -s "$program" "$work/bin/${target%%-*}"
    done <"$work/made"
}

clean_up() {
    local job
    for job in $(jobs -p); do if kill "$job" 2>/dev/null; then wait "$job" || true; fi; done
    rm -rf "$work" ${swift:+"$swift"}
}

# on HOST ARGUMENT...: its program, with the environment that $setting makes, or on the $processor there.
on() {
    local host=$1 program=("$work/bin/$1")
    shift
    case $host in
    x86_64 | i686) [ -z "${processor:-}" ] || program=("qemu-${host/i686/i386}-static" -cpu "$processor" "${program[@]}") ;;
    *) program=("qemu-$host-static" ${processor:+-cpu "$processor"} "${program[@]}") ;;
    esac
    env "${setting[@]}" "${program[@]}" "$@"
}

# ---- Inputs -----------------------------------------------------------------------------------

# make_inputs: guests of RHEL 4 and 5; a kernel of today in $whole, its version in $version; and of that, in
# $work/small, what images of ext4 and of squashfs take.
make_inputs() {
    local file
    "$top/testdata/el/make-tree.py" "$work/el4" >"$work/el4.kernel"
    "$top/testdata/el/make-tree.py" --generation el5 --with-extra "$work/el5" >"$work/el5.kernel"
    whole=$("$top/testdata/fetch.sh" kernel-6.1-amd64)
    package=$(ls "$("$top/testdata/fetch.sh" package-kernel-6.1-amd64)"/*.deb)
    busybox=$("$top/testdata/fetch.sh" busybox-amd64)/bin
    version=$(basename "$whole"/lib/modules/*)
    mkdir -p "$work/small/lib/modules/$version"
    cp "$whole/lib/modules/$version"/modules.* "$work/small/lib/modules/$version"
    for file in $(modules_for ext4) $(modules_for squashfs); do
        mkdir -p "$work/small/$(dirname "$file")"
        cp "$whole/$file" "$work/small/$file"
    done
}

# modules_for FILE-SYSTEM: the modules that both images of today have, by their paths in the root.
modules_for() {
    on x86_64 build --root "$whole" --manifest busybox --bins "$busybox" --rootfs "$1" -v --dry-run |
        sed -n "s|^entry .* <- $whole/\(.*\.ko\)\$|\1|p"
}

# build HOST MANIFEST OPTION...: an image, to standard output.
build() {
    local host=$1 manifest=$2 kind=()
    shift 2
    case $manifest in
    el4 | el5) kind=(--kernel "$(<"$work/$manifest.kernel")" --root "$work/$manifest" --bins "$work/$manifest/bins") ;;
    native) kind=(--root "$work/small") ;;
    busybox) kind=(--root "$work/small" --bins "$busybox") ;;
    esac
    on "$host" build --manifest "$manifest" "${kind[@]}" -q -o - "$@"
}

digest() {
    sha256sum | cut -d ' ' -f 1
}

# ---- The cases --------------------------------------------------------------------------------

# levels_of MANIFEST: what its kernel can read, and at which levels it is written.
levels_of() {
    printf 'none 0\n'
    printf 'gzip %s\n' {1..12}
    case $1 in
    el4 | el5) return ;;
    esac
    printf 'xz %s\n' {0..9}
    printf 'zstd %s\n' {1..22}
    printf 'lz4 1\n'
}

# images HOST: a line an image, MANIFEST COMPRESSION LEVEL BYTES DIGEST. Those of today take the file system that is small:
# busybox is large enough for more than one piece of gzip's and one block of zstd's.
images() {
    local manifest compression level rootfs
    for manifest in el4 el5 native busybox; do
        rootfs=()
        [ "${manifest#el}" != "$manifest" ] || rootfs=(--rootfs squashfs)
        while read -r compression level; do
            build "$1" "$manifest" --compress "$compression" --level "$level" "${rootfs[@]}" >"$work/image.$1"
            echo "$manifest $compression $level $(stat -c %s "$work/image.$1") $(digest <"$work/image.$1")"
        done < <(levels_of "$manifest")
    done
}

case_images() {
    alike images
}

# kernel HOST: from both, what is reported of it, and the image.
kernel() {
    mkdir "$work/kernel.in.$1"
    cd "$work/kernel.in.$1"
    local source
    for source in --root="$whole" --package="$package"; do
        on "$1" build "$source" --json -f -o image
        digest <image
    done
    on "$1" build --root "$whole" --manifest busybox --bins "$busybox" --compress zstd -v -f -o image
    digest <image
}

case_kernel() {
    alike kernel
}

# settings HOST: the digest of an image, a line each time.
settings() {
    local root
    once() {
        "$@" build --manifest native --root "${root:-$work/small}" --rootfs squashfs --compress zstd --level 6 -q -o - | digest
        "$@" build --manifest native --root "${root:-$work/small}" --rootfs squashfs -q -o - | digest
    }
    once on "$1"
    once on_threads "$1" 1
    once on_threads "$1" 2
    once on_threads "$1" 7
    for setting in LC_ALL=C LC_ALL=tr_TR.UTF-8 TZ=Pacific/Chatham -i; do once on "$1"; done
    setting=()
    (umask 077 && once on "$1")
    for root in "$work/reversed" "$swift/small" "$swift/reversed"; do once on "$1"; done
    (cd "$work" && root=./small/ && once on "$1")
}

# on_threads HOST THREADS SUBCOMMAND ARGUMENT...
on_threads() {
    local host=$1 threads=$2 subcommand=$3
    shift 3
    on "$host" "$subcommand" --threads "$threads" "$@"
}

# copied DIRECTORY SORT-OPTION...: the small root, its files made in that order.
copied() {
    local to=$1
    shift
    mkdir "$to"
    (cd "$work/small" && find . -type f | LC_ALL=C sort "$@" | cpio -pd --quiet "$to")
}

case_settings() {
    copied "$work/reversed" -r
    swift=${swift:-$(mktemp -d -p /dev/shm)}
    copied "$swift/small"
    copied "$swift/reversed" -r
    alike settings
    local host
    for host in "${hosts[@]}"; do
        [ "$(sort -u "$work/settings.$host" | wc -l)" = 2 ]
        counted $? "settings, $host: two images, whatever the surroundings"
    done
}

# processors HOST: the same images on each of its processors, with what the libraries choose by them.
processors() {
    local processor names compression level
    case $1 in
    x86_64) names='qemu64 Haswell max' ;;
    i686) names='qemu32 max' ;;
    aarch64) names='cortex-a53 max' ;;
    s390x) names='z10EC max' ;;
    esac
    for processor in $names; do
        echo "# $processor"
        while read -r compression level; do
            build "$1" native --rootfs squashfs --compress "$compression" --level "$level" 2> >(grep -v "TCG doesn't" >&2) |
                digest
        done <<<$'gzip 1\ngzip 6\ngzip 12\nxz 3\nzstd 3\nzstd 13\nlz4 1'
    done
}

case_processors() {
    each_host processors
    local host
    for host in "${hosts[@]}"; do
        [ "$(grep -v '^#' "$work/processors.$host" | sort -u | wc -l)" = 7 ] &&
            [ "$(grep -v '^#' "$work/processors.$host" | sort -u)" = "$(grep -v '^#' "$work/processors.x86_64" | sort -u)" ]
        counted $? "processors, $host: $(grep '^#' "$work/processors.$host" | tr -d '#\n')"
    done
}

# Images that hurt whoever reads them: some of every kind, and what a reader says of them too.
HOSTILE='name-of-4-gib file-of-4-gib archives-a-million-in-gzip members-a-million-zstd dictionary-of-4-gib-xz
    window-of-2-gib-zstd links-that-double many-flaws many-that-climb elf-of-65000-sections modules-that-need-all
    script-of-nash'

# readings HOST: what is printed of images, with the exit codes.
readings() {
    local image
    cd "$work/read"
    for image in *.img; do
        on "$1" inspect --json "$image" || echo "exit $?"
        on "$1" inspect --json --kernel-version 2.6.18 --xen 4.17 "$image" || echo "exit $?"
        on "$1" list -l "$image" || echo "exit $?"
        on "$1" list --json "$image" || echo "exit $?"
        on "$1" cat "$image" init | digest || echo "exit $?"
    done 2>&1
    on "$1" diff --json el4.img el5.img 2>&1 || echo "exit $?"
    on "$1" diff --json native-xz.img native-zstd.img 2>&1 || echo "exit $?"
}

case_readings() {
    local name compression
    mkdir "$work/read"
    for name in el4 el5; do build x86_64 "$name" >"$work/read/$name.img"; done
    for compression in gzip none xz zstd lz4; do
        build x86_64 native --compress "$compression" >"$work/read/native-$compression.img"
    done
    build x86_64 busybox >"$work/read/busybox.img"
    for name in $HOSTILE; do "$top/testdata/images/hostile.py" "$name" 8 >"$work/read/hostile-$name.img"; done
    alike readings
}

# measured HOST ARGUMENT...: what it prints, and the most memory it took, in KiB, in $work/peak.HOST.
measured() {
    local host=$1
    shift
    command time -f %M -o "$work/peak.$host" "$work/bin/$host" "$@"
}

# frugal HOST WHAT: it took little, where that may be all there is.
frugal() {
    local peak
    peak=$(tail -n 1 "$work/peak.$1")
    [ "$peak" -le "$limit" ]
    counted $? "memory, $1: $2 ($peak KiB)"
}

# The emulator's own memory would count for the others.
own_hosts() {
    printf '%s\n' "${hosts[@]}" | grep -x -e x86_64 -e i686
}

case_memory() {
    local host large_size
    sed 's/^\[modules\]$/&\ninclude = ["[a-f]*"]/' <("$work/bin/x86_64" manifests native) >"$work/all.toml"
    "$work/bin/x86_64" build --root "$whole" --manifest "$work/all.toml" --level 1 -q -f -o "$work/large.img"
    large_size=$(stat -c %s "$work/large.img")
    for host in $(own_hosts); do
        measured "$host" build --root "$whole" -q -f -o "$work/minimal.img"
        frugal "$host" 'the minimal image, from a directory'
        measured "$host" build --package "$package" -q -f -o "$work/minimal.img"
        frugal "$host" 'the minimal image, from a package'
        measured "$host" inspect --json "$work/large.img" >/dev/null
        frugal "$host" "inspect, an image of $large_size bytes"
        measured "$host" list -l "$work/large.img" >/dev/null
        frugal "$host" "list, the same"
    done
}

# ---- The tests, by the program of another host ------------------------------------------------

# What a user types and meets, of the modules of tests/it; what is measured in seconds is none of it.
TESTS='build:: build_judged:: bad_input:: refusals:: layers:: guest_root:: interrupted:: inspect_cli:: inspect_strangers::
    list_cli:: extract_cli:: diff_cli:: bad_images::every_hostile_image_is_judged bad_images::every_hostile_root'

case_tests() {
    local log=$work/tests.log
    # By its own path, for some tests run it as another user.
    # shellcheck disable=SC2086 # a name a word
    XINITRD_PROGRAM=$(realpath "$work/bin/i686") cargo test --manifest-path "$top/Cargo.toml" --test it --locked --quiet -- \
        $TESTS >"$log" 2>&1
    counted $? "tests, i686: $(sed -n 's/^test result: ok. \([0-9]* passed\).*/\1/p' "$log")"
    tail -n 30 "$log" | grep -v '^\.*$'
}

# ---- The run ----------------------------------------------------------------------------------

# each_host FUNCTION: what it prints for each, in $work/FUNCTION.HOST; two at a time.
each_host() {
    local host running=0
    for host in "${hosts[@]}"; do
        if [ "$running" = 2 ]; then wait -n; else running=$((running + 1)); fi
        (set -o pipefail && "$1" "$host") >"$work/$1.$host" 2>"$work/$1.$host.errors" &
    done
    for ((; running; running--)); do wait -n; done
    for host in "${hosts[@]}"; do
        ! [ -s "$work/$1.$host.errors" ] || sed "s/^/$1, $host: /" "$work/$1.$host.errors"
    done
}

# alike FUNCTION: what it prints is the same for every host.
alike() {
    local host
    each_host "$1"
    for host in "${hosts[@]}"; do
        [ -s "$work/$1.$host" ] && ! [ -s "$work/$1.$host.errors" ] && cmp "$work/$1.x86_64" "$work/$1.$host"
        counted $? "$1, $host: $(wc -l <"$work/$1.$host") lines as x86_64 has them"
    done
}

# table: the digests by host, as a document.
table() {
    cat <<HEAD
# Digests by host

The first sixteen digits of the SHA-256 of the image that the program of each host makes, of one input: \`tests/hosts/run.sh
--all --document docs/digests.md\` makes this file. Of el4 and el5 the input is what testdata/el/make-tree.py makes,
of native and busybox Debian's kernel $version and busybox-static; what they are of other versions has other digests.

| manifest | compression | level | bytes | $(printf '%s | ' "${hosts[@]}")
| --- | --- | ---: | ---: | $(printf -- '--- | %.0s' "${hosts[@]}")
HEAD
    local files=("${hosts[@]/#/$work/images.}")
    paste -d " " "${files[@]}" | awk '{
        row = "| " $1 " | " $2 " | " $3 " | " $4 " |"
        for (field = 5; field <= NF; field += 5) row = row " `" substr($field, 1, 16) "` |"
        print row
    }'
}

# counted STATUS WHAT
counted() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        printf 'PASS %s\n' "$2"
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n' "$2"
    fi
}

main() {
    local chosen=() document='' name
    hosts=(x86_64 i686) setting=() passed=0 failed=0
    while [ $# -gt 0 ]; do
        case $1 in
        --all) hosts=(x86_64 i686 aarch64 s390x) ;;
        --document)
            document=${2:?--document takes a file}
            shift
            ;;
        *) chosen+=("$1") ;;
        esac
        shift
    done
    [ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(awk 'NF { print $1 }' <<<"$CASES")
    for name in "${chosen[@]}"; do
        declare -F "case_$name" >/dev/null || die "no case is called $name; the head of this script lists them"
    done
    set_up
    set +e
    for name in "${chosen[@]}"; do
        SECONDS=0
        "case_$name"
        printf -- '-- %s, %d s\n' "$name" "$SECONDS"
    done
    [ -z "$document" ] || table >"$document"
    printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}

# shellcheck source=tests/hosts/large.sh
. "$here/large.sh"

main "$@"
