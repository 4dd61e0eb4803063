#!/usr/bin/env python3
"""Splits an initramfs image into its archives, each unpacked into DIR/0.cpio, DIR/1.cpio and so on.

Where a segment ends is worked out here, by the formats' own documents, and not by the program under
test: a plain archive ends behind its trailer (the kernel's buffer-format document), a gzip member and
an xz stream where python's decoders say, a zstd frame behind its last block (RFC 8878); an lz4 legacy
frame has no end but the file's. Frames of zstd and lz4 are unpacked by the programs of these names.
"""

import argparse
import lzma
import pathlib
import subprocess
import zlib

HEADER = 110  # bytes of a newc header: a magic of 6, and 13 fields of 8 hexadecimal digits


def plain(data, start):
    """An archive as it stands: it, and where it ends."""
    at = start
    while True:
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        size, name_size = fields[6], fields[11]
        name = data[at + HEADER:at + HEADER + name_size - 1]
        at = start + aligned(at - start + HEADER + name_size)
        at = start + aligned(at - start + size)
        if name == b"TRAILER!!!":
            return data[start:at], at


def aligned(offset):
    return (offset + 3) // 4 * 4


def by_decoder(decoder):
    """How what a python decoder reads is unpacked."""
    def unpack(data, start):
        made = decoder()
        content = made.decompress(data[start:])
        return content, len(data) - len(made.unused_data)
    return unpack


def zstd(data, start):
    descriptor = data[start + 4]
    single = descriptor >> 5 & 1
    content_size = [single, 2, 4, 8][descriptor >> 6]
    at = start + 5 + (1 - single) + [0, 1, 2, 4][descriptor & 3] + content_size
    last = False
    while not last:
        header = int.from_bytes(data[at:at + 3], "little")
        last, run, size = header & 1, header >> 1 & 3 == 1, header >> 3
        at += 3 + (1 if run else size)
    at += 4 * (descriptor >> 2 & 1)
    return piped("zstd", data[start:at]), at


def lz4(data, start):
    return piped("lz4", data[start:]), len(data)


def piped(program, frame):
    done = subprocess.run([program, "-dc"], input=frame, stdout=subprocess.PIPE, check=True)
    return done.stdout


FORMATS = {
    b"070701": plain,
    b"\x1f\x8b": by_decoder(lambda: zlib.decompressobj(wbits=31)),
    b"\xfd7zXZ\0": by_decoder(lzma.LZMADecompressor),
    b"\x28\xb5\x2f\xfd": zstd,
    b"\x02\x21\x4c\x18": lz4,
}


def segments(data):
    at = 0
    while True:
        while at < len(data) and data[at] == 0:
            at += 1
        if at == len(data):
            return
        unpack = [f for magic, f in FORMATS.items() if data.startswith(magic, at)]
        if not unpack:
            raise SystemExit(f"byte {at}: no format begins with {data[at:at + 6].hex()}")
        content, at = unpack[0](data, at)
        yield content


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("image", metavar="IMAGE", type=pathlib.Path)
    parser.add_argument("directory", metavar="DIR", type=pathlib.Path)
    arguments = parser.parse_args()
    for number, content in enumerate(segments(arguments.image.read_bytes())):
        (arguments.directory / f"{number}.cpio").write_bytes(content)


if __name__ == "__main__":
    main()
