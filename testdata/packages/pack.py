"""Packs trees into packages: with the distributions' own tools where Debian has them, else as their formats have it.

A module for the recipes of the tests. `rpms` has rpmbuild make them; `raw_rpm` writes what no rpmbuild of today
does: headers of version 3, the old file names, payloads in rpm's own cpio of small files. `deb` assembles members
with ar, `pacman` and `apk` do as makepkg and abuild-tar do. The same arguments give the same files, but for the times
in them.
"""

import gzip
import hashlib
import os
import shutil
import stat
import struct
import subprocess
import tarfile

# Which file of an EL4-like root came in which package.
EL4_PACKAGES = {
    "kernel-xenU": ("2.6.9", "67.0.1.EL", ["lib/modules", "etc/modprobe.conf"]),
    "mkinitrd": ("4.2.1.10", "1", ["sbin/nash"]),
    "module-init-tools": ("3.1", "0.pre5", ["sbin/insmod.static"]),
    "udev": ("039", "10", ["sbin/udev.static", "etc/udev"]),
}
COMPRESSORS = {"gz": ["gzip", "-9nc"], "xz": ["xz", "-c"], "zst": ["zstd", "-qc"], "bz2": ["bzip2", "-c"],
               "lzma": ["xz", "--format=lzma", "-c"], "": ["cat"]}


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


def compressed(data, kind):
    return run(*COMPRESSORS[kind], input=data)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


# --- rpm, by rpmbuild

SPEC = """
%define _build_id_links none
%define debug_package %nil
%define __os_install_post %nil
AutoReqProv: no
Name: {name}
Version: {version}
Release: {release}
Summary: {name}
License: none
%description
%files
{files}
"""


def rpmbuild(spec, tree, to, payload, arch="x86_64"):
    """Has rpmbuild make what `spec` says of the files in `tree`."""
    os.makedirs("rpmbuild", exist_ok=True)
    write("rpmbuild/spec", spec.encode())
    here = os.path.abspath("rpmbuild")
    subprocess.run(
        ["rpmbuild", "-bb", "--quiet", "--noclean", "--target", f"{arch}-linux", "--buildroot", os.path.abspath(tree),
         "-D", f"_topdir {here}", "-D", f"_rpmdir {os.path.abspath(to)}", "-D", "_rpmfilename %%{NAME}.rpm",
         "-D", f"_binary_payload {payload}", "-D", "__spec_install_pre %nil", "-D", "__spec_install_post %nil",
         "-D", "_dbpath %{_topdir}/db", "rpmbuild/spec"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def el4_system(root, to):
    """The root with its programs where EL4 had them."""
    shutil.copytree(root, to, symlinks=True)
    os.rename(f"{to}/bins", f"{to}/sbin")
    os.remove(f"{to}/sbin/lvm.static")


def rpms(system, to, payload):
    """The packages of EL4 that `system` came in; gives their names. One run of rpmbuild makes them all."""
    spec, head = "", None
    for name, (version, release, files) in EL4_PACKAGES.items():
        listed = "\n".join("/" + file for file in files)
        if head is None:
            spec = SPEC.format(name=name, version=version, release=release, files=listed)
            head = name
        else:
            spec += f"""
%package -n {name}
Version: {version}
Release: {release}
Summary: {name}
AutoReqProv: no
%description -n {name}
%files -n {name}
{listed}
"""
    rpmbuild(spec, system, to, payload)
    return list(EL4_PACKAGES)


# --- rpm, by hand (the RPM file format of rpm's manual; LSB core 22.2 for version 3)

INT16, INT32, INT64, STRING, BIN, STRINGS = 3, 4, 5, 6, 7, 8
WIDTHS = {INT16: "H", INT32: "I", INT64: "Q"}


def header(tags):
    """A header of `tags`, by number: type and values."""
    index, store = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        if kind in WIDTHS:
            store += bytes(-len(store) % struct.calcsize(WIDTHS[kind]))
            data, count = struct.pack(f">{len(values)}{WIDTHS[kind]}", *values), len(values)
        elif kind == STRING:
            data, count = values.encode() + b"\0", 1
        elif kind == BIN:
            data, count = values, len(values)
        else:
            data, count = b"".join(os.fsencode(value) + b"\0" for value in values), len(values)
        index += struct.pack(">4I", tag, kind, len(store), count)
        store += data
    return b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">2I", len(tags), len(store)) + index + store


def padded(data):
    return data + bytes(-len(data) % 4)


def newc(name, mode, data, ino=1, nlink=1, mtime=0):
    fields = (ino, mode, 0, 0, nlink, mtime, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    return padded(b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0") + padded(data)


def raw_rpm(path, files, name="raw", version="1", release="1", arch="x86_64", stripped=False, old_names=False,
            payload="gz", lead=3, md5=True, more=None, spoil=lambda payload: payload):
    """Writes a package. `files` are (name, mode, data), where links have their targets for data; the same `inode`
    as a fourth makes names of one file, of which the last has the data."""
    files = [(*file, number + 1)[:4] if len(file) == 3 else file for number, file in enumerate(files)]
    inodes = [file[3] for file in files]
    cpio = b""
    for number, (file, mode, data, inode) in enumerate(files):
        is_last = inode not in inodes[number + 1:]
        content = data if is_last else b""
        if stripped:
            cpio += padded(b"07070X%08x" % number) + padded(content)
        else:
            cpio += newc(b"." + os.fsencode(file), mode, content, inode, inodes.count(inode))
    cpio += newc(b"TRAILER!!!", 0, b"")
    packed = spoil(compressed(cpio, payload))
    tags = {
        1000: (STRING, name), 1001: (STRING, version), 1002: (STRING, release), 1022: (STRING, arch),
        1030: (INT16, [mode for _, mode, _, _ in files]),
        1033: (INT16, [0] * len(files)), 1034: (INT32, [0] * len(files)),
        1035: (STRINGS, [""] * len(files)), 1037: (INT32, [0] * len(files)),
        1036: (STRINGS, [data if stat.S_ISLNK(mode) else b"" for _, mode, data, _ in files]),
        1039: (STRINGS, ["root"] * len(files)), 1040: (STRINGS, ["root"] * len(files)),
        1045: (INT32, [0] * len(files)), 1095: (INT32, [1] * len(files)), 1096: (INT32, inodes),
        1097: (STRINGS, [""] * len(files)),
    }
    sizes = [len(data) for _, _, data, _ in files]
    tags[5008 if stripped else 1028] = (INT64 if stripped else INT32, sizes)
    if old_names:
        tags[1027] = (STRINGS, [file for file, _, _, _ in files])
    else:
        directories = sorted({os.path.dirname(file).rstrip("/") + "/" for file, _, _, _ in files})
        tags[1116] = (INT32, [directories.index(os.path.dirname(file).rstrip("/") + "/") for file, _, _, _ in files])
        tags[1117] = (STRINGS, [os.path.basename(file) for file, _, _, _ in files])
        tags[1118] = (STRINGS, directories)
    if not old_names:
        tags[1124], tags[1125] = (STRING, "cpio"), (STRING, "gzip")
    tags.update(more or {})
    tags = {tag: value for tag, value in tags.items() if value is not None}
    main = header(tags)
    signature = {1000: (INT32, [len(main) + len(packed)])}
    if md5:
        signature[1004] = (BIN, hashlib.md5(main + packed).digest())
    signatures = header(signature)
    start = b"\xed\xab\xee\xdb" + bytes([lead, 0]) + bytes(2) + struct.pack(">H", 1) + name.encode().ljust(66, b"\0")
    start += struct.pack(">2H", 1, 5) + bytes(16)
    write(path, start + signatures + bytes(-len(signatures) % 8) + main + packed)


def tree_files(tree):
    """What `raw_rpm` makes of a tree."""
    files = []
    for top, directories, names in os.walk(tree):
        directories.sort()
        for name in sorted(directories + names):
            path = os.path.join(top, name)
            status = os.lstat(path)
            data = b""
            if stat.S_ISLNK(status.st_mode):
                data = os.fsencode(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    data = file.read()
            files.append((path.removeprefix(tree), status.st_mode, data))
    return files


# --- deb

CONTROL = "Package: {name}\nVersion: 1.2-3\nArchitecture: {arch}\nMaintainer: nobody <n@example.org>\nDescription: {name}\n"


def deb(path, tree, kind="gz", arch="amd64", control_kind="gz", data=None):
    """A package whose members ar puts together."""
    name = os.path.basename(path).removesuffix(".deb")
    os.makedirs("members", exist_ok=True)
    write("members/control", CONTROL.format(name=name, arch=arch).encode())
    suffix = lambda kind: f".{kind}" if kind else ""
    members = ["debian-binary", "control.tar" + suffix(control_kind), "data.tar" + suffix(kind)]
    write("members/debian-binary", b"2.0\n")
    write(f"members/{members[1]}", compressed(run("tar", "-C", "members", "-c", "./control"), control_kind))
    write(f"members/{members[2]}", data if data is not None else compressed(run("tar", "-C", tree, "-c", "."), kind))
    if os.path.exists(path):
        os.remove(path)
    run("ar", "qcD", os.path.abspath(path), *members, cwd="members")
    shutil.rmtree("members")


# --- pacman, as makepkg does it

PKGINFO = "# made by hand\npkgname = {name}\npkgver = 1.2-3\npkgdesc = {name}\narch = {arch}\nsize = 1\n"


def pacman(path, tree, kind="zst", arch="x86_64"):
    copy = "pacman-tree"
    run("cp", "-a", tree, copy)
    write(f"{copy}/.PKGINFO", PKGINFO.format(name="pacman", arch=arch).encode())
    write(f"{copy}/.BUILDINFO", b"format = 2\n")
    top = sorted(os.listdir(tree))
    mtree = run("bsdtar", "-czf", "-", "--format=mtree", "--options=!all,use-set,type,uid,gid,mode,time,size,sha256,link",
                ".PKGINFO", ".BUILDINFO", *top, cwd=copy)
    write(f"{copy}/.MTREE", mtree)
    plain = run("bsdtar", "--no-fflags", "-cf", "-", ".BUILDINFO", ".MTREE", ".PKGINFO", *top, cwd=copy)
    write(path, compressed(plain, kind))
    shutil.rmtree(copy)


# --- apk, as abuild does it

def cut_tar(members, sized=False):
    """A tar archive without the zeros at its end, as `abuild-tar --cut` leaves it; each file with its checksum in a
    pax header, as `abuild-tar --hash` puts it."""
    import io
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data, info in members:
            if info is None:
                info = tarfile.TarInfo(name)
                info.size = len(data)
            if info.isreg():
                info.pax_headers = {"APK-TOOLS.checksum.SHA1": hashlib.sha1(data).hexdigest()}
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
        end = out.tell()
    return out.getvalue()[:end]


def apk(path, tree, arch="x86_64", signed=True, parts=3):
    members = []
    for file, mode, data in tree_files(tree):
        info = tarfile.TarInfo(file.lstrip("/"))
        info.mode = mode & 0o7777
        if stat.S_ISDIR(mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(data)
        else:
            info.size = len(data)
        members.append((file, data, info))
    data = gzip.compress(cut_tar(members) + bytes(1024))
    text = PKGINFO.format(name="apk", arch=arch) + f"datahash = {hashlib.sha256(data).hexdigest()}\n"
    control = gzip.compress(cut_tar([(".PKGINFO", text.encode(), None), (".post-install", b"#!/bin/sh\nexit 1\n", None)]))
    signature = gzip.compress(cut_tar([(".SIGN.RSA.nobody.rsa.pub", bytes(range(256)), None)]))
    write(path, b"".join(([signature] if signed else []) + [control, data][:parts]))
