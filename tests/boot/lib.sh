# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with run.sh
# What all boots share: setting up, kernels, images, root disks, running a case and judging it.
# run.sh sources this.
#
# A case is a function `case_NAME`. It boots something into the file $console and says with `says`,
# `never_says` and `reached` what must be there; whatever else is wrong, `problem` takes.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${XINITRD_CACHE:-$top/.cache}
PATH=$PATH:/usr/sbin:/sbin
limit=180 # seconds a boot may take

uuid=5bd1e995-a3c0-4d2e-9f10-0b1c2d3e4f50
partuuid=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
label='xinitrd root'

# ---- Setting up -------------------------------------------------------------------------------

# What is needed: a program, and the Debian package that has it.
TOOLS='
qemu-system-x86_64 qemu-system-x86
qemu-system-aarch64 qemu-system-arm
mke2fs             e2fsprogs
sfdisk             fdisk
mkfs.xfs           xfsprogs
mkfs.btrfs         btrfs-progs
mkfs.vfat          dosfstools
mkswap             util-linux
cc                 gcc
python3            python3
zstd               zstd
lz4                lz4
cpio               cpio
modprobe           kmod
gzip               gzip
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
    # Built anew unless one is named: what is there may be of yesterday.
    [ -n "${XINITRD:-}" ] || (cd "$top" && cargo build --release --quiet)
    : "${XINITRD:=$top/target/release/xinitrd}"

    work=$(mktemp -d)
    guest_is amd64
    : >"$work/verdicts"
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
}

# clean_up: with the boots that are still under way in the background.
clean_up() {
    local job
    for job in $(jobs -p); do kill "$job" 2>/dev/null && wait "$job" || true; done
    rm -rf "$work"
}

die() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
}

# guest_is ARCHITECTURE: amd64, arm64 or i386: its programs in $busybox, its disks in $disks, and
# what it runs in, in $machine.
guest_is() {
    architecture=$1
    busybox=$("$top/testdata/fetch.sh" "busybox-$1")/bin
    disks=$work/disks-$1
    mkdir -p "$disks"
    case $1 in
    arm64) machine=(qemu-system-aarch64 -machine virt -cpu cortex-a72) terminal=ttyAMA0 ;;
    *) machine=(qemu-system-x86_64 -machine q35 -cpu max) terminal=ttyS0 ;;
    esac
}

# kernel GENERATION [FLAVOUR]: the tree in $tree, its version in $version, the kernel in $vmlinux;
# uncompressed, where that starts sooner and QEMU takes it.
kernel() {
    tree=$("$top/testdata/fetch.sh" "kernel-$1-${2:-$architecture}")
    version=$(basename "$tree"/boot/vmlinuz-*)
    version=${version#vmlinuz-}
    vmlinux=$tree/boot/vmlinuz-$version
    [ "$architecture" = amd64 ] || return 0
    local compressed=$vmlinux
    vmlinux=$cache/vmlinux-$version
    [ -e "$vmlinux" ] && return
    python3 "$here/vmlinux.py" "$compressed" "$vmlinux.$$"
    mv "$vmlinux.$$" "$vmlinux"
}

# ---- Images and disks -------------------------------------------------------------------------

# image OPTION...: an image of $tree's kernel in $image, built once for the same options: by a $manifest
# that takes the guest's busybox, or by what xinitrd chooses itself, which takes nothing.
image() {
    local kind=()
    [ "$manifest" = auto ] || kind=(--manifest "$manifest" --bins "$busybox")
    image=$work/$(printf '%s ' "$tree" "$version" "${kind[@]}" "$@" | cksum | tr ' ' -).img
    [ -e "$image" ] || "$XINITRD" build --kernel "$version" --root "$tree" "${kind[@]}" \
        -q -o "$image" "$@"
}

# virtio_image OPTION...: for a machine of QEMU's own. A Debian kernel reaches a virtio disk by two
# modules, neither of which asks for the other.
virtio_image() {
    image --with virtio_blk --with virtio_pci "$@"
}

# without_devtmpfs: $image with an init that cannot mount one, as on kernels before 2.6.32.
without_devtmpfs() {
    overlaid init 755 < <(sed 's/-t devtmpfs/-t nonesuch/' "$top/src/init/busybox.sh")
}

# overlaid PATH MODE: $image with standard input for the file at PATH. The kernel unpacks a second
# archive over the first; a plain one begins at a multiple of four.
overlaid() {
    local plain=$image size
    size=$(stat -c %s "$plain")
    image=$work/$current.img
    rm -rf "$work/overlay"
    mkdir -p "$work/overlay/$(dirname "$1")"
    cat >"$work/overlay/$1"
    chmod "$2" "$work/overlay/$1"
    [ "$plain" = "$image" ] || cp "$plain" "$image"
    truncate -s $(((size + 3) / 4 * 4)) "$image"
    (cd "$work/overlay" && echo "$1" | cpio -o -H newc --quiet) >>"$image"
}

# root_tree: what lies on a root disk. systemd takes for a root only what has an os-release.
root_tree() {
    root_files=$disks/root
    [ -d "$root_files" ] && return
    mkdir -p "$root_files"/{bin,sbin,dev,etc,proc,run,sys,opt}
    cp "$busybox/busybox" "$root_files/bin/busybox"
    cp "$here/guest-init" "$root_files/sbin/init"
    cp "$here/guest-init" "$root_files/opt/other"
    echo 'no program' >"$root_files/opt/text"
    chmod 755 "$root_files/sbin/init" "$root_files/opt"/*
    ln -s /opt/other "$root_files/sbin/other"
    echo 'ID=guest' >"$root_files/etc/os-release"
}

# disk KIND: made once, in $disk.
disk() {
    root_tree
    disk=$disks/$1.disk
    [ -e "$disk" ] || "disk_$1"
}

disk_ext4() {
    truncate -s 32M "$disks/ext4.disk"
    mke2fs -q -t ext4 -L "$label" -U "$uuid" -d "$root_files" "$disks/ext4.disk"
}

# partitioned NAME [BYTES]: a disk whose table is standard input and whose first partition, at 1 MiB, is
# the ext4 file system; of 40 MiB, where no size is given.
partitioned() {
    [ -e "$disks/ext4.disk" ] || disk_ext4
    truncate -s "${2:-40M}" "$disks/$1.disk"
    sfdisk --quiet "$disks/$1.disk"
    dd if="$disks/ext4.disk" of="$disks/$1.disk" bs=1M seek=1 conv=notrunc,sparse status=none
}

gpt_table() {
    printf 'label: gpt\nstart=2048, size=65536, uuid=%s, name=guestroot\n' "$partuuid"
}

disk_gpt() {
    gpt_table | partitioned gpt
}

disk_mbr() {
    partitioned mbr <<TABLE
label: dos
label-id: 0x0badcafe
start=2048, size=65536, type=83
TABLE
}

# disk_backup: the GPT of which but the copy at the disk's end is left, in the last of an odd number of sectors.
disk_backup() {
    gpt_table | partitioned backup $(((40 << 20) + 512))
    dd if=/dev/zero of="$disks/backup.disk" bs=512 seek=1 count=1 conv=notrunc status=none
}

# What has the root's UUID or its label and is no file system: swap, a journal of ext4's, and a physical
# volume that was made over the file system.
disk_swap() {
    truncate -s 1M "$disks/swap.disk"
    mkswap -q -U "$uuid" -L "$label" "$disks/swap.disk"
}

disk_journal() {
    truncate -s 16M "$disks/journal.disk"
    mke2fs -q -O journal_dev -b 4096 -U "$uuid" -L "$label" "$disks/journal.disk" >/dev/null
}

disk_volume() {
    [ -e "$disks/ext4.disk" ] || disk_ext4
    cp --sparse=always "$disks/ext4.disk" "$disks/volume.disk"
    printf LABELONE | dd of="$disks/volume.disk" bs=512 seek=1 conv=notrunc status=none
}

# mkfs.xfs takes no directory, but a description of what is to lie in it (its -p).
disk_xfs() {
    truncate -s 300M "$disks/xfs.disk"
    cat >"$disks/xfs.proto" <<PROTO
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
    mkfs.xfs -q -m uuid="$uuid" -p "$disks/xfs.proto" "$disks/xfs.disk"
}

disk_btrfs() {
    truncate -s 128M "$disks/btrfs.disk"
    mkfs.btrfs -q -L "$label" --rootdir "$root_files" "$disks/btrfs.disk" >/dev/null
}

# Two empty ones: a file system of btrfs on two devices, and one of FAT.
disk_pair() {
    truncate -s 128M "$disks/pair.disk" "$disks/other.disk"
    mkfs.btrfs -q -d single -m raid1 -U "$uuid" "$disks/other.disk" "$disks/pair.disk" >/dev/null
}

disk_other() {
    disk_pair
}

disk_vfat() {
    truncate -s 4M "$disks/vfat.disk"
    mkfs.vfat -i 0BADCAFE "$disks/vfat.disk" >/dev/null
}

# beside KIND...: these disks are in the machine too, before $disk.
beside() {
    local kind disk
    attachment=()
    for kind; do
        disk "$kind"
        attachment+=(-drive "if=none,id=$kind,file=$disk,format=raw,snapshot=on"
            -device "virtio-blk-pci,drive=$kind")
    done
    attachment+=(-device 'virtio-blk-pci,drive=root')
}

# ---- Booting and judging ----------------------------------------------------------------------

# boot WORD...: $image with $disk and these words on the command line, into $console; and what inspect
# says of the image, held against that.
boot() {
    start "$@"
    judge "$current" "${DISK_DEVICES[@]}"
}

# start WORD...: the machine. The disk stays as it is, and it ends when the guest powers off, reboots or
# panics.
start() {
    : >"$console"
    timeout -k 5 "$limit" "${machine[@]}" -accel tcg -m 512 \
        -nodefaults -no-user-config -no-reboot -display none -serial stdio \
        -drive "if=none,id=root,file=$disk,format=raw,$access" \
        "${attachment[@]}" -kernel "$vmlinux" -initrd "$image" \
        -append "console=$terminal panic=-1 $*" < <(type_in) >"$console" 2>"$work/qemu-errors" ||
        problem "qemu ended with $? ($(tail -n 1 "$work/qemu-errors"))"
}

# What serves a virtio disk on PCI, which is two devices.
DISK_DEVICES=(--device virtio_pci --device virtio_blk)

# judge NAME OPTION...: what `xinitrd inspect` says of $image, given what an administrator would know of
# its guest, must hold against the boot in $console. A case that breaks its image says before by which
# $faults (rules), one whose root is not reached for another reason, $elsewhere, which.
judge() {
    local name=$1 report=$work/report.json status=0 row
    shift
    "$XINITRD" inspect --json --kernel-version "$version" --root "$tree" --kernel "$version" "$@" \
        "$image" >"$report" 2>"$work/inspect-errors" || status=$?
    [ "$status" -le 1 ] || problem "inspect ended with $status: $(cat "$work/inspect-errors")"
    # shellcheck disable=SC2086 # a list of rules
    row=$(python3 "$here/verdicts.py" judge "$name" "$report" "$console" "$elsewhere" $faults \
        2>>"$work/problems")
    echo "$row" >>"$work/verdicts"
    [ -n "$document" ] || grep -Fqx -- "$row" "$top/docs/verdicts.md" ||
        problem "docs/verdicts.md does not have: $row"
}

# attached_late SECONDS [REGEX]: the disk is plugged in so long after the init has begun to wait, or said this.
attached_late() {
    local monitor=$work/monitor
    attachment=(-device 'pcie-root-port,id=late-port' -monitor "unix:$monitor,server,nowait")
    (
        awaited "${2:-xinitrd: waiting for }" && sleep "$1" &&
            python3 "$here/monitor.py" "$monitor" 'device_add virtio-blk-pci,drive=root,bus=late-port'
    ) &
}

# awaited REGEX: until the console has it; not longer than the machine may run, nor when the whole
# run has ended.
awaited() {
    local tries=0
    until grep -Eqs "$1" "$console"; do
        [ $((tries += 1)) -le $((limit * 5)) ] && [ -e "$console" ] || return 1
        sleep 0.2
    done
}

# type_in: what the case types on the console, once $prompt is there.
type_in() {
    [ -n "$typed" ] || return 0
    awaited "$prompt" || return 0
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

# ---- The run of a case -------------------------------------------------------------------------

# since EPOCHREALTIME: the seconds from then till now.
since() {
    local tenths=$(((${EPOCHREALTIME/./} - ${1/./}) / 100000))
    echo "$((tenths / 10)).$((tenths % 10))"
}

# run_case NAME: its line, and on failure what went wrong and the console's telling lines. A case
# that is timed elsewhere says so in $work/seconds.
run_case() {
    local started=$EPOCHREALTIME seconds
    attachment=(-device 'virtio-blk-pci,drive=root') access='snapshot=on' manifest=busybox
    typed='' prompt='' faults='' elsewhere='' current=$1 console=$work/$1.console
    guest_is amd64
    : >"$console"
    : >"$work/problems"
    rm -f "$work/seconds"
    # Apart from any condition, or the shell would go on in the case after a step that failed.
    set +e
    (
        set -e
        "case_$1"
    )
    # shellcheck disable=SC2181 # a condition is what must not be around it
    [ $? -eq 0 ] || problem 'a step of the case failed'
    set -e
    seconds=$(cat "$work/seconds" 2>/dev/null || since "$started")
    if [ ! -s "$work/problems" ]; then
        printf 'PASS %s (%s s)\n' "$1" "$seconds"
        passed=$((passed + 1))
        return
    fi
    printf 'FAIL %s (%s s)\n' "$1" "$seconds"
    cat "$work/problems"
    tr -d '\r' <"$console" |
        grep -E 'xinitrd|XINITRD|[Pp]anic|rror|Unable|Unknown|failed|no driver|^\(XEN\)|^dom0:' |
        grep -v 'ACPI Error' | tail -n 30 | sed 's/^/  | /'
    failed=$((failed + 1))
}
