#!/bin/bash
# Boots images in QEMU, from real Debian kernels to a root disk's init, and judges by the console.
#
#   tests/boot/run.sh [--install] [--quick] [--images] [--verdicts FILE] [CASE...]
#
# --install  installs the missing Debian packages (as root)
# --quick    two cases under QEMU alone, one under Xen
# --images   every image of testdata/images/make.sh
# --verdicts what `xinitrd inspect` says of each image beside what came of it, into FILE: of every case there
#            is, where none is named
# XINITRD    the xinitrd program (default: target/release/xinitrd, built anew)
#
# The cases, each a function below, and what each proves; those of the program that is xinitrd's own init are
# in native.sh, images broken or made by others in broken.sh and images.sh, those under Xen in xen/cases.sh, and run in the background meanwhile:
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
late          rootwait, and a disk that is plugged in when the init has long been waiting
xfs           root=UUID= of xfs, while the image would sooner try ext4
btrfs         root=LABEL= of btrfs
request       a file system whose module is in the image unloaded: the kernel asks modprobe for it
old           a kernel without devtmpfs: the init makes the nodes of disks itself
absent        no such root: the report, then a panic
unmountable   a root that will not mount: the reason, then a power-off
initless      an init= that is not there: the reason, then a panic
nfs           a root on NFS is refused
shell         xinitrd.onfail=shell: the shell mends it, and its end tries again
stored        an image without compression
xz-image      an image in xz
zstd-image    an image in zstd
lz4-image     an image in lz4
microcode     an image behind an early archive of processor microcode
unpacking     archives full of tricks, and broken ones: what each leaves behind, against the model of the kernel
cloud         the cloud flavour of a kernel
arm64         a 64-bit ARM kernel
i386          a 32-bit kernel
compressed    a module in gzip, which busybox unpacks though the kernel knows xz alone
compat        a 32-bit busybox, which a 64-bit kernel runs
strict        a kernel that runs no 32-bit program (ia32_emulation=0)
'
set -eu

# shellcheck source=tests/boot/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/boot/xen/cases.sh
. "$here/xen/cases.sh"
# shellcheck source=tests/boot/native.sh
. "$here/native.sh"
# shellcheck source=tests/boot/broken.sh
. "$here/broken.sh"
# shellcheck source=tests/boot/images.sh
. "$here/images.sh"
CASES=$CASES$NATIVE_CASES$BROKEN_CASES$IMAGE_CASES$XEN_CASES
MORE_CASES=$MORE_IMAGE_CASES$MORE_XEN_CASES

# ---- The cases --------------------------------------------------------------------------------

case_device() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda single
    reached '/dev/vda ext4 ro,.* views=moved pid=1 by=/sbin/init args=\[single\]$'
    says 'xinitrd: module xen-blkfront not loaded: No such device'
}

case_xz() {
    kernel 6.12 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda quiet
    reached '/dev/vda ext4 ro,'
    never_says '^xinitrd:'
}

case_uuid() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot "root=UUID=${uuid^^}"
    reached '/dev/vda ext4 ro,'
}

case_label() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot "root=\"LABEL=$label\""
    reached '/dev/vda ext4 ro,'
}

case_number() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk gpt
    boot root=254:1 # virtio-blk's is the first of the majors given out as needed
    reached '/dev/vda1 ext4 ro,'
}

case_gpt() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk gpt
    boot "root=PARTUUID=$partuuid"
    reached '/dev/vda1 ext4 ro,'
}

case_partlabel() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk gpt
    boot root=PARTLABEL=guestroot
    reached '/dev/vda1 ext4 ro,'
}

case_mbr() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk mbr
    boot root=PARTUUID=0badcafe-01
    reached '/dev/vda1 ext4 ro,'
}

case_writable() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda rw ro rw rootfstype=ext2,ext4 rootflags=noatime,errors=panic
    reached '/dev/vda ext4 rw,noatime,errors=panic '
}

case_init() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda init=/sbin/other -- one rw two=2
    reached '/dev/vda ext4 ro,.* by=/sbin/other args=\[one\]\[rw\]\[two=2\]$'
}

case_baked() {
    kernel 6.1 && disk ext4
    virtio_image --rootfs ext4 --root-device "UUID=$uuid" --root-options rw,noatime
    boot
    reached '/dev/vda ext4 rw,noatime '
}

case_delay() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot rootdelay=1 rootwait root=/dev/vda
    reached '/dev/vda ext4 ro,'
}

case_late() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    attached_late 3
    boot root=/dev/vda rootwait
    says 'xinitrd: waiting for /dev/vda'
    reached '/dev/vda ext4 ro,'
}

case_xfs() {
    kernel 6.1 && virtio_image --rootfs ext4 --with xfs && disk xfs
    boot "root=UUID=$uuid"
    reached '/dev/vda xfs ro,'
}

case_btrfs() {
    kernel 6.1 && virtio_image --rootfs btrfs && disk btrfs
    boot "\"root=LABEL=$label\""
    reached '/dev/vda btrfs ro,'
}

case_request() {
    local manifest=$work/request.toml
    "$XINITRD" manifests busybox | sed 's/^\[modules\]$/&\ninclude = ["xfs"]/' >"$manifest"
    kernel 6.1 && virtio_image --rootfs ext4 && disk xfs
    boot root=/dev/vda rootfstype=xfs
    reached '/dev/vda xfs ro,'
}

case_old() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk gpt
    without_devtmpfs
    boot "root=PARTUUID=$partuuid"
    reached '/dev/vda1 ext4 ro,.* views=lost'
}

case_absent() {
    local elsewhere='a root= that is not there'
    kernel 6.1 && virtio_image --rootfs ext4 && disk mbr
    boot root=/dev/xvda1 rootwait=3
    says 'xinitrd: no root: root=/dev/xvda1 did not appear' \
        'xinitrd: asked for: root=/dev/xvda1 ro; waited [3-9] s' \
        'xinitrd:   vda 40 MiB$' \
        "xinitrd:   vda1 32 MiB ext UUID=$uuid LABEL=$label PARTUUID=0badcafe-01\$" \
        'xinitrd: modules loaded: .*virtio_blk' \
        'xinitrd:   xen-blkfront: No such device' \
        'Kernel panic - not syncing: Attempted to kill init!'
}

case_unmountable() {
    local elsewhere='a root that cannot be mounted'
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda rootfstype=minix,ext4 rootflags=nonesuch xinitrd.onfail=poweroff
    says 'xinitrd: no root: /dev/vda cannot be mounted \(minix: No such device, ext4: Invalid' \
        'xinitrd: giving up: poweroff' '.*reboot: Power down'
    never_says 'Kernel panic'
}

case_initless() {
    local elsewhere='an init= that is not there'
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda init=/sbin/nonesuch
    says 'xinitrd: no root: the root on /dev/vda has no program /sbin/nonesuch' \
        'Kernel panic - not syncing: Attempted to kill init!'
}

case_nfs() {
    local elsewhere='a root on NFS'
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/nfs nfsroot=192.0.2.1:/srv xinitrd.onfail=reboot
    says 'xinitrd: no root: a root on NFS is not supported' '.*reboot: Restarting system'
}

case_shell() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    local prompt='a shell to mend it' typed='ln -s vda /dev/late; exit'
    boot root=/dev/late rootwait=1 xinitrd.onfail=shell
    says 'xinitrd: no root: root=/dev/late did not appear'
    reached '/dev/(late|vda) ext4 ro,'
}

# in_format NAME: an image compressed so, by a kernel that has told so.
in_format() {
    kernel 6.1 && virtio_image --rootfs ext4 --compress "$1" && disk ext4
    boot root=/dev/vda
    reached '/dev/vda ext4 ro,'
    never_says 'Initramfs unpacking failed'
}

case_stored() {
    in_format none
}

case_xz-image() {
    in_format xz
}

case_zstd-image() {
    in_format zstd
}

case_lz4-image() {
    in_format lz4
}

# The kernel looks for microcode in a plain archive at the very beginning, and unpacks what follows
# (`Documentation/arch/x86/microcode.rst`).
case_microcode() {
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    local early=$work/early
    mkdir -p "$early/kernel/x86/microcode"
    head -c 4096 /dev/zero >"$early/kernel/x86/microcode/GenuineIntel.bin"
    (cd "$early" && find . | cpio -o -H newc --quiet) | cat - "$image" >"$work/microcode.img"
    image=$work/microcode.img
    boot root=/dev/vda
    reached '/dev/vda ext4 ro,'
}

# unpacks_alike NAME...: of each image of rootfs.py the kernel makes what the model makes, and complains
# where inspect says so. Two machines at a time.
unpacks_alike() {
    local name running=0
    for name; do
        if [ "$running" = 2 ]; then wait -n; else running=$((running + 1)); fi
        unpack_alike "$name" &
    done
    for ((; running; running--)); do wait -n; done
}

unpack_alike() {
    local image=$work/rootfs/$1.img console=$work/rootfs/$1-$version.console model=$work/rootfs/$1.model
    local differences stops
    "$top/target/debug/examples/rootfs" "$version" "$image" "${image%.img}.segments" >"$model"
    start root=/dev/vda loglevel=4 # without root= the rootfs is a tmpfs
    says TREE-END
    differences=$(python3 "$here/rootfs.py" compare "$model" "$console" 2>&1)
    [ -z "$differences" ] || problem "$version, $1: $differences"
    stops=$("$XINITRD" inspect --json --kernel-version "$version" "$image" | grep -c '"stops":{') || true
    [ "$stops" = "$(grep -c 'Initramfs unpacking failed' "$console")" ] ||
        problem "$version, $1: the kernel's word and inspect's on unpacking it differ"
}

case_unpacking() {
    (cd "$top" && cargo build --example rootfs --quiet)
    mkdir "$work/rootfs"
    python3 "$here/rootfs.py" make "$busybox/busybox" "$here/rootfs-init" "$work/rootfs" >"$work/rootfs/names"
    disk ext4
    local names=()
    mapfile -t names <"$work/rootfs/names"
    kernel 6.1 && unpacks_alike "${names[@]}"
    kernel 6.12 && unpacks_alike tricks
}

case_cloud() {
    kernel 6.1 cloud-amd64 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda
    reached '/dev/vda ext4 ro,'
}

case_arm64() {
    guest_is arm64
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot "root=UUID=$uuid"
    reached '/dev/vda ext4 ro,'
}

case_i386() {
    guest_is i386
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    boot "root=UUID=$uuid"
    reached '/dev/vda ext4 ro,'
}

case_compressed() {
    kernel 6.12 && virtio_image --rootfs ext4 && disk ext4
    repacked .gz gzip -c
    boot root=/dev/vda
    reached '/dev/vda ext4 ro,'
}

case_compat() {
    kernel 6.12 && virtio_image --rootfs ext4 && disk ext4
    overlaid bin/busybox 755 <"$("$top/testdata/fetch.sh" busybox-i386)/bin/busybox"
    boot root=/dev/vda
    reached '/dev/vda ext4 ro,'
}

case_strict() {
    kernel 6.12 && virtio_image --rootfs ext4 && disk ext4
    boot root=/dev/vda ia32_emulation=0
    reached '/dev/vda ext4 ro,'
}

# ---- The run ----------------------------------------------------------------------------------

# names TABLE
names() {
    awk 'NF { print $1 }' <<<"$1"
}

main() {
    local chosen=() xen_chosen=() document=''
    install=no passed=0 failed=0
    choose "$@"
    [ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(names "$CASES${document:+$MORE_CASES}")
    set_up
    mapfile -t xen_chosen < <(printf '%s\n' "${chosen[@]}" | grep '^xen-')
    start_xen "${xen_chosen[@]}"
    for name in "${chosen[@]}"; do
        [ "$name" != "${name#xen-}" ] || run_case "$name"
    done
    finish_xen "${xen_chosen[@]}"
    python3 "$here/verdicts.py" count "$work/verdicts"
    [ -z "$document" ] || python3 "$here/verdicts.py" document "$work/verdicts" "$document"
    printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

# choose ARGUMENT...: the cases in $chosen, and what else is said in $install and $document.
choose() {
    while [ $# -gt 0 ]; do
        case $1 in
        --install) install=yes ;;
        --quick) chosen+=(device native-gpt xen-pv-6.1) ;;
        --images) mapfile -t -O ${#chosen[@]} chosen < <(names "$IMAGE_CASES$MORE_CASES") ;;
        --verdicts)
            document=${2:?--verdicts takes a file}
            shift
            ;;
        *) names "$CASES$MORE_CASES" | grep -qx -- "$1" ||
            die "no case is called $1; the head of this script lists them"
            chosen+=("$1") ;;
        esac
        shift
    done
}

main "$@"
