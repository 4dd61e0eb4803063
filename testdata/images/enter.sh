#!/bin/sh
# Runs a shell's lines in a root where a kernel is installed that is not. make.sh starts it in a mount
# namespace, with which all that it mounts ends.
#
#   enter.sh ROOT KERNEL WORK LINES
#
# KERNEL is a kernel's unpacked package. WORK becomes /tmp, its `scratch` and `firmware` the directories
# of those purposes; nothing else can be written to, and no device is there but these:
set -eu
DEVICES='null zero random urandom'

root=$1 kernel=$2 work=$3 lines=$4
version=$(ls "$kernel/lib/modules")

mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs none "$root/usr/lib/modules"
mkdir "$root/usr/lib/modules/$version"
mount --bind "$kernel/lib/modules/$version" "$root/usr/lib/modules/$version"
mount --bind "$kernel/boot" "$root/boot"
mount --bind "$work" "$root/tmp"
mount --bind "$work/scratch" "$root/var/tmp"
mount --bind "$work/firmware" "$root/usr/lib/firmware"
# For bash, whose <() is a file there.
mount --rbind /proc "$root/proc"
# Not sticky: what is not root's own could not be opened there by who may create files.
mount -t tmpfs -o mode=755 none "$root/dev"
ln -s /proc/self/fd "$root/dev/fd"
for device in $DEVICES; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done

cd "$root"
exec env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
    version="$version" chroot . sh -euc "$lines"
