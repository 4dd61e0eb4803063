# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh
# Images with xinitrd's own init, which it chooses itself for these kernels: nothing of the guest goes in but
# modules. Each way of naming the root and each way of not reaching it has a case; where one boot can tell of
# several things, it does. run.sh sources this; the guests of Xen are in xen/cases.sh.

NATIVE_CASES='
native-device      root=/dev/NAME; a driver that fails stops nothing and is named; a word for init; cloud kernel
native-uuid        root=UUID= in capitals, beside swap, a journal and a volume of the same UUID; quiet; .ko.xz unpacked
native-label       root="LABEL=" with a space; of ro and rw the last wins; rootfstype= and rootflags=
native-number      root=MAJOR:MINOR; init= over an absolute link, with arguments after --
native-hex         root= in hexadecimal; modules that the kernel unpacks
native-gpt         root=PARTUUID= in capitals on a GPT disk
native-backup      root=PARTUUID= on a GPT disk whose first header is gone
native-partlabel   root=PARTLABEL=
native-mbr         root=PARTUUID= on an MBR disk
native-by-label    /dev/disk/by-label/ with an escaped space; a disk that cannot be written to, asked for rw
native-xfs         /dev/disk/by-uuid/ of xfs, while the image would sooner try ext4
native-btrfs       root=LABEL= of btrfs
native-pair        btrfs over two devices; a root with no init at all: the reason, then a reboot
native-vfat        root=UUID= of FAT; an init= that is not there: the reason, then a panic
native-text        an init= that is no program: the reason, then a panic
native-parameters  parameters of modules on the command line, with a space too; modprobe.blacklist=
native-baked       --root-device and --root-options, with no root= on the command line; nothing of the image stays
native-delay       rootdelay=, without which the disk would come too late
native-late        rootwait, and a disk that is plugged in when the init has long been waiting
native-wait        xinitrd.onfail=wait: the report, and the disk after it
native-absent      no such root: the report, then a panic
native-unmountable a root that will not mount: the reasons, then a power-off
native-nfs         a root on NFS is refused, then a reboot
native-rootless    no root=; an xinitrd.onfail= that is none
native-old         a kernel without devtmpfs and without finit_module
native-arm64       a 64-bit ARM kernel
native-i386        a 32-bit kernel
'

# native GENERATION OPTION...: an image as it comes from xinitrd alone.
native() {
    manifest=auto
    kernel "$1" && shift
    virtio_image "$@"
}

# root_in REGEX WORD...: the boot of a native 6.1 image from $disk ends in the root's init, which tells this.
root_in() {
    local told=$1
    shift
    boot "$@"
    reached "$told"
}

case_native-device() {
    manifest=auto
    kernel 6.1 cloud-amd64 && virtio_image && disk ext4
    root_in '/dev/vda ext4 ro,.* views=moved pid=1 by=/sbin/init args=\[single\]$' root=/dev/vda single
    says 'xinitrd: module xen-blkfront not loaded: ENODEV \(no such device\)' \
        'xinitrd: root is /dev/vda, init is /sbin/init'
}

case_native-uuid() {
    native 6.12 && beside swap journal volume && disk ext4
    root_in '/dev/vdd ext4 ro,' "root=UUID=${uuid^^}" quiet
    never_says '^xinitrd:'
}

case_native-label() {
    native 6.1 && beside swap journal volume && disk ext4
    root_in '/dev/vdd ext4 rw,noatime,errors=panic ' "root=\"LABEL=$label\"" rw ro rw rootfstype=ext2,ext4 \
        rootflags=noatime,errors=panic
}

case_native-number() {
    native 6.1 && disk gpt
    root_in '/dev/vda1 ext4 ro,.* by=/sbin/other args=\[one\]\[rw\]\[two=2\]$' root=254:1 init=/sbin/other \
        -- one rw two=2
}

case_native-hex() {
    native 6.12 --keep-compressed && disk mbr
    root_in '/dev/vda1 ext4 ro,' root=fe01
    says 'xinitrd: module xen-blkfront not loaded: ENODEV'
}

case_native-gpt() {
    native 6.12 && disk gpt
    root_in '/dev/vda1 ext4 ro,' "root=PARTUUID=${partuuid^^}"
}

# The kernel looks at the copy where it is told `gpt`.
case_native-backup() {
    native 6.1 && disk backup
    root_in '/dev/vda1 ext4 ro,' gpt "root=PARTUUID=$partuuid"
}

case_native-partlabel() {
    native 6.1 && disk gpt
    root_in '/dev/vda1 ext4 ro,' root=PARTLABEL=guestroot
}

case_native-mbr() {
    native 6.1 && disk mbr
    root_in '/dev/vda1 ext4 ro,' root=PARTUUID=0BADCAFE-01
}

case_native-by-label() {
    local access=readonly=on
    native 6.1 && disk ext4
    root_in '/dev/vda ext4 ro,' "root=/dev/disk/by-label/${label/ /\\x20}" rw
}

case_native-xfs() {
    native 6.1 --with xfs && disk xfs
    root_in '/dev/vda xfs rw,' "root=/dev/disk/by-uuid/$uuid" rw
}

case_native-btrfs() {
    native 6.12 --rootfs btrfs && disk btrfs
    root_in '/dev/vda btrfs ro,' "\"root=LABEL=$label\""
}

# unreached WHY LINE...: the root's init does not run, and the console says why, and these.
unreached() {
    never_says XINITRD-ROOT-REACHED
    says "xinitrd: no root: $1" "${@:2}"
}

panicked='Kernel panic - not syncing: Attempted to kill init!'

case_native-pair() {
    local elsewhere='an empty root'
    native 6.1 --rootfs btrfs && beside other && disk pair
    boot "root=UUID=$uuid" xinitrd.onfail=reboot
    unreached 'the root on /dev/vd[ab] has no program /sbin/init /etc/init /bin/init /bin/sh' \
        'xinitrd: giving up: reboot' '.*reboot: Restarting system'
}

# What FAT needs to read names the kernel asks modprobe for.
case_native-vfat() {
    local elsewhere='an init= that is not there'
    native 6.1 --rootfs vfat --with nls_cp437 --with nls_ascii && disk vfat
    boot root=UUID=0bad-cafe init=/sbin/nonesuch
    unreached 'the root on /dev/vda has no program /sbin/nonesuch' 'xinitrd:   vda 4 MiB vfat UUID=0bad-cafe$' \
        "$panicked"
}

case_native-text() {
    local elsewhere='an init= that is no program'
    native 6.1 && disk ext4
    boot root=/dev/vda init=/opt/text
    unreached '/opt/text of the root does not run: ENOEXEC ' "$panicked"
}

case_native-parameters() {
    native 6.1 --with scsi_debug --with loop && disk ext4
    root_in '/dev/vda ext4 ro,' root=/dev/vda virtio-blk.queue_depth=64 scsi_debug.add_host=0 \
        'scsi_debug.inq_vendor="a b"' modprobe.blacklist=brd,loop -- show=/sys/module/loop/parameters/max_part \
        show=/sys/module/{virtio_blk/parameters/queue_depth,scsi_debug/parameters/inq_vendor}
    says 'XINITRD-SHOWS .*/queue_depth: 64$' 'XINITRD-SHOWS .*/inq_vendor: a b$' \
        'xinitrd: module loop not loaded: .*modprobe\.blacklist'
    never_says 'XINITRD-SHOWS .*/max_part:'
}

# Without root= the rootfs is a tmpfs, whose pages the kernel counts among those that are shared: of a whole
# image more than 1 MB. Its count is a little behind.
case_native-baked() {
    native 6.1 --root-device "UUID=$uuid" --root-options rw,noatime
    disk ext4
    root_in '/dev/vda ext4 rw,noatime ' -- show=/proc/meminfo
    says 'XINITRD-SHOWS /proc/meminfo: Shmem: +[0-9]{1,2} kB'
}

case_native-delay() {
    native 6.1 && disk ext4
    attached_late 2 'xinitrd: module xen-blkfront'
    root_in '/dev/vda ext4 ro,' rootdelay=6 rootwait=0 root=/dev/vda
}

case_native-late() {
    native 6.1 && disk ext4
    attached_late 1
    root_in '/dev/vda ext4 ro,' "root=UUID=$uuid" rootwait=1 rootwait
    says "xinitrd: waiting for UUID=$uuid"
}

case_native-wait() {
    native 6.1 && disk ext4
    attached_late 1 'xinitrd: going on to look for it'
    root_in '/dev/vda ext4 ro,' "root=\"LABEL=$label\"" rootwait=1 xinitrd.onfail=wait
    says "xinitrd: no root: root=LABEL=$label did not appear" 'xinitrd: block devices: none'
}

case_native-absent() {
    local elsewhere='a root= that is not there'
    native 6.1 && disk mbr
    boot root=/dev/xvda1 rootwait=3 quiet
    unreached 'root=/dev/xvda1 did not appear' \
        'xinitrd: asked for: root=/dev/xvda1 ro; waited 3 s' \
        'xinitrd: block devices:' \
        'xinitrd:   vda 40 MiB$' \
        "xinitrd:   vda1 32 MiB ext4 UUID=$uuid LABEL=$label PARTUUID=0badcafe-01\$" \
        'xinitrd: modules loaded: .*virtio_blk' \
        'xinitrd:   xen-blkfront: ENODEV \(no such device\)' \
        'xinitrd: giving up: panic' "$panicked"
}

case_native-unmountable() {
    local elsewhere='a root that cannot be mounted'
    native 6.1 && disk ext4
    boot root=/dev/vda rootfstype=minix,ext4 rootflags=nonesuch xinitrd.onfail=poweroff
    unreached '/dev/vda cannot be mounted \(minix: ENODEV \(no such device\), ext4: EINVAL ' \
        'xinitrd: giving up: poweroff' '.*reboot: Power down'
    never_says 'Kernel panic'
}

case_native-nfs() {
    local elsewhere='a root on NFS'
    native 6.1 && disk ext4
    boot root=/dev/nfs nfsroot=192.0.2.1:/srv xinitrd.onfail=reboot
    unreached 'a root on NFS or another network file system is not supported' '.*reboot: Restarting system'
}

case_native-rootless() {
    local elsewhere='want of a root='
    native 6.12 && disk ext4
    boot xinitrd.onfail=shell
    unreached 'the command line has no root=' "$panicked" \
        'xinitrd: xinitrd\.onfail=shell is none of panic, reboot, poweroff and wait: panic'
}

# without_devtmpfs_natively: prints the /init of $image, which asks for a file system that is not there.
without_devtmpfs_natively() {
    unpacked | cpio -i --quiet --to-stdout init | LC_ALL=C sed 's/devtmpfs\x00/nonesuch\x00/g'
}

case_native-old() {
    native 6.1 && disk gpt
    overlaid init.real 755 < <(without_devtmpfs_natively)
    cc -static -o "$work/no-finit" "$here/no-finit.c"
    overlaid init 755 <"$work/no-finit"
    root_in '/dev/vda1 ext4 ro,.* views=lost pid=1' "root=PARTUUID=$partuuid" -- show=/proc/{mounts,self/status}
    says 'XINITRD-SHOWS /proc/self/status: Seccomp:.2$'
    never_says 'XINITRD-SHOWS /proc/mounts: [a-z]+ /dev '
}

case_native-arm64() {
    guest_is arm64
    native 6.1 && disk ext4
    root_in '/dev/vda ext4 ro,' "root=UUID=$uuid"
}

case_native-i386() {
    guest_is i386
    native 6.1 && disk gpt
    root_in '/dev/vda1 ext4 ro,' "root=PARTUUID=$partuuid"
}
