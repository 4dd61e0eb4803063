#!/bin/bash
# Sets up what the benchmarks compare with, runs them all and prints their tables.
#
#   benches/run.sh [ROUNDS]
#
# Missing Debian packages are installed where this runs as root, and named where it does not; a peer
# that is not to be had is named below its table. Takes some minutes. The tables of docs/performance.md
# and docs/compression.md are what this prints.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/target/peers/bin:$PATH:/usr/sbin:/sbin

# A program, and the Debian package that has it. What the benchmarks cannot do without:
TOOLS='
cc          gcc
cpio        cpio
gzip        gzip
pigz        pigz
modprobe    kmod
time        time
'
# What they compare with:
PEERS='
mkinitramfs initramfs-tools-core
dpkg-deb    dpkg
dracut      dracut-core
mktirfs     tiny-initramfs-core
lsinitramfs initramfs-tools-core
lsinitrd    dracut-core
bsdtar      libarchive-tools
zstd        zstd
xz          xz-utils
'

# missing TABLE: the packages of its programs that are not here.
missing() {
    while read -r tool package; do
        [ -z "$tool" ] || type -P "$tool" >/dev/null || echo "$package"
    done <<<"$1"
}

install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null
}

mapfile -t tools < <(missing "$TOOLS")
mapfile -t peers < <(missing "$PEERS" | sort -u)
if [ "$(id -u)" != 0 ]; then
    [ ${#peers[@]} = 0 ] || echo "benches/run.sh: for more to compare with, as root: apt-get install ${peers[*]}" >&2
    [ ${#tools[@]} = 0 ] || { echo "benches/run.sh: as root, first: apt-get install ${tools[*]}" >&2; exit 2; }
elif [ $((${#tools[@]} + ${#peers[@]})) != 0 ]; then
    apt-get update -qq
    [ ${#tools[@]} = 0 ] || install "${tools[@]}"
    # One by one: a release that lacks one has the others.
    for peer in "${peers[@]}"; do install "$peer" || echo "benches/run.sh: no $peer" >&2; done
fi
type -P 3cpio >/dev/null || cargo install --quiet --locked --root target/peers threecpio@0.14.0 ||
    echo "benches/run.sh: no 3cpio" >&2

root=$(testdata/fetch.sh kernel-6.1-amd64-depmod)
bins=$(testdata/fetch.sh busybox-amd64)/bin
cargo build --quiet --release --locked
cargo bench --quiet --locked --no-run

# in_place COMMAND...: runs it where the fetched kernel alone lies in /lib/modules and /boot, as the
# peers want it. Only the command sees it there, in a mount namespace of its own, and nothing is
# left of it. Where no namespace is to be had the command runs all the same.
in_place() {
    local private=(unshare --mount)
    [ "$(id -u)" = 0 ] || private+=(--map-root-user)
    [ -d /lib/modules ] || [ "$(id -u)" != 0 ] || mkdir /lib/modules
    if ! "${private[@]}" mount -t tmpfs none /lib/modules; then
        "$@"
        return
    fi
    # shellcheck disable=SC2016 # for the inner shell
    "${private[@]}" bash -euc '
        root=$0 kernel=$(ls "$0/lib/modules")
        mount -t tmpfs none /lib/modules
        mkdir "/lib/modules/$kernel"
        mount --bind "$root/lib/modules/$kernel" "/lib/modules/$kernel"
        mount -t tmpfs none /boot
        cp "$root/boot/config-$kernel" /boot
        exec "$@"' "$root" "$@"
}

status=0
in_place cargo bench --quiet --locked --bench minimal -- "$@" || status=1
cargo bench --quiet --locked --bench large -- "$@" || status=1
cargo bench --quiet --locked --bench package -- "$@" || status=1
testdata/images/make.sh all >/dev/null
cargo bench --quiet --locked --bench list -- "$@" || status=1
archive=target/minimal.cpio
target/release/xinitrd build -q --force --root "$root" --bins "$bins" --manifest busybox --compress none -o "$archive"
cargo bench --quiet --locked --bench encoders -- "$archive" "$@" || status=1
benches/boot.sh || status=1
exit $status
