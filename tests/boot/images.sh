# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with lib.sh
# Images that other builders made (testdata/images/make.sh), in QEMU alone: each reaches the root. What
# xinitrd says of an image is held against this. run.sh sources this.

IMAGE_CASES='
tiny-gzip                  tiny-initramfs, whose init is one static program
dracut-list-zstd           dracut, with its own scripts
dracut-microcode           dracut, with systemd for its init, behind microcode
initramfs-tools-microcode  initramfs-tools with all its drivers, behind microcode
joined                     microcode, zeros, an image in zstd, zeros, and an archive in gzip
'
# The same again in other compressions: run where they are named, or by --images.
MORE_IMAGE_CASES='
tiny-zstd
dracut-list-gzip
dracut-gzip
dracut-zstd
initramfs-tools-list-gzip
initramfs-tools-list-zstd
initramfs-tools-gzip
initramfs-tools-zstd
initramfs-tools-xz
'

# made_by_others: the image of the case's name, from its own init to that of the root.
made_by_others() {
    kernel 6.1 && disk ext4
    image=$("$top/testdata/images/make.sh" "$current")
    boot root=/dev/vda ro quiet
    reached '/dev/vda ext4 ro,.* pid=1 by=/sbin/init'
    never_says 'Initramfs unpacking failed'
}

case_tiny-gzip() { made_by_others; }
case_dracut-list-zstd() { made_by_others; }
case_dracut-microcode() { made_by_others; }
case_initramfs-tools-microcode() { made_by_others; }
case_joined() { made_by_others; }
case_tiny-zstd() { made_by_others; }
case_dracut-list-gzip() { made_by_others; }
case_dracut-gzip() { made_by_others; }
case_dracut-zstd() { made_by_others; }
case_initramfs-tools-list-gzip() { made_by_others; }
case_initramfs-tools-list-zstd() { made_by_others; }
case_initramfs-tools-gzip() { made_by_others; }
case_initramfs-tools-zstd() { made_by_others; }
case_initramfs-tools-xz() { made_by_others; }
