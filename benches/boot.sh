#!/bin/bash
# Boots the same guest with images of several builders, in turn, and prints a table: how large each image is,
# when its /init runs, and how long that takes to the root's init. By the kernel's own time stamps on the console.
#
#   benches/boot.sh [ROUNDS]
#
# The guest is QEMU's, without acceleration: a virtio disk with ext4, Debian's 6.1 kernel. Each image has the
# drivers of that guest and of Xen's, and what its builder adds; all are in gzip. XINITRD names another program.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/.." && pwd)
cache=${XINITRD_CACHE:-$top/.cache}
PATH=$PATH:/usr/sbin:/sbin
rounds=${1:-5}
limit=120 # seconds a boot may take

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for tool in qemu-system-x86_64:qemu-system-x86 mke2fs:e2fsprogs python3:python3; do
    command -v "${tool%:*}" >/dev/null || { echo "benches/boot.sh: first: apt-get install ${tool#*:}" >&2; exit 2; }
done

[ -n "${XINITRD:-}" ] || (cd "$top" && cargo build --release --quiet)
xinitrd=${XINITRD:-$top/target/release/xinitrd}
tree=$("$top/testdata/fetch.sh" kernel-6.1-amd64)
busybox=$("$top/testdata/fetch.sh" busybox-amd64)/bin
release=$(basename "$tree"/boot/vmlinuz-*)
release=${release#vmlinuz-}
# An uncompressed kernel starts seconds sooner; the time stamps are the same.
kernel=$cache/vmlinux-$release
[ -e "$kernel" ] || python3 "$top/tests/boot/vmlinux.py" "$tree/boot/vmlinuz-$release" "$kernel"

# The root: its init tells the kernel that it runs, and turns the machine off.
root_disk() {
    mkdir -p "$work/root"/{bin,sbin,dev,etc,proc,run,sys}
    cp "$busybox/busybox" "$work/root/bin/busybox"
    echo 'ID=guest' >"$work/root/etc/os-release"
    cat >"$work/root/sbin/init" <<'INIT'
#!/bin/busybox sh
echo '<1>XINITRD-BENCH-REACHED' >/dev/kmsg
exec /bin/busybox poweroff -f
INIT
    chmod 755 "$work/root/sbin/init"
    truncate -s 32M "$work/disk"
    mke2fs -q -t ext4 -d "$work/root" "$work/disk"
}

# image NAME: the image of a builder, in $work/NAME.img.
image() {
    case $1 in
    native | busybox)
        "$xinitrd" build --root "$tree" --bins "$busybox" --manifest "$1" \
            --with virtio_blk --with virtio_pci -q -o "$work/$1.img"
        ;;
    tiny-initramfs) cp "$("$top/testdata/images/make.sh" tiny-gzip)" "$work/$1.img" ;;
    *) cp "$("$top/testdata/images/make.sh" "$1-list-gzip")" "$work/$1.img" ;;
    esac
}

# boot NAME: the console of a boot, in $work/NAME.console.
boot() {
    timeout -k 5 "$limit" qemu-system-x86_64 -machine q35 -cpu max -accel tcg -m 512 \
        -nodefaults -no-user-config -no-reboot -display none -serial stdio \
        -drive "if=none,id=root,file=$work/disk,format=raw,snapshot=on" -device virtio-blk-pci,drive=root \
        -kernel "$kernel" -initrd "$work/$1.img" \
        -append 'console=ttyS0 panic=-1 loglevel=7 printk.time=1 root=/dev/vda ro' \
        </dev/null >"$work/$1.console" || true
}

names=(native busybox tiny-initramfs initramfs-tools dracut)
root_disk
for name in "${names[@]}"; do image "$name"; done
for ((round = 1; round <= rounds; round++)); do
    for name in "${names[@]}"; do
        boot "$name"
        python3 "$here/boot.py" times "$name" "$work/$name.console" >>"$work/times"
    done
done
python3 "$here/boot.py" table "$work" "${names[@]}" <"$work/times"
