#!/usr/bin/env python3
"""Takes the uncompressed kernel out of a bzImage: vmlinux.py BZIMAGE OUTPUT.

QEMU starts an uncompressed kernel seconds sooner where the processor is emulated. The payload's
place is in the setup header (the kernel's arch/x86/boot.rst, protocol 2.08 and later).
"""
import gzip
import lzma
import shutil
import struct
import subprocess
import sys


def payload(image):
    """The compressed kernel, without the four bytes of its size that follow it."""
    if image[0x202:0x206] != b"HdrS":
        sys.exit("vmlinux.py: not a bzImage")
    start = (max(image[0x1F1], 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    return image[start + offset : start + offset + length - 4]


def unpacked(data):
    """The kernel, of whichever of the compressions that Debian has used."""
    if data.startswith(b"\xfd7zXZ"):
        return lzma.decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return piped("zstd", data)
    if data.startswith(b"\x02\x21\x4c\x18"):
        return piped("lz4", data)
    sys.exit("vmlinux.py: a compression that this script does not know")


def piped(tool, data):
    """What the tool, which is of a Debian package of its own name, unpacks."""
    if not shutil.which(tool):
        sys.exit(f"vmlinux.py: {tool} is missing: apt-get install {tool}")
    return subprocess.run([tool, "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout


def main():
    source, target = sys.argv[1:]
    with open(source, "rb") as image:
        kernel = unpacked(payload(image.read()))
    with open(target, "wb") as output:
        output.write(kernel)


main()
