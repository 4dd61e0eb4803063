#!/usr/bin/env python3
"""Guests' roots that are made to hurt whoever reads them, each by its name.

    hostile_roots.py NAME DIRECTORY [PARTS]   makes DIRECTORY/root, of kernel 6.1.0, and DIRECTORY/image;
                                              of what there is much of, a PARTS-th
    hostile_roots.py --names                  the names
"""

import gzip
import lzma
import pathlib
import sys

import hostile
from hostile import EXECUTABLE, FILE, TRAILER, entry, many, module

KERNEL = "6.1.0"
MODULES = f"lib/modules/{KERNEL}"
MIB = 1 << 20


def lines(pattern, size):
    """Numbered lines of so many bytes in all."""
    made, number = bytearray(), 0
    while len(made) < size:
        made += b"".join(pattern % at for at in range(number, number + 1000))
        number += 1000
    return bytes(made[:size])


def put(root, path, data):
    path = pathlib.Path(root, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def module_of(name="m", info=b""):
    return entry(b"lib/modules/6.1.0/%s.ko" % name.encode(), FILE, module(info))


def one_module():
    yield module_of()


def holding(path, make, pack=bytes):
    """A root with one file that is as good as none, and an image of one module."""
    def write(root):
        put(root, f"{MODULES}/m.ko", module())
        put(root, path, pack(make()))
        return one_module()
    return write


def quick_gzip(data):
    return gzip.compress(data, 1, mtime=0)


def quick_xz(data):
    return lzma.compress(data, check=lzma.CHECK_CRC32, preset=0)


def symvers(size, pattern=b"0x1 s%d m\n"):
    return lambda: b"0x1 s vmlinux\n" + lines(pattern, many(size * MIB))


def short_symvers_everywhere(root):
    """In every place a list that names no symbol of the kernel, so that the next one is read."""
    put(root, f"{MODULES}/m.ko", module())
    packed = quick_gzip(b"\n" * many(32 * MIB))
    for place in (f"usr/src/linux-headers-{KERNEL}/Module.symvers", f"usr/src/kernels/{KERNEL}/Module.symvers",
                  f"{MODULES}/build/Module.symvers", f"{MODULES}/symvers.gz", f"{MODULES}/symvers.xz",
                  f"boot/symvers-{KERNEL}.gz", f"boot/System.map-{KERNEL}", f"{MODULES}/System.map"):
        put(root, place, packed)
    return one_module()


def builtin(path, make):
    def write(root):
        put(root, f"{MODULES}/m.ko", module())
        put(root, f"{MODULES}/modules.builtin", b"kernel/a.ko\n")
        put(root, f"{MODULES}/{path}", make())
        return builtin_users()
    return write


def builtin_users():
    info = b"depends=" + b",".join(b"a%d" % number + b"a" * 100 for number in range(300)) + b"\0"
    for number in range(many(1000)):
        yield module_of(f"m{number}", info)


def costly_aliases():
    """Patterns that nearly match every name."""
    return b"".join(b"m%d.alias=a*a*a*a*a*b\0" % number for number in range(many(100_000)))


def long_alias():
    return b"x.alias=z" + b"q" * (16 * MIB - 32) + b"\0"


def sparse_module(root):
    put(root, f"{MODULES}/m.ko", module())
    with pathlib.Path(root, MODULES, "m.ko").open("r+b") as file:
        file.truncate(512 * MIB)
    return one_module()


def packed_modules(root):
    """Many modules of one name, each of which unpacks to as much as is unpacked."""
    bomb = quick_xz(module() + bytes(many(47 * MIB)))
    for number in range(many(1000)):
        put(root, f"{MODULES}/d{number}/m.ko.xz", bomb)
    return one_module()


def users_of_one(root):
    """Many modules of one name in the image, and a large one in the root."""
    put(root, f"{MODULES}/m.ko.xz", quick_xz(module() + bytes(many(40 * MIB))))
    for number in range(many(3000)):
        yield entry(b"lib/modules/6.1.0/d%d/m.ko" % number, FILE, module())


def many_releases(root):
    """As many lists of what is built in as texts are kept, and modules that ask for what none of them has."""
    put(root, f"{MODULES}/m.ko", module())
    needed = b",".join(b"n%d" % number for number in range(900))
    for number in range(many(2500)):
        release = b"lib/modules/6.1.%d/" % number
        listed = b"".join(b"%d-%d.ko\n" % (number, at) for at in range(500))
        yield entry(release + b"modules.builtin", FILE, listed)
        yield entry(release + b"m.ko", FILE, module(b"depends=" + needed + b"\0"))


ROOTS = {
    "symvers-of-64-mib": holding(f"{MODULES}/symvers.gz", symvers(64), quick_gzip),
    "symvers-of-30-mib": holding(f"{MODULES}/symvers.gz", symvers(30), quick_gzip),
    "symvers-of-one-symbol": holding(f"{MODULES}/build/Module.symvers", symvers(30, b"0x%d s m\n")),
    "symvers-of-long-names": holding(f"{MODULES}/build/Module.symvers", symvers(30, b"0x1 " + b"s" * 500 + b"%d m\n")),
    "symvers-of-many-modules": holding(f"{MODULES}/symvers.gz", symvers(30, b"0x1 s mmmmmmmm%d\n"), quick_gzip),
    "symvers-everywhere": short_symvers_everywhere,
    "system-map-of-64-mib": holding(f"boot/System.map-{KERNEL}", lambda: lines(b"0 r __ksymtab_%d\n", many(64 * MIB))),
    "configuration-of-64-mib": holding(f"boot/config-{KERNEL}", lambda: lines(b"CONFIG_%d=y\n", many(64 * MIB))),
    "configuration-of-3-mib": holding(f"boot/config-{KERNEL}", lambda: lines(b"CONFIG_%d=y\n", many(3 * MIB))),
    "builtin-of-64-mib": builtin("modules.builtin", lambda: lines(b"%d.ko\n", many(64 * MIB))),
    "builtin-of-3-mib": builtin("modules.builtin", lambda: lines(b"%d.ko\n", many(3 * MIB))),
    "builtin-modinfo-of-64-mib": builtin("modules.builtin.modinfo", lambda: lines(b"m.alias=%d\0", many(64 * MIB))),
    "builtin-modinfo-of-7-mib": builtin("modules.builtin.modinfo", lambda: lines(b"m.alias=%d\0", many(7 * MIB))),
    "builtin-aliases-that-nearly-match": builtin("modules.builtin.modinfo", costly_aliases),
    "builtin-alias-of-16-mib": builtin("modules.builtin.modinfo", long_alias),
    "builtin-of-2500-releases": many_releases,
    "module-of-512-mib": sparse_module,
    "modules-that-unpack-to-47-gib": packed_modules,
    "module-of-3000-users": users_of_one,
}


def main():
    if sys.argv[1:] == ["--names"]:
        print("\n".join(ROOTS))
        return
    name, directory = sys.argv[1:3]
    if len(sys.argv) > 3:
        hostile.PARTS = int(sys.argv[3])
    root = pathlib.Path(directory, "root")
    root.mkdir()
    with pathlib.Path(directory, "image").open("wb") as image:
        for one in ROOTS[name](root):
            image.write(one)
        image.write(entry(b"init", EXECUTABLE, b"\x7fELF"))
        image.write(TRAILER)


if __name__ == "__main__":
    main()
