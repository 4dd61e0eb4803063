"""Packages that are made to hurt whoever reads them: a module for the recipes of the tests, beside `pack.py`."""

import gzip
import io
import lzma
import struct
import tarfile

KINDS = {"file": tarfile.REGTYPE, "symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE, "directory": tarfile.DIRTYPE}


def tar(path, *entries):
    """A tar archive of entries: path, kind, and content or target."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, value in entries:
            info = tarfile.TarInfo(name)
            info.type = KINDS[kind]
            if kind == "file":
                info.size = len(value)
            else:
                info.linkname = value
            archive.addfile(info, io.BytesIO(value) if kind == "file" else None)


def header(name="x", size=0, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def write(path, *parts):
    with open(path, "wb") as file:
        file.writelines(parts)


def claims():
    """Whatever has a size says that it is enormous."""
    write("file.tar", header(size=1 << 33))
    write("file.tar.gz", gzip.compress(header(size=1 << 33)))
    write("name.tar", header(size=1 << 33, kind=tarfile.GNUTYPE_LONGNAME), bytes(4 << 20))
    write("pax.tar", header(size=1 << 33, kind=tarfile.XHDTYPE), bytes(4 << 20))
    write("member.deb", b"!<arch>\n", b"debian-binary".ljust(48), b"9999999999`\n", b"2.0\n")
    lead, magic = b"\xed\xab\xee\xdb\x03" + bytes(91), b"\x8e\xad\xe8\x01" + bytes(4)
    write("tags.rpm", lead, magic, struct.pack(">2I", 65536, 1 << 31))
    write("store.rpm", lead, magic, struct.pack(">2I", 1, 32 << 20))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    write("dictionary.tar.xz", lzma.compress(header(), filters=filters))


def entries(path, count=1_000_016):
    """A million long names, and none of them twice."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(0, count, 1000):
            file.write(b"".join(header(f"{number + one:07}" + "n" * 90) for one in range(1000)))


def through(path, count=9000):
    """Links of long ways, each to the next, and thousands of entries through them: some kilobytes."""
    way = "d/../" * 800
    links = [(f"l{number}", "symlink", f"{way}l{number + 1}") for number in range(38)]
    with gzip.open(path, "wb") as file:
        for name, kind, value in [("d", "directory", ""), ("l38", "directory", ""), *links]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = KINDS[kind], value
            file.write(info.tobuf(tarfile.PAX_FORMAT))
        file.write(header("l0/x") * count)
        file.write(bytes(1024))


def twice():
    """A payload in which two names of one file have its data each."""
    def entry(name, data, nlink=2):
        fields = (7, 0o100644, 0, 0, nlink, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        start = b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0"
        return start + bytes(-len(start) % 4) + data + bytes(-len(data) % 4)
    return entry(b"./a", b"first!") + entry(b"./b", b"second") + entry(b"TRAILER!!!", b"", 1)
