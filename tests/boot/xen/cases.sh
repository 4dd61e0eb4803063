# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with run.sh
# Guests of Xen: the hypervisor in QEMU, a small dom0 (make-dom0.sh, dom0-init), and each case's guest
# started by `xl create`. run.sh sources this.
#
# All guests with the same dom0 share one boot of it. Therefore the cases run twice: packing, where
# in_xen takes the guest and ends the case, and judging, where it gives the guest's console.

XEN_CASES='
xen-pv-6.1         root and ping through the drivers of the image; the toolstack unpacks its one gzip member
xen-pvh-6.1        the same, as a PVH guest
xen-pv-6.12        compressed modules
xen-pvh-6.12       compressed modules, as a PVH guest
xen-dom0-32        a dom0 whose programs are 32-bit, but for the toolstack
xen-partition      a disk that is there as xvda1 alone, as only Xen has it, found by its UUID
xen-xz             another compression than gzip goes through the toolstack
xen-no-blkfront    a build refuses; an image without the driver finds no disk
xen-members-pv     of two gzip members the toolstack takes the first
xen-members-pvh    the same, as a PVH guest
xen-members-raw    where the first does not fit the length of the last, the kernel gets both
xen-members-4.20   from 4.20 on the kernel always gets both
xen-padded         zeros after the gzip member: the kernel unpacks it, not the toolstack
xen-tail-pv        bytes after the gzip member taken for a length: no guest is created
xen-tail-pvh       the same, as a PVH guest
xen-cut            a gzip member cut short
xen-tiny           an image of tiny-initramfs
xen-native-pv      an image with the init that is built in
xen-native-pvh     the same with compressed modules, as a PVH guest, its root by UUID=
xen-native-4.20    the same again, above another Xen
xen-native-crash   a root that does not appear: the toolstack sees a crash
xen-build-in-dom0  a 32-bit dom0: the i686 program makes the ramdisk of the package of a 64-bit kernel, as outside
'

# Images of other builders that take their time, for udev looks at every device: run where they are named,
# or by --images.
MORE_XEN_CASES='
xen-initramfs-tools  an image of initramfs-tools
xen-dracut         an image of dracut, in zstd, for a PVH guest
'

# ---- Packing ----------------------------------------------------------------------------------

# in_xen TYPE [WORD...]: $image and $vmlinux as a guest of this type, pv or pvh, with these words on
# its command line. Comes back when the guest's console is in $console. A case that wants another $dom0
# (XEN-ARCHITECTURE, the latter that of its own programs) or another name of the guest's $vdisk than
# xvda, or the image made in dom0 by a $builder, says so before.
in_xen() {
    local boot=$work/dom0-${dom0:-4.17-amd64} xen
    if [ "$pass" = judging ]; then
        take_console "$boot"
        xen=${boot##*/dom0-}
        judge "$current" --xen "${xen%-*}"
        return
    fi
    pack "$boot" "$@"
    exit
}

# pack DIRECTORY TYPE WORD... The uncompressed kernel, for the toolstack takes 5 s to unpack one.
# `panic=2` leaves the console time to get through.
pack() {
    local guest=$1/guests/$current type=$2
    mkdir -p "$guest"
    echo "$limit" >"$guest/seconds"
    ln -f -s "$vmlinux" "$1/guests"
    if [ -n "$builder" ]; then
        cp "$builder" "$guest/xinitrd"
        cp "$package" "$guest"
        ln -s "../${vmlinux##*/}" "$guest/vmlinux"
        return
    fi
    cp "$image" "$guest/ramdisk"
    shift 2
    cat >"$guest/config" <<CONFIG
name = "$current"
type = "$type"
kernel = "/guests/${vmlinux##*/}"
ramdisk = "/guests/$current/ramdisk"
extra = "root=/dev/${vdisk:-xvda} console=hvc0 panic=2 $*"
memory = 256
disk = [ "phy:/dev/vdb,${vdisk:-xvda},w" ]
vif = [ "bridge=guests" ]
on_reboot = "destroy"
on_crash = "destroy"
CONFIG
}

# ---- Running ----------------------------------------------------------------------------------

# start_xen CASE...: packs the guests and starts their boots in the background, one after another. What
# goes wrong here, judging tells.
start_xen() {
    [ $# -gt 0 ] || return 0
    local pass=packing dom0='' vdisk='' builder='' package='' manifest=busybox boot
    set +e
    for current; do (
        set -e
        "case_$current"
    ) 2>/dev/null; done
    mapfile -t dom0s < <(find "$work" -maxdepth 1 -name 'dom0-*' | sort)
    for boot in "${dom0s[@]}"; do (
        set -e
        prepare_dom0 "$boot"
    ) 2>"$boot/log"; done
    set -e
    (
        trap 'kill "$machine" && wait "$machine"; exit 1' TERM
        for boot in "${dom0s[@]}"; do
            [ ! -e "$boot/guests.tar" ] || boot_dom0 "$boot"
        done
    ) &
    xen_boots=$!
}

# prepare_dom0 DIRECTORY: what boot_dom0 needs, under the names that it uses.
prepare_dom0() {
    local packages programs modules xen=${1##*/dom0-}
    disk ext4
    : >"$1/dom0.console"
    : >"$1/guests.console"
    packages=$("$top/testdata/fetch.sh" "xen-${xen%-*}-amd64")
    programs=$("$top/testdata/fetch.sh" "busybox-${xen#*-}")
    modules=$("$top/testdata/fetch.sh" kernel-6.1-amd64-depmod)
    kernel 6.1
    ln -s "$vmlinux" "$1/vmlinux"
    "$here/xen/make-dom0.sh" "$packages" "$modules" "$programs" "$1/initramfs"
    gzip -dc "$packages"/boot/xen-*.gz >"$1/xen"
    ln -s "$disks/ext4.disk" "$1/root.disk"
    tar -C "$1/guests" -chf "$1/guests.tar" .
}

# boot_dom0 DIRECTORY: its consoles come into the directory. Bare file names, because -initrd has its own
# use for commas and spaces. With the processor emulated and Xen above it, dom0 does not survive SMAP, nor
# a PVH guest RDTSCP (6.1) or XSAVE (6.12). One processor, because two take twice the time.
boot_dom0() {
    local started=$EPOCHREALTIME guests
    guests=$(find "$1/guests" -name seconds | wc -l)
    (
        cd "$1"
        exec timeout -k 5 "$((limit + 60 * guests))" qemu-system-x86_64 -machine q35 -accel tcg \
            -cpu max,-smap,-rdtscp,-xsave -smp 1 -m 1536 \
            -nodefaults -no-user-config -no-reboot -display none \
            -serial file:dom0.console -serial file:guests.console \
            -drive if=none,id=guests,file=guests.tar,format=raw,readonly=on \
            -device virtio-blk-pci,drive=guests \
            -drive if=none,id=root,file=root.disk,format=raw,snapshot=on \
            -device virtio-blk-pci,drive=root \
            -kernel xen -append 'console=com1 com1=115200,8n1 dom0_mem=768M,max:768M' \
            -initrd 'vmlinux console=hvc0 panic=1,initramfs' 2>>log
    ) &
    machine=$!
    wait "$machine" || echo "qemu ended with $?" >>"$1/log"
    printf 'the boot of %s and %s of these: %s s\n' "${1##*/}" "$guests" "$(since "$started")" \
        >"$1/summary"
}

# ---- Judging ----------------------------------------------------------------------------------

# finish_xen CASE...
finish_xen() {
    [ $# -gt 0 ] || return 0
    local pass=judging dom0='' vdisk='' builder='' package='' name
    wait "$xen_boots" || true
    for name; do run_case "$name"; done
    for name in "${dom0s[@]}"; do cat "$name/summary" 2>/dev/null || true; done
}

# take_console DIRECTORY: this guest's part of what its dom0 sent.
take_console() {
    tr -d '\r' <"$1/guests.console" | awk -v name="$current" -v seconds="$work/seconds" '
        $1 == ">>>" && $2 == name { printf "%.1f", $3 / 100 >seconds }
        $1 == ">>>" { inside = 0 }
        inside { print }
        $1 == "<<<" { inside = $2 == name }' >"$console"
    [ ! -e "$work/seconds" ] || return 0
    problem "dom0 did not get to the guest's end: $(tail -n 1 "$1/log")"
    tail -n 20 "$1/dom0.console" >>"$console"
}

# in_root: the guest came to its root and to its network by the drivers in its image.
in_root() {
    reached "/dev/${vdisk:-xvda} ext4 ro,.* pid=1 by=/sbin/init"
    says 'XINITRD-NETWORK-REACHED eth0 by vif'
    never_says '^xinitrd: module .* not loaded'
}

# unpacked_by_toolstack: the kernel was handed the archive itself; or, with the other, the file as it is.
unpacked_by_toolstack() {
    was_handed "$(gzip -dc "$image" | wc -c)"
}

unpacked_by_kernel() {
    was_handed "$(wc -c <"$image")"
}

# was_handed BYTES: a ramdisk takes whole pages of 4 KiB.
was_handed() {
    local pages=$((($1 + 4095) / 4096))
    says "Freeing initrd memory: $((4 * pages))K"
}

# ---- Broken images ----------------------------------------------------------------------------

# without_blkfront: $image by a manifest that does not ask for the driver of disks.
without_blkfront() {
    local manifest=$work/no-blkfront.toml
    "$XINITRD" manifests busybox |
        awk 'BEGIN { RS = ""; ORS = "\n\n" } !/role = "block"/' >"$manifest"
    image
}

# small_tree MODULE...: what an image takes from $tree, and of its drivers these, as $tree.
small_tree() {
    local small=$work/tree-$#
    if [ ! -d "$small" ]; then
        mkdir -p "$small/lib/modules/$version"
        (cd "$tree/lib/modules/$version" &&
            cp -a --parents modules.* kernel/arch/x86/crypto kernel/crypto kernel/lib kernel/fs/ext4 \
                kernel/fs/jbd2 kernel/fs/mbcache.ko "$@" "$small/lib/modules/$version")
    fi
    tree=$small
}

# refused REGEX: a build from $tree ends with 1 and says this.
refused() {
    local words status=0
    words=$("$XINITRD" build --root "$tree" --manifest busybox --bins "$busybox" -o "$work/refused.img" 2>&1) || status=$?
    [ "$status" = 1 ] || problem "a build that is to be refused ended with $status"
    grep -Eq "$1" <<<"$words" || problem "the build did not say: $1"
    [ ! -e "$work/refused.img" ] || problem 'the build wrote an image'
}

# small_archive: a whole archive, of one file, in a gzip member.
small_archive() {
    (cd "$here/xen" && echo hotplug | cpio -o -H newc --quiet) | gzip -n
}

# changed COMMAND...: what the command writes is the $image from now on.
changed() {
    "$@" >"$work/$current.img"
    image=$work/$current.img
}

# A guest has 256 MiB, and this is 512 as the last four bytes of a gzip member have a length.
with_false_length() {
    cat "$image"
    printf '\0\0\0\40'
}

with_zeros() {
    cat "$image"
    printf '\0\0\0\0'
}

# The last four bytes say 4 GiB, which the toolstack takes for no length; by other ones it would
# come to the same after trying.
cut_short() {
    head -c 900000 "$image"
    printf '\377\377\377\377'
}

small_first() {
    small_archive
    cat "$image"
}

small_last() {
    cat "$image"
    small_archive
}

# ---- The cases --------------------------------------------------------------------------------

case_xen-pv-6.1() {
    kernel 6.1
    image
    in_xen pv
    in_root
    says 'dom0: Xen 4.17, kernel x86_64, 64-bit user space'
    unpacked_by_toolstack
}

case_xen-pvh-6.1() {
    kernel 6.1
    image
    in_xen pvh
    in_root
    unpacked_by_toolstack
}

case_xen-pv-6.12() {
    kernel 6.12
    image
    in_xen pv
    in_root
}

case_xen-pvh-6.12() {
    kernel 6.12
    image
    in_xen pvh
    in_root
}

# A 32-bit toolstack does not work above a 64-bit kernel: drivers/xen/privcmd.c has no compat_ioctl.
case_xen-dom0-32() {
    local dom0=4.17-i386
    kernel 6.1
    image
    in_xen pv
    in_root
    says 'dom0: Xen 4.17, kernel x86_64, 32-bit user space'
}

case_xen-partition() {
    local vdisk=xvda1
    kernel 6.1
    image
    in_xen pv "root=UUID=$uuid"
    in_root
}

case_xen-xz() {
    kernel 6.1
    image --compress xz
    in_xen pv
    unpacked_by_kernel
    in_root
}

case_xen-no-blkfront() {
    local faults=no-xen-block-driver
    kernel 6.1
    small_tree kernel/drivers/net/xen-netfront.ko
    refused 'no block driver: none of xen:vbd, xen-blkfront'
    without_blkfront
    in_xen pv rootwait=2
    says 'xenbus_probe_frontend: Device with no driver: device/vbd/51712' \
        'xinitrd: no root: root=/dev/xvda did not appear' 'xinitrd: block devices: none' \
        'Kernel panic - not syncing: Attempted to kill init!'
}

case_xen-members-pv() {
    local faults=xen-several-members
    kernel 6.1
    image
    changed small_first
    in_xen pv
    first_member_alone
}

case_xen-members-pvh() {
    local faults=xen-several-members
    kernel 6.1
    image
    changed small_first
    in_xen pvh
    first_member_alone
}

# first_member_alone: without a word from anyone, the kernel finds no /init.
first_member_alone() {
    never_says '^xc: error|Initramfs unpacking failed|^xinitrd:'
    says 'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block\(0,0\)'
}

case_xen-members-raw() {
    local faults=xen-several-members
    kernel 6.1
    image
    changed small_last
    in_xen pv
    says 'xc: error: .*xc_dom_do_gunzip: inflate failed'
    unpacked_by_kernel
    in_root
}

case_xen-members-4.20() {
    local dom0=4.20-amd64
    kernel 6.1
    image
    changed small_first
    in_xen pv
    says 'dom0: Xen 4.20'
    unpacked_by_kernel
    in_root
}

case_xen-padded() {
    local faults=xen-bytes-after-member
    kernel 6.1
    image
    changed with_zeros
    in_xen pv
    says 'xc: error: .*xc_dom_do_gunzip: inflate failed'
    unpacked_by_kernel
    in_root
}

case_xen-tail-pv() {
    local faults=xen-bytes-after-member
    kernel 6.1
    image
    changed with_false_length
    in_xen pv
    not_created
}

case_xen-tail-pvh() {
    local faults=xen-bytes-after-member
    kernel 6.1
    image
    changed with_false_length
    in_xen pvh
    not_created
}

not_created() {
    says 'xc: error: .*segment module0 too large .*: Out of memory' \
        'libxl: error: .*cannot \(re-\)build domain'
    never_says 'Linux version'
}

case_xen-cut() {
    local faults=damaged-compression
    kernel 6.1
    image
    changed cut_short
    in_xen pv
    says 'Initramfs unpacking failed: read error' \
        'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block\(0,0\)'
}

# made_by NAME: an image of another builder, as testdata/images/make.sh makes it. What its udev calls the
# network card, or whether it hands on a /sys to find it, is not judged.
made_by() {
    kernel 6.1
    image=$("$top/testdata/images/make.sh" "$1")
}

case_xen-tiny() {
    made_by tiny-gzip
    in_xen pv ro
    unpacked_by_toolstack
    reached '/dev/xvda ext4 ro,.* pid=1 by=/sbin/init'
}

case_xen-initramfs-tools() {
    made_by initramfs-tools-list-gzip
    in_xen pv ro
    unpacked_by_toolstack
    reached '/dev/xvda ext4 ro,.* pid=1 by=/sbin/init'
}

case_xen-dracut() {
    made_by dracut-list-zstd
    in_xen pvh ro
    unpacked_by_kernel
    reached '/dev/xvda ext4 ro,.* pid=1 by=/sbin/init'
}

case_xen-native-pv() {
    local manifest=auto
    kernel 6.1
    image
    in_xen pv
    in_root
    unpacked_by_toolstack
}

case_xen-native-pvh() {
    local manifest=auto
    kernel 6.12
    image
    in_xen pvh "root=UUID=$uuid"
    in_root
}

case_xen-native-4.20() {
    local manifest=auto dom0=4.20-amd64
    kernel 6.12
    image
    in_xen pv "root=UUID=$uuid"
    in_root
    unpacked_by_kernel
}

# The reason is SHUTDOWN_crash of Xen's public/sched.h.
case_xen-native-crash() {
    local manifest=auto elsewhere='a root= that is not there'
    kernel 6.1
    image
    in_xen pvh root=/dev/xvdz rootwait=2
    says 'xinitrd: no root: root=/dev/xvdz did not appear' 'xinitrd:   xvda 32 MiB ext4 ' \
        'Domain [0-9]+ has shut down, reason code 3 '
}

# The situation of an administrator whose dom0 is 32-bit: its programs cannot run those of the guest. The image
# outside is made of the package unpacked.
case_xen-build-in-dom0() {
    local manifest=auto dom0=4.17-i386 builder package
    builder=$("$top/dist/make.sh" i686)
    package=$(ls "$("$top/testdata/fetch.sh" package-kernel-6.1-cloud-amd64)"/*.deb)
    kernel 6.1 cloud-amd64
    image
    in_xen pv
    says 'dom0: Xen 4.17, kernel x86_64, 32-bit user space' "dom0: xinitrd is 32-bit" \
        "dom0: ramdisk $(sha256sum <"$image" | cut -d ' ' -f 1)"
    in_root
}
