#!/usr/bin/env python3
"""Makes the root of an EL4-like or EL5-like system, as small as a build can do with.

What comes out: DIR/lib/modules/KVER (the directory carries an architecture suffix that the modules'
vermagic lacks, as on the hosts of 2008), DIR/etc, and DIR/bins with stand-ins for the static
programs of that time, each of which does nothing but exit successfully. The same arguments give the
same bytes. Nothing of any distribution is in it.

As a module (load it by its path, for its name has a dash), it gives `module` and `executable`, which
make one ELF file each, whole or wrong in one chosen respect.
"""

import argparse
import os
import struct
import sys

# e_machine, EI_CLASS in bits, and the code that exits with status 0.
ARCHES = {
    "x86_64": (62, 64, bytes.fromhex("31ff b83c000000 0f05")),
    "i386": (3, 32, bytes.fromhex("31db b801000000 cd80")),
    "aarch64": (183, 64, struct.pack("<3I", 0xD2800000, 0xD2800BA8, 0xD4000001)),
}
ET_REL, ET_EXEC = 1, 2
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB = 1, 2, 3
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 1, 5, 10, 15, 29

XEN = [("drivers/xen/blkfront/xenblk", []), ("drivers/xen/netfront/xennet", [])]
EXT3 = [("fs/jbd/jbd", []), ("fs/ext3/ext3", ["jbd"])]
EXTRA = [
    ("drivers/md/dm-mirror", ["dm-mod"]),
    ("drivers/md/dm-mod", []),
    ("drivers/md/dm-snapshot", ["dm-mod"]),
    ("drivers/md/dm-zero", ["dm-mod"]),
    ("drivers/md/raid1", []),
    ("drivers/scsi/aic79xx", ["scsi_mod"]),
    ("drivers/scsi/scsi_mod", []),
    ("drivers/scsi/sd_mod", ["scsi_mod"]),
]
GENERATIONS = {
    "el4": {
        "release": "2.6.9-67.0.1.ELxenU",
        "vermagic": {"x86_64": "SMP gcc-3.4", "i386": "SMP 686 REGPARM gcc-3.4"},
        "programs": ["insmod.static", "lvm.static", "nash", "udev.static"],
    },
    "el5": {
        "release": "2.6.18-398.el5xen",
        "vermagic": {
            "x86_64": "SMP mod_unload Xen gcc-4.1",
            "i386": "SMP mod_unload Xen 686 REGPARM 4KSTACKS gcc-4.1",
        },
        "programs": ["insmod.static", "lvm.static", "nash"],
    },
}
MODPROBE_CONF = "alias eth0 xennet\n"
MODPROBE_CONF_EXTRA = r"""# An adapter, and options over more lines than one.
alias scsi_hostadapter aic79xx
options scsi_mod max_luns=255 \
    dev_flags="HP:C5:0x240"
options aic79xx \
    aic79xx=verbose
"""
UDEV_CONF = 'udev_root="/dev/"\nudev_log="no"\n'


class Layout:
    """The field layouts of one ELF class and data order (gABI, chapter 4)."""

    def __init__(self, bits, little):
        self.bits = bits
        self.order = "<" if little else ">"
        self.ident = bytes([0x7F, *b"ELF", 2 if bits == 64 else 1, 1 if little else 2, 1]) + bytes(9)
        self.header_size, self.program_size, self.section_size, self.symbol_size = (
            (64, 56, 64, 24) if bits == 64 else (52, 32, 40, 16)
        )

    def pack(self, fmt, *values):
        """`A` stands for an address, an offset or a size: as wide as the class."""
        return struct.pack(self.order + fmt.replace("A", "Q" if self.bits == 64 else "I"), *values)

    def header(self, kind, machine, entry=0, programs=0, sections_at=0, sections=0, names=0):
        return self.ident + self.pack(
            "HHIAAAIHHHHHH", kind, machine, 1, entry, self.header_size if programs else 0,
            sections_at, 0, self.header_size, self.program_size if programs else 0, programs,
            self.section_size if sections else 0, sections, names,
        )

    def program(self, kind, flags, offset, base, size, align):
        place = (offset, base + offset, base + offset, size, size)
        if self.bits == 64:
            return self.pack("II6A", kind, flags, *place, align)
        return self.pack("I5AIA", kind, *place, flags, align)

    def section(self, name, kind, flags, offset, size, link=0, info=0, align=1, entry=0):
        return self.pack("II4AIIAA", name, kind, flags, 0, offset, size, link, info, align, entry)

    def symbol(self, name, info, section, value, size):
        if self.bits == 64:
            return self.pack("IBBHAA", name, info, 0, section, value, size)
        return self.pack("IAABBH", name, value, size, info, 0, section)


def kind_of(arch, bits, machine):
    of_arch = ARCHES[arch]
    return bits or of_arch[1], of_arch[0] if machine is None else machine, of_arch[2]


def strings(texts):
    """A string table, and the place of each text in it."""
    table, places = b"\0", {}
    for text in texts:
        places[text] = len(table)
        table += text.encode() + b"\0"
    return table, places


def modinfo(vermagic, depends, aliases, softdeps, fields):
    """A .modinfo section; `depends` of None leaves that field out."""
    lines = ["license=GPL", *fields, *("alias=" + alias for alias in aliases)]
    lines += ["softdep=" + softdep for softdep in softdeps]
    if depends is not None:
        lines.append("depends=" + ",".join(depends))
    if vermagic is not None:
        lines.append("vermagic=" + vermagic)
    return b"".join(line.encode() + b"\0" for line in lines)


def module(name, vermagic, depends=(), aliases=(), softdeps=(), fields=(), arch="x86_64",
           bits=None, machine=None, little=True, elf_type=ET_REL, padding=0):
    """The bytes of a kernel module, as small as they come.

    `bits`, `machine`, `little` and `elf_type` overrule what `arch` says; `padding` makes .text that
    much longer. `fields` are further lines of .modinfo (`name=x`, `intree=Y`).
    """
    bits, machine, _ = kind_of(arch, bits, machine)
    elf = Layout(bits, little)
    word = bits // 8
    names, at = strings(["init_module", "__this_module"])
    # `struct module` of 2.6 begins with its state and its list; its name comes next.
    this_module = bytes(3 * word) + name.encode().ljust(64 - word, b"\0") + bytes(128)
    text = bytes(16 + padding)
    symbols = elf.symbol(0, 0, 0, 0, 0)
    symbols += elf.symbol(at["init_module"], 0x12, 1, 0, 16)
    symbols += elf.symbol(at["__this_module"], 0x11, 3, 0, len(this_module))
    info = modinfo(vermagic, depends, aliases, softdeps, fields)
    # name, type, flags, bytes, link, info, alignment, entry size
    sections = [
        (".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, text, 0, 0, 16, 0),
        (".modinfo", SHT_PROGBITS, SHF_ALLOC, info, 0, 0, word, 0),
        (".gnu.linkonce.this_module", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, this_module, 0, 0, word, 0),
        (".symtab", SHT_SYMTAB, 0, symbols, 5, 1, word, elf.symbol_size),
        (".strtab", SHT_STRTAB, 0, names, 0, 0, 1, 0),
    ]
    return relocatable(elf, machine, elf_type, sections)


def relocatable(elf, machine, elf_type, sections):
    table, at = strings([section[0] for section in sections] + [".shstrtab"])
    sections = sections + [(".shstrtab", SHT_STRTAB, 0, table, 0, 0, 1, 0)]
    body, headers = bytearray(), [bytes(elf.section_size)]
    for name, kind, flags, data, link, info, align, entry in sections:
        body += bytes(-(elf.header_size + len(body)) % align)
        offset = elf.header_size + len(body)
        headers.append(
            elf.section(at[name], kind, flags, offset, len(data), link, info, align, entry)
        )
        body += data
    body += bytes(-(elf.header_size + len(body)) % 8)
    header = elf.header(
        elf_type, machine, sections_at=elf.header_size + len(body), sections=len(headers),
        names=len(headers) - 1,
    )
    return header + bytes(body) + b"".join(headers)


def executable(name, arch="x86_64", bits=None, machine=None, little=True, elf_type=ET_EXEC,
               interpreter=None, needed=(), rpath=None, runpath=None):
    """The bytes of a program that exits with status 0; static, unless given an interpreter.

    `needed`, `rpath` and `runpath` stand in the dynamic section, which comes with an interpreter.
    `name` is left in it as a text, so that no two programs are the same.
    """
    bits, machine, code = kind_of(arch, bits, machine)
    elf = Layout(bits, little)
    base, word = (0x400000 if bits == 64 else 0x08048000), bits // 8
    programs = 1 + 2 * (interpreter is not None)
    code_at = elf.header_size + programs * elf.program_size
    body = bytearray(code + b"stand-in for " + name.encode() + b"\0")
    extra = []
    if interpreter is not None:
        interp_at = code_at + len(body)
        body += interpreter.encode() + b"\0"
        wanted = [(DT_NEEDED, library) for library in needed]
        wanted += [(tag, path) for tag, path in ((DT_RPATH, rpath), (DT_RUNPATH, runpath)) if path]
        table, places = strings([text for _, text in wanted])
        table_at = code_at + len(body)
        body += table
        body += bytes(-(code_at + len(body)) % word)
        dynamic_at = code_at + len(body)
        dynamic = b"".join(elf.pack("AA", tag, places[text]) for tag, text in wanted)
        dynamic += elf.pack("AAAA", DT_STRTAB, base + table_at, DT_STRSZ, len(table)) + bytes(2 * word)
        body += dynamic
        extra = [
            elf.program(PT_INTERP, 4, interp_at, base, len(interpreter) + 1, 1),
            elf.program(PT_DYNAMIC, 6, dynamic_at, base, len(dynamic), word),
        ]
    load = elf.program(PT_LOAD, 5, 0, base, code_at + len(body), 0x1000)
    header = elf.header(elf_type, machine, entry=base + code_at, programs=programs)
    # An interpreter's header comes before those of what is loaded (gABI, chapter 5).
    headers = b"".join(extra[:1] + [load] + extra[1:])
    return header + headers + bytes(body)


def closure(name, depends):
    """The prerequisites of a module, nearest first, as depmod of 2.6 lists them."""
    found = []
    for prerequisite in depends[name]:
        found += [prerequisite, *closure(prerequisite, depends)]
    return found


def modules_dep(kernel, modules):
    """modules.dep of depmod 3.1: absolute paths, though nothing lies there on this host."""
    paths = {os.path.basename(path): f"/lib/modules/{kernel}/kernel/{path}.ko" for path, _ in modules}
    depends = {os.path.basename(path): wanted for path, wanted in modules}
    lines = (
        f"{path}: {' '.join(paths[wanted] for wanted in closure(name, depends))}".rstrip(" ")
        for name, path in paths.items()
    )
    return "".join(line + "\n" for line in lines)


def write(root, path, data, mode=0o644):
    target = os.path.join(root, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(target, mode)


def make_tree(root, generation="el4", arch="x86_64", bits_of=None, with_dep=True, with_extra=False):
    """Makes the tree, and gives the name of its module directory."""
    facts = GENERATIONS[generation]
    kernel = f"{facts['release']}-{arch}"
    vermagic = f"{facts['release']} {facts['vermagic'][arch]}"
    modules = sorted(XEN + EXT3 + (EXTRA if with_extra else []))
    for path, depends in modules:
        name = os.path.basename(path)
        data = module(name.replace("-", "_"), vermagic, depends, arch=arch)
        write(root, f"lib/modules/{kernel}/kernel/{path}.ko", data)
    if with_dep:
        write(root, f"lib/modules/{kernel}/modules.dep", modules_dep(kernel, modules))
    write(root, "etc/modprobe.conf", MODPROBE_CONF + (MODPROBE_CONF_EXTRA if with_extra else ""))
    if generation == "el4":
        write(root, "etc/udev/udev.conf", UDEV_CONF)
    for name in facts["programs"]:
        data = executable(name, arch=(bits_of or {}).get(name, arch))
        write(root, f"bins/{name}", data, 0o755)
    return kernel


def program_arch(text):
    name, _, arch = text.partition("=")
    if arch not in ARCHES:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=ARCH with ARCH of {', '.join(ARCHES)}")
    return name, arch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", metavar="DIR", help="where it goes; made if need be")
    parser.add_argument("--generation", choices=sorted(GENERATIONS), default="el4")
    parser.add_argument("--arch", choices=["x86_64", "i386"], default="x86_64")
    parser.add_argument("--bits-of", metavar="NAME=ARCH", type=program_arch, action="append", default=[],
                        help="make the program NAME for another architecture")
    parser.add_argument("--no-dep", action="store_true", help="leave modules.dep out")
    parser.add_argument("--with-extra", action="store_true",
                        help="SCSI, device-mapper and RAID modules too, and options for them")
    args = parser.parse_args()
    programs = GENERATIONS[args.generation]["programs"]
    for name, _ in args.bits_of:
        if name not in programs:
            parser.error(f"{args.generation} has no program {name}; it has {', '.join(programs)}")
    print(make_tree(args.directory, args.generation, args.arch, dict(args.bits_of),
                    not args.no_dep, args.with_extra))


if __name__ == "__main__":
    sys.exit(main())
