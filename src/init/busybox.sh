#!/bin/busybox ash
# Process 1 of an image that xinitrd made: loads the image's modules, waits for the root's disk,
# mounts the root and hands over to its init.
#
# In:  /etc/xinitrd/modules   a module a line, in load order: its path, then its parameters
#      /etc/xinitrd/cmdline   words read before the kernel's, which therefore override them
#      /proc/cmdline          as kernel-parameters.txt has it, and xinitrd.onfail=
#
# Functions that answer by a variable name it in their comment: a subshell for each answer would
# cost more than all the rest of the boot.

PATH=/bin:/sbin
newroot=/sysroot
newline='
'

say() {
    printf 'xinitrd: %s\n' "$*"
}

note() {
    [ -n "$quiet" ] || say "$@"
}

# replaced TEXT OLD NEW: TEXT with every OLD made NEW, in $text.
replaced() {
    text=$1
    while case $text in *"$2"*) ;; *) false ;; esac; do
        text=${text%%"$2"*}$3${text#*"$2"}
    done
}

# is_count TEXT: whether it is a decimal number.
is_count() {
    case $1 in '' | *[!0-9]*) return 1 ;; esac
}

# ---- What is asked for ------------------------------------------------------------------------

defaults() {
    root='' rootfstype='' rootflags='' mode=ro init='' nfsroot=''
    patience=10 rootdelay=0 quiet='' onfail=panic parameters=''
}

# next_word: takes the first word off $words, into $word. A space between double quotes ends no
# word (next_arg in the kernel's lib/cmdline.c).
next_word() {
    word=''
    while :; do
        part=${words%%[[:space:]\"]*}
        word=$word$part words=${words#"$part"}
        case $words in \"*) ;; *) return ;; esac
        part=${words#\"}
        part=${part%%\"*}
        word=$word\"$part words=${words#\""$part"}
        case $words in \"*) word=$word\" words=${words#\"} ;; esac
    done
}

# unquoted TEXT: without the quotes around it, in $text. Quotes further in stand for themselves.
unquoted() {
    text=$1
    case $text in \"*) text=${text#\"} text=${text%\"} ;; esac
}

# read_words TEXT: obeys each word of it, up to `--`, after which all is for init.
read_words() {
    words=$1
    while :; do
        words=${words#"${words%%[![:space:]]*}"}
        [ -n "$words" ] || return
        next_word
        [ "$word" != -- ] || return
        unquoted "$word"
        word=$text
        unquoted "${word#*=}"
        obey "$word" "$text"
    done
}

# obey WORD VALUE
obey() {
    case $1 in
    root=*) root=$2 ;;
    rootfstype=*) rootfstype=$2 ;;
    rootflags=*) rootflags=$2 ;;
    ro | rw) mode=$1 ;;
    init=*) init=$2 ;;
    rootdelay=*) ! is_count "$2" || rootdelay=$2 ;;
    rootwait) patience=forever ;;
    rootwait=*) ! is_count "$2" || patience=$2 ;;
    nfsroot=*) nfsroot=$2 ;;
    quiet) quiet=yes ;;
    xinitrd.onfail=*) onfail=$2 ;;
    *.*=*) module_parameter "${1%%=*}" "$2" ;;
    esac
}

# module_parameter MODULE.NAME VALUE: kept for when the module is loaded, quoted as the kernel
# wants a value with spaces.
module_parameter() {
    replaced "${1%%.*}" - _
    case $2 in
    *[[:space:]]*) parameters="$parameters$text ${1#*.}=\"$2\"$newline" ;;
    *) parameters="$parameters$text ${1#*.}=$2$newline" ;;
    esac
}

# What the image brings is a default. Its file system type is only the one to try first: the image
# may be older than the root's last mkfs.
read_settings() {
    defaults
    read_words "$(cat /etc/xinitrd/cmdline)"
    likely=$rootfstype rootfstype=''
    read_words "$(cat /proc/cmdline)"
}

# ---- Modules ----------------------------------------------------------------------------------

# parameters_of MODULE: those that the command line has for it, in $options.
parameters_of() {
    list=$parameters options=''
    while [ -n "$list" ]; do
        line=${list%%"$newline"*} list=${list#*"$newline"}
        case $line in "$1 "*) options="$options ${line#* }" ;; esac
    done
}

# load_module PATH PARAMETERS. A driver of a machine that this is not answers with an error (the
# Xen ones with ENODEV outside Xen): that ends nothing.
load_module() {
    module=${1##*/}
    module=${module%%.ko*}
    replaced "$module" - _
    parameters_of "$text"
    if why=$(insmod "/$1" "$2$options" 2>&1); then
        loaded="$loaded $module"
        return
    fi
    case $why in *'File exists') return ;; esac
    failed="$failed$module: ${why##*: }$newline"
    note "module $module not loaded: ${why##*: }"
}

load_modules() {
    loaded='' failed=''
    while IFS=' ' read -r path given; do
        load_module "$path" "$given"
    done </etc/xinitrd/modules
}

# ---- Block devices ----------------------------------------------------------------------------

# list_blocks: the sysfs directories of what may hold a root, in $blocks. Kernels before 2.6.26
# have no class of block devices, and list partitions under their disks.
list_blocks() {
    blocks=''
    if [ -d /sys/class/block ]; then
        set -- /sys/class/block/*
    else
        set -- /sys/block/* /sys/block/*/*
    fi
    for directory; do
        case ${directory##*/} in ram* | loop* | fd*) continue ;; esac
        if [ ! -e "$directory/dev" ] || [ ! -e "$directory/size" ]; then continue; fi
        read -r size <"$directory/size"
        [ "$size" = 0 ] || blocks="$blocks $directory"
    done
}

# node_of DIRECTORY: the device's node, in $node; made here where the kernel has no devtmpfs.
# sysfs writes ! for the slash of names like cciss/c0d0.
node_of() {
    replaced "${1##*/}" ! /
    node=/dev/$text
    [ -n "$own_nodes" ] && [ ! -b "$node" ] || return 0
    read -r number <"$1/dev"
    mkdir -p "${node%/*}"
    mknod "$node" b "${number%:*}" "${number#*:}"
}

# The readers below take multi-byte numbers in the machine's order: little-endian, as disks have
# them, on every architecture that Xen runs on.

# dump DEVICE OFFSET COUNT FORMAT
dump() {
    hexdump -v -s "$2" -n "$3" -e "$4" "$1" 2>/dev/null
}

# bytes DEVICE OFFSET COUNT: in hexadecimal.
bytes() {
    dump "$1" "$2" "$3" '1/1 "%02x"'
}

# text_at DEVICE OFFSET COUNT: the shell leaves NUL bytes out, and so turns a zero-padded field into
# its text, and UTF-16 into ASCII.
text_at() {
    dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null
}

# uuid_at DEVICE OFFSET: sixteen bytes in the order they stand.
uuid_at() {
    dump "$1" "$2" 16 \
        '4/1 "%02x" "-" 2/1 "%02x" "-" 2/1 "%02x" "-" 2/1 "%02x" "-" 6/1 "%02x"'
}

# guid_at DEVICE OFFSET: sixteen bytes whose first three fields are little-endian, as GPT has them.
guid_at() {
    dump "$1" "$2" 16 '1/4 "%08x" "-" 1/2 "%04x" "-" 1/2 "%04x" "-" 2/1 "%02x" "-" 6/1 "%02x"'
}

# fat_tags DEVICE OFFSET: of the serial number, which the label follows.
fat_tags() {
    type=vfat
    uuid=$(dump "$1" "$2" 4 '1/4 "%08x"')
    uuid=${uuid%????}-${uuid#????}
    label=$(text_at "$1" $(($2 + 4)) 11)
    label=${label%"${label##*[! ]}"}
    [ "$label" != 'NO NAME' ] || label=''
}

# superblock DEVICE: its file system, in $type, $uuid and $label. busybox's own findfs is left
# alone: which file systems it knows is a matter of how it was configured.
# Offsets: kernel fs/ext4/ext4.h, fs/xfs/libxfs/xfs_format.h, fs/btrfs (superblock at 64 KiB),
# include/uapi/linux/msdos_fs.h.
superblock() {
    type='' uuid='' label=''
    if [ "$(bytes "$1" 1080 2)" = 53ef ]; then
        type=ext uuid=$(uuid_at "$1" 1128) label=$(text_at "$1" 1144 16)
    elif [ "$(bytes "$1" 0 4)" = 58465342 ]; then
        type=xfs uuid=$(uuid_at "$1" 32) label=$(text_at "$1" 108 12)
    elif [ "$(bytes "$1" 65600 8)" = 5f42485266535f4d ]; then
        type=btrfs uuid=$(uuid_at "$1" 65568) label=$(text_at "$1" 65835 256)
    elif [ "$(bytes "$1" 82 5)" = 4641543332 ]; then
        fat_tags "$1" 67
    elif [ "$(bytes "$1" 54 4)" = 46415431 ]; then
        fat_tags "$1" 39
    fi
}

# table_entry DISK NUMBER SECTOR-SIZE: a partition's identity by its disk's table, in $partuuid and
# $partlabel. A GPT counts only behind a protective MBR, as in the kernel's block/partitions/efi.c.
table_entry() {
    partuuid='' partlabel=''
    if [ "$(bytes "$1" 450 1)$(bytes "$1" "$3" 8)" = ee4546492050415254 ]; then
        entry=$(($(dump "$1" $(($3 + 72)) 4 '1/4 "%u"') * $3))
        entry=$((entry + ($2 - 1) * $(dump "$1" $(($3 + 84)) 4 '1/4 "%u"')))
        partuuid=$(guid_at "$1" $((entry + 16)))
        partlabel=$(text_at "$1" $((entry + 56)) 72)
    elif [ "$(bytes "$1" 510 2)" = 55aa ]; then
        partuuid=$(dump "$1" 440 4 '1/4 "%08x"')-$(printf %02x "$2")
    fi
}

# partition DIRECTORY: a partition's identity, in $partuuid and $partlabel; empty for a whole disk.
partition() {
    partuuid='' partlabel=''
    [ -e "$1/partition" ] || return 0
    read -r number <"$1/partition"
    disk=$(readlink -f "$1")
    disk=${disk%/*}
    sector=512
    [ ! -e "$disk/queue/logical_block_size" ] || read -r sector <"$disk/queue/logical_block_size"
    node_of "$disk"
    table_entry "$node" "$number" "$sector"
}

# ---- The root ---------------------------------------------------------------------------------

# understand_root: $root as $kind and $wanted, or why not, in $fault.
understand_root() {
    kind=${root%%=*} wanted=${root#*=}
    fault="root=$root is of no kind that this init knows"
    case ${root:-${nfsroot:+nfs}} in
    '') fault='the command line has no root=' && return 1 ;;
    nfs | nfs:* | /dev/nfs) fault='a root on NFS is not supported' && return 1 ;;
    /dev/*) kind=node ;;
    *=) return 1 ;;
    UUID=* | PARTUUID=*) wanted=$(printf %s "$wanted" | tr '[:upper:]' '[:lower:]') ;;
    LABEL=* | PARTLABEL=*) ;;
    *[!0-9:]*:* | *:*[!0-9]* | :* | *:) return 1 ;;
    *:*) kind=number ;;
    *[!0-9A-Fa-f]*) return 1 ;;
    *) decode_number "$root" ;;
    esac
}

# decode_number HEXADECIMAL: a device number as the kernel's new_decode_dev has it, in $wanted.
decode_number() {
    kind=number
    wanted=$((0x$1))
    wanted=$((wanted >> 8 & 0xfff)):$((wanted & 0xff | wanted >> 12 & 0xfff00))
}

# is_root DIRECTORY NODE: whether this device is the one that is $wanted. What was read once is not
# read again: the loop that waits comes by twenty times a second.
is_root() {
    if [ "$kind" = number ]; then
        read -r number <"$1/dev"
        [ "$number" = "$wanted" ]
        return
    fi
    case $seen in *" $1 "*) return 1 ;; esac
    seen="$seen$1 "
    case $kind in
    UUID) superblock "$2" && [ "$uuid" = "$wanted" ] ;;
    LABEL) superblock "$2" && [ "$label" = "$wanted" ] ;;
    PARTUUID) partition "$1" && [ "$partuuid" = "$wanted" ] ;;
    PARTLABEL) partition "$1" && [ "$partlabel" = "$wanted" ] ;;
    esac
}

# find_root: the root's node, in $device.
find_root() {
    list_blocks
    for block in $blocks; do
        node_of "$block"
        device=$node
        [ -b "$device" ] || continue
        [ "$kind" = node ] || ! is_root "$block" "$device" || return 0
    done
    device=$root
    [ "$kind" = node ] && [ -b "$device" ]
}

# read_clock: whole seconds since the kernel started, in $now.
read_clock() {
    read -r now rest </proc/uptime
    now=${now%.*}
}

# wait_for_root: until it is there, or for $patience seconds. Drivers find their disks long after
# insmod has returned.
wait_for_root() {
    read_clock
    started=$now waited=0 seen=' '
    until find_root; do
        read_clock
        [ "$waited" -ge 2 ] || [ $((now - started)) -lt 2 ] || note "waiting for $root"
        waited=$((now - started))
        [ "$patience" = forever ] || [ "$waited" -lt "$patience" ] || return 1
        usleep 50000
    done
}

# root_types: the file system types to try, in $types: as the command line says, or else every one
# that the kernel knows by now, the likely first.
root_types() {
    replaced "$rootfstype" , ' '
    types=$text
    [ -z "$types" ] || return 0
    replaced "$likely" , ' '
    types=$text
    while read -r first second; do
        [ -n "$second" ] || types="$types $first"
    done </proc/filesystems
}

# mount_root: $device; why each type failed, in $reasons.
mount_root() {
    root_types
    reasons=''
    for type in $types; do
        if why=$(mount -t "$type" -o "$mode${rootflags:+,$rootflags}" "$device" "$newroot" 2>&1)
        then
            return 0
        fi
        reasons="$reasons, $type: ${why##*: }"
    done
    return 1
}

# inside PATH: where PATH leads within the new root, in $real: an absolute link's target is under
# the new root, not under this one. Fails on a link that leads nowhere or round in a circle.
inside() {
    rest=$1 real='' links=0
    while [ -n "$rest" ]; do
        component=${rest%%/*}
        case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
        case $component in
        '' | .) continue ;;
        ..) real=${real%/*} && continue ;;
        esac
        real=$real/$component
        [ -L "$newroot$real" ] || continue
        links=$((links + 1))
        [ "$links" -le 40 ] || return 1
        rest=$(readlink "$newroot$real")/$rest
        real=${real%/*}
        case $rest in /*) real='' ;; esac
    done
    [ -e "$newroot$real" ]
}

# find_init: the program to hand over to, in $program: what init= names and nothing else, or the
# first of the kernel's own list.
find_init() {
    if [ -n "$init" ]; then
        set -- "$init"
    else
        set -- /sbin/init /etc/init /bin/init /bin/sh
    fi
    for program; do
        inside "$program" || continue
        [ ! -f "$newroot$real" ] || [ ! -x "$newroot$real" ] || return 0
    done
    fault="the root on $device has no program $*"
    return 1
}

# reach_root: from the settings to a mounted root with an init, or why not, in $fault.
reach_root() {
    waited=0
    understand_root || return 1
    if ! wait_for_root; then
        fault="root=$root did not appear"
        return 1
    fi
    if ! mount_root; then
        fault="$device cannot be mounted (${reasons#, })"
        return 1
    fi
    find_init
}

# ---- When there is no root --------------------------------------------------------------------

# describe DIRECTORY: a block device in a line.
describe() {
    node_of "$1"
    superblock "$node"
    read -r size <"$1/size"
    line="${node#/dev/} $((size / 2048)) MiB"
    line="$line${type:+ $type}${uuid:+ UUID=$uuid}${label:+ LABEL=$label}"
    partition "$1"
    say "  $line${partuuid:+ PARTUUID=$partuuid}${partlabel:+ PARTLABEL=$partlabel}"
}

# say_lines TEXT
say_lines() {
    list=$1
    while [ -n "$list" ]; do
        say "  ${list%%"$newline"*}"
        list=${list#*"$newline"}
    done
}

report() {
    say "no root: $fault"
    asked="root=$root $mode${rootfstype:+ rootfstype=$rootfstype}"
    asked="$asked${rootflags:+ rootflags=$rootflags}${init:+ init=$init}"
    say "asked for: $asked; waited $waited s"
    list_blocks
    if [ -n "$blocks" ]; then say 'block devices:'; else say 'block devices: none'; fi
    for block in $blocks; do
        describe "$block"
    done
    say "modules loaded:${loaded:- none}"
    if [ -n "$failed" ]; then say 'modules not loaded:'; else say 'modules not loaded: none'; fi
    say_lines "$failed"
}

# give_up: reports, and ends as xinitrd.onfail= says; returns only from the shell, to try again.
give_up() {
    report
    case $onfail in
    shell)
        say 'a shell to mend it; leaving the shell tries again'
        busybox --install -s /bin 2>/dev/null
        setsid cttyhack sh
        umount "$newroot" 2>/dev/null
        return
        ;;
    esac
    # A Xen console is written out in the background, which a dead kernel does no more.
    say "giving up: $onfail"
    sleep 1
    case $onfail in
    reboot) reboot -f ;;
    poweroff) poweroff -f ;;
    esac
    # The kernel panics when process 1 ends, and panic= says what comes then.
    exit 1
}

# ---- The way ----------------------------------------------------------------------------------

mount_views() {
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    own_nodes=''
    mount -t devtmpfs devtmpfs /dev 2>/dev/null || own_nodes=yes
}

# enter_root ARGUMENTS: the mounts go along, as systemd, sysvinit and a bare shell all take them; a
# root that has no place for one does without. /proc goes last, for a busybox that runs its applets
# by way of /proc/self/exe.
enter_root() {
    for view in dev sys proc; do
        mount -o move "/$view" "$newroot/$view" 2>/dev/null || umount -l "/$view" 2>/dev/null
    done
    exec /bin/busybox switch_root "$newroot" "$program" "$@"
}

# The kernel hands over as arguments the words it does not know, and those after `--`: all of them
# are meant for the root's init.
main() {
    mount_views
    read_settings
    load_modules
    [ "$rootdelay" = 0 ] || sleep "$rootdelay"
    until reach_root; do
        give_up
    done
    note "root is $device"
    enter_root "$@"
}

main "$@"
