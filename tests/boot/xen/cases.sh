# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with run.sh
# Guests of Xen: the hypervisor in QEMU, a small dom0 (make-dom0.sh, dom0-init), and each case's guest
# started by `xl create`. run.sh sources this.
#
# All guests with the same dom0 share one boot of it. Therefore the cases run twice: packing, where
# in_xen takes the guest and ends the case, and judging, where it gives the guest's console.

XEN_CASES='
xen-pv-6.1         root and ping through the image'"'"'s own drivers; the toolstack unpacks the one gzip member
xen-pvh-6.1        the same, as a PVH guest
xen-pv-6.12        compressed modules
xen-pvh-6.12       compressed modules, as a PVH guest
xen-dom0-32        a dom0 whose user space is 32-bit, but for the toolstack
'

# ---- Packing ----------------------------------------------------------------------------------

# in_xen TYPE [DOM0]: $image and $vmlinux as a guest of this type (pv, pvh), above a dom0 whose own
# programs are of this architecture. Comes back when the guest's console is in $console.
in_xen() {
    local boot=$work/dom0-${2:-amd64}
    if [ "$pass" = judging ]; then
        take_console "$boot"
        return
    fi
    pack "$1" "$boot"
    exit
}

# pack TYPE DIRECTORY. The uncompressed kernel, for the toolstack takes 5 s to unpack one. `panic=2`
# leaves the console time to get through.
pack() {
    local guest=$2/guests/$current
    mkdir -p "$guest"
    cp "$image" "$guest/ramdisk"
    ln -f -s "$vmlinux" "$2/guests"
    echo "$limit" >"$guest/seconds"
    cat >"$guest/config" <<CONFIG
name = "$current"
type = "$1"
kernel = "/guests/${vmlinux##*/}"
ramdisk = "/guests/$current/ramdisk"
extra = "root=/dev/xvda console=hvc0 panic=2"
memory = 256
disk = [ "phy:/dev/vdb,xvda,w" ]
vif = [ "bridge=guests" ]
on_reboot = "destroy"
on_crash = "destroy"
CONFIG
}

# ---- Running ----------------------------------------------------------------------------------

# start_xen CASE...: packs the guests and starts their boots in the background, one after another.
start_xen() {
    [ $# -gt 0 ] || return 0
    local pass=packing boot
    for current; do (set -e && "case_$current") || true; done # judging tells of what fails
    disk ext4
    for boot in "$work"/dom0-*/; do
        prepare_dom0 "${boot%/}"
    done
    (
        trap 'kill "$machine" && wait "$machine"; exit 1' TERM
        for boot in "$work"/dom0-*/; do boot_dom0 "${boot%/}"; done
    ) &
    xen=$!
}

# prepare_dom0 DIRECTORY: what boot_dom0 needs, under the names that it uses.
prepare_dom0() {
    local tree vmlinux version packages programs
    packages=$("$top/testdata/fetch.sh" xen-4.17-amd64)
    programs=$("$top/testdata/fetch.sh" "busybox-${1##*-}")
    kernel 6.1
    tree=$("$top/testdata/fetch.sh" kernel-6.1-amd64-depmod)
    "$here/xen/make-dom0.sh" "$packages" "$tree" "$programs" "$1/initramfs"
    ln -s "$vmlinux" "$1/vmlinux"
    gzip -dc "$packages"/boot/xen-*.gz >"$1/xen"
    tar -C "$1/guests" -chf "$1/guests.tar" .
    ln -s "$work/ext4.disk" "$1/root.disk"
}

# boot_dom0 DIRECTORY: its consoles come into the directory. Bare file names, because -initrd has its own
# use for commas and spaces. Without SMAP, which dom0's kernel does not survive here, and without
# RDTSCP, which a PVH guest does not; with one processor, because two take twice the time.
boot_dom0() {
    local started=$EPOCHREALTIME guests
    guests=$(find "$1/guests" -name config | wc -l)
    (
        cd "$1"
        exec timeout -k 5 "$((limit + 60 * guests))" qemu-system-x86_64 -machine q35 -accel tcg \
            -cpu max,-smap,-rdtscp -smp 1 -m 1536 \
            -nodefaults -no-user-config -no-reboot -display none \
            -serial file:dom0.console -serial file:guests.console \
            -drive if=none,id=guests,file=guests.tar,format=raw,readonly=on \
            -device virtio-blk-pci,drive=guests \
            -drive if=none,id=root,file=root.disk,format=raw,snapshot=on \
            -device virtio-blk-pci,drive=root \
            -kernel xen -append 'console=com1 com1=115200,8n1 dom0_mem=768M,max:768M' \
            -initrd 'vmlinux console=hvc0 panic=1,initramfs' 2>qemu-errors
    ) &
    machine=$!
    wait "$machine" || echo "qemu ended with $?" >>"$1/qemu-errors"
    printf '%s guests, and their dom0, in %s s\n' "$guests" "$(since "$started")" >"$1/summary"
}

# ---- Judging ----------------------------------------------------------------------------------

# finish_xen CASE...
finish_xen() {
    [ $# -gt 0 ] || return 0
    local pass=judging name
    wait "$xen" || true
    for name; do run_case "$name"; done
}

# take_console DIRECTORY: this guest's part of what its dom0 sent.
take_console() {
    tr -d '\r' <"$1/guests.console" | awk -v name="$current" -v seconds="$work/seconds" '
        $1 == ">>>" && $2 == name { printf "%.1f", $3 / 100 >seconds }
        $1 == ">>>" { inside = 0 }
        inside { print }
        $1 == "<<<" { inside = $2 == name }' >"$console"
    [ ! -e "$work/seconds" ] || return 0
    problem "dom0 did not get to the guest's end; $(cat "$1/qemu-errors")"
    tail -n 20 "$1/dom0.console" >>"$console"
}

# in_root: the guest came to its root and to its network by the drivers in its image.
in_root() {
    reached '/dev/xvda ext4 ro,.* pid=1 by=/sbin/init'
    says 'XINITRD-NETWORK-REACHED eth0 by vif'
    never_says '^xinitrd: module'
}

# unpacked_by_toolstack: the kernel was handed the archive itself.
unpacked_by_toolstack() {
    local pages=$((($(gzip -dc "$image" | wc -c) + 4095) / 4096))
    says "Freeing initrd memory: $((pages * 4))K"
}

# ---- The cases --------------------------------------------------------------------------------

case_xen-pv-6.1() {
    kernel 6.1 && image && in_xen pv
    in_root
    says 'dom0: Xen 4.17, kernel x86_64, 64-bit user space'
    unpacked_by_toolstack
}

case_xen-pvh-6.1() {
    kernel 6.1 && image && in_xen pvh
    in_root
    unpacked_by_toolstack
}

case_xen-pv-6.12() {
    kernel 6.12 && image && in_xen pv
    in_root
}

case_xen-pvh-6.12() {
    kernel 6.12 && image && in_xen pvh
    in_root
}

# Debian has had no 32-bit toolstack since Xen 4.14, and a 64-bit kernel would not serve one:
# drivers/xen/privcmd.c has no compat_ioctl.
case_xen-dom0-32() {
    kernel 6.1 && image && in_xen pv i386
    in_root
    says 'dom0: Xen 4.17, kernel x86_64, 32-bit user space'
}
