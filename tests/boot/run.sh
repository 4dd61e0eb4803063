#!/bin/bash
# Boots images in QEMU, from real Debian kernels to a root disk's init, and judges by the console.
#
#   tests/boot/run.sh [--install] [--quick] [CASE...]
#
# --install  installs the missing Debian packages (as root)
# --quick    the first two cases only
# XINITRD    the xinitrd program (default: target/release/xinitrd, built when missing)
#
# The cases, each a function below, and what each proves:
CASES='
device        root=/dev/NAME; a driver that fails (xen-blkfront outside Xen) stops nothing; words for init
xz            a 6.12 kernel whose modules are .ko.xz
uuid          root=UUID= of ext4, in capitals
label         root=LABEL= with a space, quoted as the kernel quotes
number        root=MAJOR:MINOR
gpt           root=PARTUUID= on a GPT disk
partlabel     root=PARTLABEL= on a GPT disk
mbr           root=PARTUUID= on an MBR disk
writable      rw and rootflags=; of ro and rw the last wins
init          init= over an absolute link, with arguments after --
baked         --root-device and --root-options, with no root= on the command line
delay         rootdelay= and rootwait
xfs           root=UUID= of xfs, while the image would sooner try ext4
btrfs         root=LABEL= of btrfs
old           a kernel without devtmpfs: the init makes the nodes of disks itself
absent        no such root: the report, then a panic
unmountable   a root that will not mount: the reason, then a power-off
initless      an init= that is not there: the reason, then a panic
nfs           a root on NFS is refused
shell         xinitrd.onfail=shell: the shell mends it, and its end tries again
'
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${XINITRD_CACHE:-$top/.cache}
PATH=$PATH:/usr/sbin:/sbin
limit=120 # seconds a boot may take

uuid=5bd1e995-a3c0-4d2e-9f10-0b1c2d3e4f50
partuuid=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
label='xinitrd root'

# ---- Setting up -------------------------------------------------------------------------------

# What is needed: a program, and the Debian package that has it.
TOOLS='
qemu-system-x86_64 qemu-system-x86
mke2fs             e2fsprogs
sfdisk             fdisk
mkfs.xfs           xfsprogs
mkfs.btrfs         btrfs-progs
python3            python3
zstd               zstd
cpio               cpio
'

missing_packages() {
    while read -r tool package; do
        [ -z "$tool" ] || command -v "$tool" >/dev/null || printf '%s ' "$package"
    done <<<"$TOOLS"
}

set_up() {
    local missing
    missing=$(missing_packages)
    if [ -n "$missing" ] && [ "$install" = yes ]; then
        # shellcheck disable=SC2086 # a list of packages
        apt-get install -y -q --no-install-recommends $missing >&2
        missing=$(missing_packages)
    fi
    [ -z "$missing" ] || die "missing: apt-get install $missing(or run with --install, as root)"
    : "${XINITRD:=$top/target/release/xinitrd}"
    [ -x "$XINITRD" ] || (cd "$top" && cargo build --release --quiet)
    busybox=$("$top/testdata/fetch.sh" busybox-amd64)/bin
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
}

die() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
}

# kernel GENERATION: the tree in $tree, its version in $version, its uncompressed kernel in $vmlinux.
kernel() {
    tree=$("$top/testdata/fetch.sh" "kernel-$1-amd64")
    version=$(ls "$tree/lib/modules")
    vmlinux=$cache/vmlinux-$version
    [ -e "$vmlinux" ] && return
    python3 "$here/vmlinux.py" "$tree/boot/vmlinuz-$version" "$work/vmlinux"
    mv "$work/vmlinux" "$vmlinux"
}

# ---- Images and disks -------------------------------------------------------------------------

# image OPTION...: an image of $tree's kernel in $image, built once for the same options.
image() {
    image=$work/$(printf '%s ' "$version" "$@" | cksum | tr ' ' -).img
    [ -e "$image" ] && return
    # A Debian kernel reaches a virtio disk by two modules, neither of which asks for the other.
    "$XINITRD" build --kernel "$version" --root "$tree" --bins "$busybox" --manifest busybox -q \
        --with virtio_blk --with virtio_pci -o "$image" "$@"
}

# without_devtmpfs: $image with an init that cannot mount one, as on kernels before 2.6.32. The
# kernel unpacks a second archive over the first; a plain one begins at a multiple of four.
without_devtmpfs() {
    local plain=$image size
    size=$(stat -c %s "$plain")
    image=$work/old.img
    mkdir -p "$work/overlay"
    sed 's/-t devtmpfs/-t nonesuch/' "$top/src/init/busybox.sh" >"$work/overlay/init"
    chmod 755 "$work/overlay/init"
    cp "$plain" "$image"
    truncate -s $(((size + 3) / 4 * 4)) "$image"
    (cd "$work/overlay" && echo init | cpio -o -H newc --quiet) >>"$image"
}

# root_tree: what lies on a root disk.
root_tree() {
    root_files=$work/root
    [ -d "$root_files" ] && return
    mkdir -p "$root_files"/{bin,sbin,dev,proc,sys,opt}
    cp "$busybox/busybox" "$root_files/bin/busybox"
    cp "$here/guest-init" "$root_files/sbin/init"
    cp "$here/guest-init" "$root_files/opt/other"
    chmod 755 "$root_files/sbin/init" "$root_files/opt/other"
    ln -s /opt/other "$root_files/sbin/other"
}

# disk KIND: made once, in $disk.
disk() {
    root_tree
    disk=$work/$1.disk
    [ -e "$disk" ] || "disk_$1"
}

disk_ext4() {
    truncate -s 32M "$work/ext4.disk"
    mke2fs -q -t ext4 -L "$label" -U "$uuid" -d "$root_files" "$work/ext4.disk"
}

# partitioned NAME: a disk whose table is standard input and whose first partition, at 1 MiB, is
# the ext4 file system.
partitioned() {
    [ -e "$work/ext4.disk" ] || disk_ext4
    truncate -s 40M "$work/$1.disk"
    sfdisk --quiet "$work/$1.disk"
    dd if="$work/ext4.disk" of="$work/$1.disk" bs=1M seek=1 conv=notrunc,sparse status=none
}

disk_gpt() {
    partitioned gpt <<TABLE
label: gpt
start=2048, size=65536, uuid=$partuuid, name=guestroot
TABLE
}

disk_mbr() {
    partitioned mbr <<TABLE
label: dos
label-id: 0x0badcafe
start=2048, size=65536, type=83
TABLE
}

# mkfs.xfs takes no directory, but a description of what is to lie in it (its -p).
disk_xfs() {
    truncate -s 300M "$work/xfs.disk"
    cat >"$work/xfs.proto" <<PROTO
/
0 0
d--755 0 0
bin d--755 0 0
busybox ---755 0 0 $root_files/bin/busybox
$
sbin d--755 0 0
init ---755 0 0 $root_files/sbin/init
$
dev d--755 0 0
$
proc d--755 0 0
$
sys d--755 0 0
$
$
PROTO
    mkfs.xfs -q -m uuid="$uuid" -p "$work/xfs.proto" "$work/xfs.disk"
}

disk_btrfs() {
    truncate -s 128M "$work/btrfs.disk"
    mkfs.btrfs -q -L "$label" --rootdir "$root_files" "$work/btrfs.disk" >/dev/null
}

# ---- Booting and judging ----------------------------------------------------------------------

# boot WORD...: $image with $disk and these words on the command line, into $console. The disk
# stays as it is, and the machine ends when the guest powers off, reboots or panics.
boot() {
    : >"$console"
    timeout -k 5 "$limit" qemu-system-x86_64 -machine q35 -accel tcg -cpu max -m 512 \
        -nodefaults -no-user-config -no-reboot -display none -serial stdio \
        -drive "if=none,id=root,file=$disk,format=raw,snapshot=on" \
        -device virtio-blk-pci,drive=root -kernel "$vmlinux" -initrd "$image" \
        -append "console=ttyS0 panic=-1 $*" < <(type_in) >"$console" 2>"$work/qemu-errors" ||
        problem "qemu ended with $? ($(tail -n 1 "$work/qemu-errors"))"
}

# type_in: what the case types on the console, once $prompt is there.
type_in() {
    [ -n "$typed" ] || return 0
    local tries=0
    until grep -q "$prompt" "$console"; do
        # Neither longer than the machine may run, nor when the whole run has ended.
        [ $((tries += 1)) -le $((limit * 5)) ] && [ -e "$console" ] || return 0
        sleep 0.2
    done
    sleep 1
    printf '%s\n' "$typed"
}

problem() {
    printf '  %s\n' "$*" >>"$work/problems"
}

# says REGEX...: each stands at the start of a line of the console.
says() {
    local regex
    for regex; do
        tr -d '\r' <"$console" | grep -Eq "^(\[ *[0-9.]+\] )?$regex" || problem "not said: $regex"
    done
}

never_says() {
    ! tr -d '\r' <"$console" | grep -Eq "$1" || problem "said: $1"
}

# reached REGEX: the root's init ran, and told this.
reached() {
    says "XINITRD-ROOT-REACHED $1"
}

# ---- The cases --------------------------------------------------------------------------------

case_device() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot root=/dev/vda single
    reached '/dev/vda ext4 ro,.* views=moved pid=1 by=/sbin/init args=\[single\]$'
    says 'xinitrd: module xen-blkfront not loaded: No such device'
}

case_xz() {
    kernel 6.12 && image --rootfs ext4 && disk ext4
    boot root=/dev/vda quiet
    reached '/dev/vda ext4 ro,'
    never_says '^xinitrd:'
}

case_uuid() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot "root=UUID=${uuid^^}"
    reached '/dev/vda ext4 ro,'
}

case_label() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot "root=\"LABEL=$label\""
    reached '/dev/vda ext4 ro,'
}

case_number() {
    kernel 6.1 && image --rootfs ext4 && disk gpt
    boot root=254:1 # virtio-blk's is the first of the majors given out as needed
    reached '/dev/vda1 ext4 ro,'
}

case_gpt() {
    kernel 6.1 && image --rootfs ext4 && disk gpt
    boot "root=PARTUUID=$partuuid"
    reached '/dev/vda1 ext4 ro,'
}

case_partlabel() {
    kernel 6.1 && image --rootfs ext4 && disk gpt
    boot root=PARTLABEL=guestroot
    reached '/dev/vda1 ext4 ro,'
}

case_mbr() {
    kernel 6.1 && image --rootfs ext4 && disk mbr
    boot root=PARTUUID=0badcafe-01
    reached '/dev/vda1 ext4 ro,'
}

case_writable() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot root=/dev/vda rw ro rw rootfstype=ext2,ext4 rootflags=noatime,errors=panic
    reached '/dev/vda ext4 rw,noatime,errors=panic '
}

case_init() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot root=/dev/vda init=/sbin/other -- one rw two=2
    reached '/dev/vda ext4 ro,.* by=/sbin/other args=\[one\]\[rw\]\[two=2\]$'
}

case_baked() {
    kernel 6.1 && disk ext4
    image --rootfs ext4 --root-device "UUID=$uuid" --root-options rw,noatime
    boot
    reached '/dev/vda ext4 rw,noatime '
}

case_delay() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot rootdelay=1 rootwait root=/dev/vda
    reached '/dev/vda ext4 ro,'
}

case_xfs() {
    kernel 6.1 && image --rootfs ext4 --with xfs && disk xfs
    boot "root=UUID=$uuid"
    reached '/dev/vda xfs ro,'
}

case_btrfs() {
    kernel 6.1 && image --rootfs btrfs && disk btrfs
    boot "\"root=LABEL=$label\""
    reached '/dev/vda btrfs ro,'
}

case_old() {
    kernel 6.1 && image --rootfs ext4 && disk gpt
    without_devtmpfs
    boot "root=PARTUUID=$partuuid"
    reached '/dev/vda1 ext4 ro,.* views=lost'
}

case_absent() {
    kernel 6.1 && image --rootfs ext4 && disk mbr
    boot root=/dev/xvda1 rootwait=3
    says 'xinitrd: no root: root=/dev/xvda1 did not appear' \
        'xinitrd: asked for: root=/dev/xvda1 ro; waited 3 s' \
        'xinitrd:   vda 40 MiB$' \
        "xinitrd:   vda1 32 MiB ext UUID=$uuid LABEL=$label PARTUUID=0badcafe-01\$" \
        'xinitrd: modules loaded: .*virtio_blk' \
        'xinitrd:   xen-blkfront: No such device' \
        'Kernel panic - not syncing: Attempted to kill init!'
}

case_unmountable() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot root=/dev/vda rootfstype=minix,ext4 rootflags=nonesuch xinitrd.onfail=poweroff
    says 'xinitrd: no root: /dev/vda cannot be mounted \(minix: No such device, ext4: Invalid' \
        'xinitrd: giving up: poweroff' '.*reboot: Power down'
    never_says 'Kernel panic'
}

case_initless() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot root=/dev/vda init=/sbin/nonesuch
    says 'xinitrd: no root: the root on /dev/vda has no program /sbin/nonesuch' \
        'Kernel panic - not syncing: Attempted to kill init!'
}

case_nfs() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot root=/dev/nfs nfsroot=192.0.2.1:/srv xinitrd.onfail=reboot
    says 'xinitrd: no root: a root on NFS is not supported' '.*reboot: Restarting system'
}

case_shell() {
    kernel 6.1 && image --rootfs ext4 && disk ext4
    local prompt='a shell to mend it' typed='ln -s vda /dev/late; exit'
    boot root=/dev/late rootwait=1 xinitrd.onfail=shell
    says 'xinitrd: no root: root=/dev/late did not appear'
    reached '/dev/(late|vda) ext4 ro,'
}

# ---- The run ----------------------------------------------------------------------------------

# run_case NAME: its line, and on failure what went wrong and the console's telling lines.
run_case() {
    local started=$EPOCHREALTIME seconds
    typed='' prompt='' console=$work/$1.console
    : >"$console"
    : >"$work/problems"
    # Apart from any condition, or the shell would go on in the case after a step that failed.
    set +e
    (
        set -e
        "case_$1"
    )
    # shellcheck disable=SC2181 # a condition is what must not be around it
    [ $? -eq 0 ] || problem 'a step of the case failed'
    set -e
    seconds=$(((${EPOCHREALTIME/./} - ${started/./}) / 100000))
    seconds=$((seconds / 10)).$((seconds % 10))
    if [ ! -s "$work/problems" ]; then
        printf 'PASS %s (%s s)\n' "$1" "$seconds"
        passed=$((passed + 1))
        return
    fi
    printf 'FAIL %s (%s s)\n' "$1" "$seconds"
    cat "$work/problems"
    tr -d '\r' <"$console" | grep -E 'xinitrd|XINITRD|[Pp]anic|rror|Unable|Unknown' | tail -n 30 |
        sed 's/^/  | /'
    failed=$((failed + 1))
}

names() {
    awk 'NF { print $1 }' <<<"$CASES"
}

main() {
    local chosen=() name
    install=no passed=0 failed=0
    for name; do
        case $name in
        --install) install=yes ;;
        --quick) mapfile -t -n 2 chosen < <(names) ;;
        *) names | grep -qx -- "$name" || die "no case is called $name; the head of this script lists them"
            chosen+=("$name") ;;
        esac
    done
    [ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(names)
    set_up
    for name in "${chosen[@]}"; do run_case "$name"; done
    printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

main "$@"
