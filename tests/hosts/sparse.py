#!/usr/bin/env python3
"""Archives with large files that cost no disk.

    sparse.py image SIZE COUNT >FILE       COUNT files of SIZE zeros, and one more
    sparse.py tar SIZE COUNT ROOT >FILE    COUNT files of SIZE zeros, and those of the directory ROOT
"""

import sys
import tarfile
from pathlib import Path


def entry(name, size, mode=0o100644):
    """The header of a newc entry, as far as its data."""
    fields = (1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0"
    return head + bytes(-len(head) % 4)


def image(out, size, count):
    for number in range(count):
        out.write(entry(b"%d" % number, size))
        out.seek(size + -size % 4, 1)
    out.write(entry(b"last", 4) + b"data" + entry(b"TRAILER!!!", 0, 0) + bytes(512))


def tar(out, size, count, root):
    for number in range(count):
        member = tarfile.TarInfo(f"./{number}")
        member.size = size
        out.write(member.tobuf())
        out.seek(size + -size % 512, 1)
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(Path(root) / "lib", "./lib")


def main():
    kind, size, count, *root = sys.argv[1:]
    {"image": image, "tar": tar}[kind](sys.stdout.buffer, int(size), int(count), *root)


main()
