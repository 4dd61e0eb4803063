#!/usr/bin/env python3
"""Images that are made to hurt whoever reads them, each by its name.

    hostile.py NAME [PARTS]   the image, to standard output; of what there is much of, a PARTS-th
    hostile.py --names        the names

Bombs are packed by the real tools (gzip, bzip2, xz, lzop, lz4, zstd) as they are written: nothing is
ever whole in memory or on disk.
"""

import gzip
import lzma
import struct
import subprocess
import sys
import zlib

PARTS = 1
OUT = sys.stdout.buffer
FILE, EXECUTABLE, DIRECTORY, LINK, NODE = 0o100644, 0o100755, 0o040755, 0o120777, 0o020600
FAR = 0xffffffff


def many(count):
    """So many, or as large a part of it as was asked for."""
    return max(1, count // PARTS)


def aligned(data):
    return data + bytes(-len(data) % 4)


def header(mode, size, name_size, ino=0, nlink=1, magic=b"070701", sum=0):
    fields = (ino, mode, 0, 0, nlink, 0, size, 0, 0, 0, 0, name_size, sum)
    return magic + b"".join(b"%08x" % field for field in fields)


def entry(name, mode=FILE, data=b"", **more):
    head = header(mode, len(data), len(name) + 1, **more) + name + b"\0"
    return aligned(head) + aligned(data)


TRAILER = entry(b"TRAILER!!!", 0)


def packed(command, pieces, to=None):
    """What `command` makes of the pieces, written as it comes."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=to or OUT.fileno()) as process:
        try:
            for piece in pieces:
                process.stdin.write(piece)
            process.stdin.close()
        except BrokenPipeError:
            pass
    assert process.returncode == 0, command


def zeros(size):
    for _ in range(size >> 20):
        yield bytes(1 << 20)


def bomb(*command):
    """A file of zeros for an archive's first and last entry."""
    def write():
        size = many(1100) << 20
        def pieces():
            yield entry(b"init", EXECUTABLE, b"#!/bin/sh\n")
            yield aligned(header(FILE, size, 5) + b"zero\0")
            yield from zeros(size)
            yield TRAILER
        OUT.flush()
        packed(command, pieces())
    return write


# ---- Files -----------------------------------------------------------------------------------------

def elf(sections):
    """A module's 64-bit x86-64 file with these sections, each a name, a type, data, and what it links to."""
    names, offsets = bytearray(1), []
    for name, *_ in sections:
        offsets.append(len(names))
        names += name + b"\0"
    sections = [(b"", 0, b"", 0)] + list(sections) + [(b".shstrtab", 3, names, 0)]
    body, table = bytearray(), bytearray()
    offsets = [0] + offsets + [0]
    for (name, kind, data, link), at in zip(sections, offsets):
        table += struct.pack("<IIQQQQIIQQ", at, kind, 0, 0, 64 + len(body), len(data), link, 0, 1,
                             24 if kind == 2 else 0)
        body += data
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(sections), len(sections) - 1)
    return bytes(head + body + table)


def module(info=b"", more=()):
    said = b"name=m\0vermagic=6.1.0 SMP \0depends=\0" + info
    this = (b".gnu.linkonce.this_module", 1, bytes(64), 0)
    return elf([(b".modinfo", 1, said, 0), this, *more])


def archive(entries):
    for one in entries:
        OUT.write(one)
    OUT.write(TRAILER)


def large_elf():
    """Modules of the most bytes that are looked into, all of them symbols."""
    symbols = struct.pack("<IBBHQQ", 1, 0x10, 0, 0, 0, 0) * many(2_000_000)
    made = module(more=[(b".strtab", 3, b"\0name\0", 0), (b".symtab", 2, symbols, 3)])
    for number in range(8):
        yield entry(b"m%d.ko" % number, FILE, made)


def claims_of_modinfo():
    """Each module says that its .modinfo has 16 MiB, and ends before."""
    made = elf([(b".modinfo", 1, b"name=m\0", 0), (b".symtab", 2, b"", 0)])
    made = made.replace(struct.pack("<QQ", 64, 7), struct.pack("<QQ", 64, 16 << 20))
    for number in range(1000):
        yield entry(b"m%d.ko" % number, FILE, made)


def modinfos():
    info = b"alias=pci:v*\0" * many(80_000)
    for number in range(many(1000)):
        yield entry(b"m%d.ko" % number, FILE, module(info))


def sections():
    """As many sections as a header can name, each called by the longest string."""
    made = elf([(b"a" * 60000, 1, b"", 0)] + [(b"", 1, b"", 0)] * 65000)
    for number in range(many(20)):
        yield entry(b"m%d.ko" % number, FILE, made)
        yield entry(b"program%d" % number, EXECUTABLE, made)


def needs():
    """Each module needs every other."""
    count = many(1000)
    info = b"depends=" + b",".join(b"m%d" % number for number in range(count)) + b"\0"
    for number in range(count):
        yield entry(b"m%d.ko" % number, FILE, module(info))
    loads = b"".join(b"modprobe m%d\n" % number for number in range(count))
    yield entry(b"init", EXECUTABLE, b"#!/bin/sh\n" + loads)


def init(*lines):
    return entry(b"init", EXECUTABLE, b"#!/bin/sh\n" + b"".join(lines))


def loops():
    """Loops in loops, and calls whose word may be the variable of any of them."""
    yield init(b"for a in b\n" * many(90_000), b"insmod $z\n" * many(105_000))


def patterns():
    """A loop through patterns, each of which may stand for any of the files in its directory."""
    for number in range(many(40_000)):
        yield entry(b"lib/%d.ko" % number, FILE, b"x")
    words = b" ".join(b"/lib/*%d.z" % number for number in range(4000))
    yield init(b"for a in " + words + b"; do\ninsmod $a\ndone\n")


def nash_patterns():
    """A pattern that stands for many files, and parameters for each of them."""
    for number in range(many(16_000)):
        yield entry(b"lib/%d.ko" % number, FILE, b"x")
    yield entry(b"init", EXECUTABLE, b"#!/bin/nash\ninsmod /lib/*.ko " + b"x" * 1_000_000 + b"\n")


def aliases():
    """Names that any pattern of a module may stand for."""
    info = b"".join(b"alias=pci:v%08d*\0" % number for number in range(many(300_000)))
    yield entry(b"m.ko", FILE, module(info))
    yield init(b"".join(b"modprobe pci:%d\n" % number for number in range(4096)))


def packed_module():
    stream = lzma.LZMACompressor(lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=0)
    bomb = b"".join([stream.compress(piece) for piece in zeros(many(1 << 30))] + [stream.flush()])
    for number in range(100):
        yield entry(b"m%d.ko.xz" % number, FILE, bomb)


# ---- Trees -----------------------------------------------------------------------------------------

COUNT = 249_000


def numbered(name, *more, **named):
    def entries():
        for number in range(many(COUNT)):
            yield entry(name % number, *more, **named)
    return entries


def modules():
    for number in range(many(COUNT)):
        yield entry(b"m%d.ko" % number, FILE, b"\x7fELF" + bytes(96))


def scripts():
    for number in range(many(COUNT)):
        yield entry(b"s%d" % number, EXECUTABLE, b"#!/bin/%d\n" % number)


def hard_links():
    for number in range(many(COUNT)):
        yield entry(b"h%d" % number, FILE, b"", ino=number // 2, nlink=2)


def one_file():
    for number in range(many(COUNT)):
        yield entry(b"h%d" % number, FILE, b"", ino=7, nlink=COUNT)


def duplicates():
    for number in range(many(COUNT)):
        yield entry(b"same", EXECUTABLE, b"%d" % number)


def links():
    """Each leads to the next."""
    yield entry(b"init", LINK, b"l0")
    for number in range(many(COUNT)):
        yield entry(b"l%d" % number, LINK, b"l%d" % (number + 1))


def parents():
    for number in range(many(COUNT)):
        yield entry(b"d%d/d/file" % number, FILE, b"x")


def prefixes():
    """Directories of which each name begins the next, and files in all of them."""
    for number in range(many(COUNT)):
        name = b"a" * (number % 250 + 1)
        yield entry(name, DIRECTORY)
        yield entry(name + b"/%d" % number)


def circle():
    for name, target in [(b"init", b"a/b"), (b"a", b"c"), (b"c", b"a"), (b"e", b"e/e/e")]:
        yield entry(name, LINK, target)


def doubling():
    """Each link goes through the one before it twice; forty are followed at most."""
    yield entry(b"l0", LINK, b"/")
    for number in range(1, 60):
        yield entry(b"l%d" % number, LINK, b"/l%d/l%d" % (number - 1, number - 1))
    yield entry(b"init", LINK, b"l59")
    for number in range(many(10_000)):
        yield entry(b"l59/%d" % number, FILE, b"#!/l59/sh\n")


def deep_links():
    """Each leads through two thousand directories to the next, and many names to the first."""
    far = b"/".join([b"d"] * 1990)
    for depth in range(1990):
        yield entry(far[:2 * depth + 1], DIRECTORY)
    for number in range(38):
        yield entry(far + b"/l%d" % number, LINK, b"/" + far + b"/l%d" % (number + 1))
    yield entry(far + b"/l38", LINK, b"/f")
    yield entry(b"f", FILE, b"x")
    yield entry(b"first", LINK, b"/" + far + b"/l0")
    for number in range(many(50_000)):
        yield entry(b"l%d" % number, LINK, b"first")


def deep():
    """One directory in the other, each with an entry of its own, down to where names are too long,
    and on."""
    for depth in range(1, max(5000, many(100_000))):
        yield entry(b"/".join([b"d"] * min(depth, 5000)), DIRECTORY)


def deep_names():
    for number in range(many(COUNT)):
        yield entry(b"%d" % number + b"/d" * 2040)


def long_names():
    for number in range(many(COUNT)):
        yield entry(b"/".join([b"%d" % number] + [b"n" * 250] * 16))


def deep_loads():
    """An init that loads modules by the longest paths there are."""
    paths = [b"%d" % number + b"/d" * 2040 for number in range(many(500))]
    for path in paths:
        yield entry(path, FILE, b"x")
    script = b"#!/bin/sh\n" + b"".join(b"insmod /%s\n" % path for path in paths)
    yield entry(b"init", EXECUTABLE, script)


def flaws():
    for number in range(many(COUNT)):
        yield entry(b"a\0b%d" % number, FILE, b"data", magic=b"070702", sum=1)


def long_flaws():
    """Names that are too long, each of them a flaw and no entry."""
    for number in range(many(200_000)):
        yield entry(b"n" * 5000)


def climbing():
    for number in range(many(COUNT)):
        yield entry(b"../%d" % number, 0o100777, b"x")


# ---- Bytes -----------------------------------------------------------------------------------------

def repeated(piece, count, first=b""):
    def write():
        OUT.write(first)
        block = piece * 1000
        for _ in range(many(count) // 1000):
            OUT.write(block)
    return write


def empty_blocks():
    """A gzip member of blocks without a byte: stored ones, and such of fixed codes."""
    OUT.write(b"\x1f\x8b\x08\0\0\0\0\0\0\x03")
    for _ in range(many(10_000)):
        OUT.write(b"\0\0\0\xff\xff" * 2000)


def skippable_frames():
    repeated(struct.pack("<II", 0x184D2A50, 0), 10_000_000, b"\x28\xb5\x2f\xfd\x20\0\x01\0\0")()


def lzma_dictionary():
    OUT.write(b"\x5d\0\0\0\xff" + b"\xff" * 8 + bytes(100))


def xz_dictionary():
    """The largest dictionary that a header can name: 4 GiB less one."""
    block = b"\x02\x00\x21\x01\x28\0\0\0"
    flags = b"\0\x01"
    def crc(data):
        return struct.pack("<I", zlib.crc32(data))
    OUT.write(b"\xfd7zXZ\0" + flags + crc(flags) + block + crc(block) + bytes(4000))


def zstd_window():
    OUT.write(b"\x28\xb5\x2f\xfd\0" + bytes([21 << 3]) + b"\x03\0\0x" + bytes(100))


def lying(name_size, size):
    def write():
        OUT.write(aligned(header(FILE, size, name_size) + b"init\0"))
        OUT.write(bytes(1000))
    return write


def endless_link():
    OUT.write(aligned(header(LINK, FAR, 5) + b"init\0"))
    for piece in zeros(many(3 << 30)):
        OUT.write(piece)


def endless(byte):
    def write():
        for _ in range(many(5 << 30) >> 20):
            OUT.write(byte * (1 << 20))
    return write


def endless_name():
    OUT.write(header(FILE, 0, FAR))
    endless(b"n")()


def in_one_member(entries):
    def write():
        OUT.flush()
        packed(["gzip", "-1"], entries())
    return write


def million_entries():
    block = b"".join(entry(b"f%06d" % number) for number in range(1000))
    for _ in range(many(1_000_000) // 1000):
        yield block
    yield TRAILER


def million_archives():
    for _ in range(many(1_000_000) // 1000):
        yield TRAILER * 1000


def by_tool(*command):
    return subprocess.run(command, input=b"", stdout=subprocess.PIPE, check=True).stdout


def listed(entries):
    return lambda: archive(entries())


IMAGES = {
    "bomb-gzip": bomb("gzip"),
    "bomb-bzip2": bomb("bzip2", "-9"),
    "bomb-lzma": bomb("xz", "--format=lzma", "-0"),
    "bomb-xz": bomb("xz", "-0", "--check=crc32"),
    "bomb-lzo": bomb("lzop", "-1"),
    "bomb-lz4": bomb("lz4", "-l", "-1"),
    "bomb-zstd": bomb("zstd", "-3"),
    "bomb-module": listed(packed_module),
    "name-of-4-gib": lying(FAR, 0),
    "name-of-4-gib-that-comes": endless_name,
    "file-of-4-gib": lying(5, FAR),
    "link-of-4-gib-that-comes": endless_link,
    "zeros-without-end": endless(b"\0"),
    "junk-without-end": endless(b"j"),
    "entries-a-million": in_one_member(million_entries),
    "archives-a-million-plain": repeated(TRAILER, 1_000_000),
    "archives-a-million-in-gzip": in_one_member(million_archives),
    "members-a-million-gzip": repeated(gzip.compress(b"", mtime=0), 1_000_000),
    "members-a-million-bzip2": repeated(by_tool("bzip2"), 1_000_000),
    "members-a-million-xz": repeated(by_tool("xz"), 1_000_000),
    "members-a-million-lz4": repeated(struct.pack("<I", 0x184C2102), 1_000_000),
    "members-a-million-zstd": repeated(by_tool("zstd"), 1_000_000),
    "empty-blocks-gzip": empty_blocks,
    "skippable-frames-zstd": skippable_frames,
    "dictionary-of-4-gib-lzma": lzma_dictionary,
    "dictionary-of-4-gib-xz": xz_dictionary,
    "window-of-2-gib-zstd": zstd_window,
    "links-in-a-circle": listed(circle),
    "links-that-double": listed(doubling),
    "links-each-to-the-next": listed(links),
    "links-through-2000-directories": listed(deep_links),
    "many-directories": listed(numbered(b"d%d", DIRECTORY)),
    "many-files": listed(numbered(b"f%d", 0o100666, b"x")),
    "many-modules": listed(modules),
    "many-scripts": listed(scripts),
    "many-hard-links": listed(hard_links),
    "many-names-of-one-file": listed(one_file),
    "many-of-one-name": listed(duplicates),
    "many-without-parents": listed(parents),
    "many-that-climb": listed(climbing),
    "many-flaws": listed(flaws),
    "many-names-too-long": listed(long_flaws),
    "many-names-of-4-kib": listed(long_names),
    "directories-of-like-names": listed(prefixes),
    "directories-100000-deep": listed(deep),
    "names-2000-deep": listed(deep_names),
    "loads-2000-deep": listed(deep_loads),
    "elf-of-46-mib": listed(large_elf),
    "elf-of-65000-sections": listed(sections),
    "modinfo-of-16-mib-claimed": listed(claims_of_modinfo),
    "modinfo-of-1-mib-each": listed(modinfos),
    "modules-that-need-all": listed(needs),
    "script-of-loops": listed(loops),
    "script-of-patterns": listed(patterns),
    "script-of-names": listed(aliases),
    "script-of-nash": listed(nash_patterns),
}


def main():
    global PARTS
    name, *parts = sys.argv[1:]
    if name == "--names":
        print("\n".join(IMAGES))
        return
    PARTS = int(parts[0]) if parts else 1
    try:
        IMAGES[name]()
        OUT.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough.
        sys.stderr.close()


if __name__ == "__main__":
    main()
