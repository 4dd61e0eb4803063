#!/bin/bash
# Makes images of Debian's 6.1 kernel with the builders of others and prints the file of each. The
# builders run in a root of their own (testdata/fetch.sh builders-amd64), so that nothing of this
# machine's kernel, modules and configuration gets in.
#
#   testdata/images/make.sh NAME...       (the names: testdata/README.md; `all` is all of them)
#
# Images lie in .cache/images, or $XINITRD_CACHE/images, until this script or what they are made of
# is another. Root is not needed; without it dracut's images lack its device nodes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${XINITRD_CACHE:-$top/.cache}
images=$cache/images
# No file of an image is younger: 2023-11-14.
export SOURCE_DATE_EPOCH=1700000000

ALL='initramfs-tools-gzip initramfs-tools-zstd initramfs-tools-xz initramfs-tools-microcode
initramfs-tools-list-gzip initramfs-tools-list-zstd
dracut-gzip dracut-zstd dracut-microcode dracut-list-gzip dracut-list-zstd
tiny-gzip tiny-zstd joined'
# What a guest of QEMU or Xen takes to reach its root on ext4.
DRIVERS='virtio_pci virtio_blk xen-blkfront xen-netfront ext4'

die() {
    printf 'make.sh: %s\n' "$*" >&2
    exit 1
}

# inside LINES: a shell runs them among the builders, in /tmp, which is $work; $version is the
# kernel's release. A builder says much, which is of interest where it fails.
inside() {
    local namespace=(unshare --mount)
    [ "$(id -u)" = 0 ] || namespace+=(--map-root-user)
    "${namespace[@]}" "$here/enter.sh" "$builders" "$kernel" "$work" "cd /tmp; $1" >"$work/log" 2>&1 ||
        { cat "$work/log" >&2 && die "it failed: $1"; }
}

# ---- The builders -----------------------------------------------------------------------------

# mkinitramfs MODULES NAME: as initramfs.conf(5) has it, `most` or `list`.
mkinitramfs() {
    mkdir -p "$work/conf/conf.d" "$work/conf/hooks" "$work/conf/scripts"
    printf '%s\n' "MODULES=$1" BUSYBOX=auto KEYMAP=n COMPRESS=gzip FSTYPE=auto RESUME=none \
        >"$work/conf/initramfs.conf"
    printf '%s\n' "${DRIVERS// /$'\n'}" >"$work/conf/modules"
    inside "mkinitramfs -d /tmp/conf -o $2.img \$version"
}

# dracut NAME OPTION...
dracut() {
    local name=$1 options='--no-hostonly --no-hostonly-cmdline --reproducible'
    shift
    inside "dracut $options --compress 'gzip -n' $* $name.img \$version"
}

tiny() {
    inside "mktirfs -m no -M no --include-modules=${DRIVERS// /,} -o $1.img \$version"
}

# ---- Around them ------------------------------------------------------------------------------

# recompressed FROM COMMAND TO: by the command with which the builder would have compressed it.
recompressed() {
    made "$1"
    cp "$images/$1.img" "$work"
    inside "gzip -dc $1.img | $2 >$3.img"
}

# archived DIRECTORY: of $work, as a plain archive beside it.
archived() {
    inside "cd $1
        find . -exec touch -d @$SOURCE_DATE_EPOCH {} +
        find . | sort | cpio -o -H newc -R 0:0 --quiet --reproducible >../$1.cpio"
}

# early_archive: what the kernel looks for microcode in. That it is none, no processor of QEMU's minds.
early_archive() {
    local microcode=kernel/x86/microcode
    mkdir -p "$work/early/$microcode"
    seq 1000 | tee "$work/early/$microcode/AuthenticAMD.bin" >"$work/early/$microcode/GenuineIntel.bin"
    archived early
}

# behind_microcode FROM TO: as initramfs-tools has it with the package intel-microcode.
behind_microcode() {
    made "$1"
    early_archive
    cat "$work/early.cpio" "$images/$1.img" >"$work/$2.img"
}

# without_microcode FROM TO
without_microcode() {
    made "$1"
    cp "$images/$1.img" "$work"
    inside "/usr/lib/dracut/skipcpio $1.img >$2.img"
}

# joined NAME: an archive a builder did not expect to come last: a hook's, in a member of its own, and
# zeros between all.
joined() {
    made initramfs-tools-list-zstd
    early_archive
    mkdir -p "$work/overlay/etc"
    echo 'from the second archive' >"$work/overlay/etc/overlay"
    archived overlay
    {
        cat "$work/early.cpio"
        head -c 4096 /dev/zero
        cat "$images/initramfs-tools-list-zstd.img"
        head -c 516 /dev/zero
        gzip -nc "$work/overlay.cpio"
    } >"$work/$1.img"
}

make() {
    case $1 in
    initramfs-tools-gzip) mkinitramfs most "$1" ;;
    initramfs-tools-list-gzip) mkinitramfs list "$1" ;;
    initramfs-tools-microcode) behind_microcode initramfs-tools-gzip "$1" ;;
    initramfs-tools-xz) recompressed initramfs-tools-gzip 'xz --check=crc32 --threads=0' "$1" ;;
    initramfs-tools*-zstd) recompressed "${1%-zstd}-gzip" 'zstd -q -9 -T0' "$1" ;;
    dracut-microcode) dracut "$1" --early-microcode ;;
    dracut-gzip) without_microcode dracut-microcode "$1" ;;
    dracut-list-gzip)
        dracut "$1" --no-early-microcode --drivers "'$DRIVERS'" \
            -m "'base kernel-modules rootfs-block udev-rules fs-lib shutdown'"
        ;;
    tiny-gzip) tiny "$1" ;;
    dracut*-zstd | tiny-zstd) recompressed "${1%-zstd}-gzip" 'zstd -q -15 -T0' "$1" ;;
    joined) joined "$1" ;;
    *) die "no image is called $1; testdata/README.md lists them" ;;
    esac
}

# made NAME: into the cache, which holds a name either whole or not at all.
made() {
    [ ! -e "$images/$1.img" ] || return 0
    make "$1"
    chmod 644 "$work/$1.img"
    mv "$work/$1.img" "$images"
}

# inputs: a digest of all that an image comes from; a package's changelog stands for its version.
inputs() {
    cat "$here/make.sh" "$here/enter.sh" "$kernel"/boot/vmlinuz-* "$builders"/usr/share/doc/*/changelog.* |
        sha256sum
}

[ $# -gt 0 ] || die 'usage: testdata/images/make.sh NAME... (testdata/README.md lists them)'
kernel=$("$top/testdata/fetch.sh" kernel-6.1-amd64-depmod)
builders=$("$top/testdata/fetch.sh" builders-amd64)
mkdir -p "$images"
# One run at a time: a second one waits, and then finds the work done.
exec 9>"$cache/images.lock"
flock 9
rm -rf "$cache"/images.?????? # what a killed run has left
inputs=$(inputs)
[ "$inputs" = "$(cat "$images/inputs" 2>/dev/null)" ] || rm -f "$images"/*
printf '%s\n' "$inputs" >"$images/inputs"
work=$(mktemp -d "$cache/images.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/scratch" "$work/firmware" "$work/firmware/intel-ucode"
seq 1000 | head -c 2048 >"$work/firmware/intel-ucode/06-00-00"
# shellcheck disable=SC2086 # a word a name
[ "$*" != all ] || set -- $ALL
for name; do
    made "$name"
    printf '%s\n' "$images/$name.img"
done
