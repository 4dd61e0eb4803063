#!/bin/bash
# Makes the initramfs of a small dom0: busybox, Xen's toolstack, and the drivers behind a guest's disk
# and network card. No root is needed.
#
#   tests/boot/xen/make-dom0.sh XEN KERNEL BUSYBOX OUTPUT
#
# XEN      the packages of hypervisor and toolstack, unpacked
# KERNEL   a kernel's tree with depmod's files
# BUSYBOX  a tree with bin/busybox, of any architecture that the kernel runs
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
xen=$1 kernel=$2 busybox=$3 output=$4

# virtio brings the guests and their disk in; the others serve the toolstack, and then the guests.
MODULES='virtio_pci virtio_blk xenfs xen-privcmd xen-evtchn xen-gntdev xen-blkback xen-netback bridge'

# module_files: MODULES and all that they need, in load order.
module_files() {
    local module
    for module in $MODULES; do
        modprobe -d "$kernel" -S "$(ls "$kernel/lib/modules")" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

place_modules() {
    mkdir "$root/modules"
    module_files | while read -r file; do
        cp "$file" "$root/modules"
        echo "/modules/${file##*/}"
    done >"$root/modules/order"
}

place_scripts() {
    mkdir -p "$root/etc/xen/scripts"
    cp "$here/dom0-init" "$root/init"
    cp "$here/hotplug" "$root/etc/xen/scripts/block"
    ln -s block "$root/etc/xen/scripts/vif-bridge"
    : >"$root/etc/xen/xl.conf"
    chmod 755 "$root/init" "$root/etc/xen/scripts/block"
}

# place_toolstack: its programs where it looks for them itself, and under a name without a version.
# Libraries lie in directories that the loader knows without a cache; older packages have some outside
# /usr.
place_toolstack() {
    local bin libraries
    for bin in "$xen"/usr/lib/xen-*/bin; do
        mkdir -p "$root${bin#"$xen"}"
        cp "$bin"/{xl,xenstored,xenconsoled,xen-init-dom0} "$root${bin#"$xen"}"
        ln -s "${bin#"$xen"}" "$root/toolstack"
    done
    cp "$xen"/usr/bin/xenstore-{read,write} "$root/bin"
    ln -s usr/lib usr/lib64 "$root"
    for libraries in "$xen"/{,usr/}lib{,64}; do
        [ ! -d "$libraries" ] || (cd "$libraries/.." &&
            find "${libraries##*/}" -maxdepth 2 -name '*.so*' | cpio -pdm --quiet "$root/usr")
    done
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM

mkdir -p "$root"/{bin,dev,proc,sys,run/xen,tmp,guests,var/lib/xen,var/log/xen}
ln -s /run "$root/var/run"
ln -s /run "$root/var/lock"
cp "$busybox/bin/busybox" "$root/bin"
place_modules
place_scripts
place_toolstack
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$output"
