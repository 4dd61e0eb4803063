# shellcheck shell=bash disable=SC2154 # variables are shared with lib.sh
# Images broken on purpose, in QEMU alone: what xinitrd refuses to make, or never makes, is made here by
# other means, and must fail in the way docs/boot-faults.md says. run.sh sources this.

BROKEN_CASES='
no-driver     no driver for the disk: the report names no disk
order         a module before what it needs: unknown symbols
cut-module    a module cut short: it does not load
zstd-module   a module in zstd, which busybox does not know
zstd-for-xz   the same, and a kernel that unpacks modules itself, but in xz
no-list       the list of modules gone, by which the init loads
list-ending   a list that calls a module by the name it would have compressed
stray-32-bit  a 32-bit program, and a kernel that runs none
no-mount      the link gone by which busybox mounts /proc
no-modprobe   initramfs-tools without modprobe, which its init calls
no-index      initramfs-tools without the index by which kmod finds what a file system takes
no-rules      dracut without the rule by which udev loads drivers
no-init       no /init: the kernel looks for a root itself
cut-image     a gzip member cut short
tail          bytes after the gzip member
'

# never_reached LINE...: the root was not reached, and the console says these.
never_reached() {
    never_says 'XINITRD-ROOT-REACHED'
    says "$@"
}

# unpacked: the archive of $image.
unpacked() {
    gzip -dc "$image"
}

case_no-driver() {
    local faults=no-driver-for-device
    kernel 6.1 && image --rootfs ext4 && disk ext4
    boot root=/dev/vda rootwait=2
    never_reached 'xinitrd: no root: root=/dev/vda did not appear' 'xinitrd: block devices: none'
}

case_order() {
    local faults=module-loaded-before-its-need
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    overlaid etc/xinitrd/modules 644 < <(unpacked | cpio -i --quiet --to-stdout etc/xinitrd/modules | tac)
    boot root=/dev/vda rootwait=2
    never_reached 'ext4: Unknown symbol jbd2_[a-z_]* \(err -2\)' 'xinitrd: module ext4 not loaded: '
}

case_cut-module() {
    local faults=elf-damaged
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    local ext4=lib/modules/$version/kernel/fs/ext4/ext4.ko
    overlaid "$ext4" 644 < <(head -c 50000 "$tree/$ext4")
    boot root=/dev/vda
    never_reached 'xinitrd: module ext4 not loaded: '
}

# repacked ENDING COMMAND...: $image with the disk's driver compressed so, and so called in the list too.
repacked() {
    local ending=$1 driver
    shift
    driver=$(unpacked | cpio -t --quiet | grep '/virtio_blk\.ko$')
    unpacked | cpio -i --quiet --to-stdout "$driver" | "$@" >"$work/driver"
    unpacked | cpio -i --quiet --to-stdout etc/xinitrd/modules |
        sed "s|^/*$driver|&$ending|" >"$work/list"
    overlaid "$driver$ending" 644 <"$work/driver"
    overlaid etc/xinitrd/modules 644 <"$work/list"
}

case_zstd-module() {
    local faults=module-compression-unreadable
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    repacked .zst zstd -qc
    boot root=/dev/vda rootwait=2
    never_reached 'xinitrd: module virtio_blk not loaded: invalid module format' \
        'xinitrd: no root: root=/dev/vda did not appear'
}

case_zstd-for-xz() {
    local faults=module-compression-unreadable
    kernel 6.12 && virtio_image --rootfs ext4 && disk ext4
    repacked .zst zstd -qc
    boot root=/dev/vda rootwait=2
    never_reached 'xinitrd: module virtio_blk not loaded: invalid module format' \
        'xinitrd: no root: root=/dev/vda did not appear'
}

case_list-ending() {
    local faults=init-module-missing driver
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    driver=$(unpacked | cpio -t --quiet | grep '/virtio_blk\.ko$')
    unpacked | cpio -i --quiet --to-stdout etc/xinitrd/modules >"$work/list"
    sed -i "s|^/*$driver|&.xz|" "$work/list"
    overlaid etc/xinitrd/modules 644 <"$work/list"
    boot root=/dev/vda rootwait=2
    never_reached 'xinitrd: module virtio_blk not loaded: No such file or directory' \
        'xinitrd: no root: root=/dev/vda did not appear'
}

case_no-list() {
    local faults=init-loads-nothing
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    without etc/xinitrd/modules
    boot root=/dev/vda rootwait=2
    never_reached "/init: line [0-9]+: can't open /etc/xinitrd/modules: no such file" \
        'xinitrd: no root: root=/dev/vda did not appear'
}

# What the kernel is told on its command line the administrator tells inspect.
case_stray-32-bit() {
    local faults=elf-wrong-machine
    kernel 6.12 && virtio_image --rootfs ext4 && disk ext4
    overlaid bin/busybox 755 <"$("$top/testdata/fetch.sh" busybox-i386)/bin/busybox"
    start root=/dev/vda ia32_emulation=0
    judge "$current" "${DISK_DEVICES[@]}" --deny elf-wrong-machine
    never_reached 'Failed to execute /init \(error -8\)' 'Kernel panic - not syncing: No working init found.'
}

# without PATH: the archive of $image, PATH under another name of the same length: it stands alone, between a
# header, whose last field is 0, and its padding.
without() {
    unpacked | LC_ALL=C sed "s|\(0\{8\}${1%?}\)${1#"${1%?}"}\x00|\1Z\x00|" >"$work/$current.img"
    image=$work/$current.img
}

case_no-mount() {
    local faults=init-program-missing
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    without bin/mount
    boot root=/dev/vda rootwait=2
    never_reached '/init: line [0-9]+: mount: not found'
}

case_no-modprobe() {
    local faults=init-program-missing
    kernel 6.1 && disk ext4
    image=$("$top/testdata/images/make.sh" initramfs-tools-list-gzip)
    without usr/sbin/modprobe
    boot root=/dev/vda ro quiet
    never_reached '/init: line [0-9]+: /sbin/modprobe: not found' 'Failed to mount /dev/vda as root file system'
}

case_no-index() {
    local faults=modules-index-missing
    kernel 6.1 && disk ext4
    image=$("$top/testdata/images/make.sh" initramfs-tools-list-gzip)
    without "usr/lib/modules/$version/modules.alias.bin"
    boot root=/dev/vda ro quiet
    never_reached 'EXT4-fs \(vda\): Cannot load crc32c driver' 'Failed to mount /dev/vda as root file system'
}

case_no-rules() {
    local faults=init-loads-nothing
    kernel 6.1 && disk ext4
    image=$("$top/testdata/images/make.sh" dracut-list-gzip)
    without usr/lib/udev/rules.d/80-drivers.rules
    boot root=/dev/vda rd.retry=2 rd.shell=0
    never_reached 'dracut Warning: Boot has failed\.'
}

case_no-init() {
    local faults=no-init
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    without init
    boot root=/dev/vda
    never_reached 'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block\(0,0\)'
}

case_cut-image() {
    local faults=damaged-compression
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    head -c "$(($(stat -c %s "$image") / 2))" "$image" >"$work/cut-image.img"
    image=$work/cut-image.img
    boot root=/dev/vda
    never_reached 'Initramfs unpacking failed: read error' \
        'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block\(0,0\)'
}

# The kernel has unpacked all when it comes to the bytes, and goes on.
case_tail() {
    local faults=trailing-bytes
    kernel 6.1 && virtio_image --rootfs ext4 && disk ext4
    { cat "$image" && echo 'bytes that are no archive'; } >"$work/tail.img"
    image=$work/tail.img
    boot root=/dev/vda
    says 'Initramfs unpacking failed: invalid magic at start of compressed archive'
    reached '/dev/vda ext4 ro,'
}
