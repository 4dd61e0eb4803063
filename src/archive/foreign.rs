//! What users take for a ramdisk and is none, told by what it begins with.
//!
//! In: the first bytes of what stands where a segment or an entry should. Out: what it is, and what its
//! owner can do about it. The signs are those of the formats' own documents: POSIX (ustar, cpio), the LZ4
//! frame format, the kernel's `arch/x86/boot.rst` and `arch/arm64/booting.rst`, ext4's `globals.rst`.

use std::fmt;

use crate::compress::{Format, detect};

/// What is no archive in the newc format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// The frame that `lz4` writes without `-l`.
    Lz4Frame,
    /// An archive of `tar`.
    Tar,
    /// An ELF file.
    Elf,
    /// A kernel.
    Kernel,
    /// A program for the firmware.
    EfiProgram,
    /// A file system, by its name.
    FileSystem(&'static str),
    /// An archive of `zip`.
    Zip,
    /// A compressed member in a compressed member.
    Compressed(Format),
    /// A cpio archive of octal digits (`-H odc`).
    OldCpio,
    /// A cpio archive of binary numbers (`-H bin`), which `cpio -o` writes of itself.
    BinaryCpio,
    /// A page of the web.
    Page,
    /// Any other text.
    Text,
}

/// How many bytes tell what they are: up to the magic number of an ext file system.
pub(crate) const TELLING: usize = 1082;

/// Where a magic stands, and whose it is; the first that fits counts.
const SIGNS: [(usize, &[u8], Foreign); 16] = [
    (0, b"\x04\x22\x4d\x18", Foreign::Lz4Frame),
    (0, b"\x7fELF", Foreign::Elf),
    (0x202, b"HdrS", Foreign::Kernel),
    (56, b"ARM\x64", Foreign::Kernel),
    (0, b"MZ", Foreign::EfiProgram),
    (257, b"ustar", Foreign::Tar),
    (0, b"hsqs", Foreign::FileSystem("squashfs")),
    (0, b"\x45\x3d\xcd\x28", Foreign::FileSystem("cramfs")),
    (0, b"\x28\xcd\x3d\x45", Foreign::FileSystem("cramfs")),
    (0, b"-rom1fs-", Foreign::FileSystem("romfs")),
    (1080, b"\x53\xef", Foreign::FileSystem("ext2, ext3 or ext4")),
    (0, b"PK\x03\x04", Foreign::Zip),
    (0, b"070707", Foreign::OldCpio),
    (0, b"\xc7\x71", Foreign::BinaryCpio),
    (0, b"\x71\xc7", Foreign::BinaryCpio),
    (0, b"<?xml", Foreign::Page),
];

impl Foreign {
    /// What `bytes` are, which stand behind `zeros` zeros at the beginning of a file or member; `None`
    /// where they are like nothing that is known.
    pub(crate) fn of(bytes: &[u8], zeros: u64) -> Option<Foreign> {
        let stands = |at: usize, magic: &[u8]| {
            let at = usize::try_from(zeros)
                .ok()
                .and_then(|zeros| at.checked_sub(zeros));
            at.and_then(|at| bytes.get(at..))
                .is_some_and(|from| from.starts_with(magic))
        };
        let sign = SIGNS.iter().find(|(at, magic, _)| stands(*at, magic));
        let compressed = || {
            detect(bytes)
                .filter(|_| zeros == 0)
                .map(Foreign::Compressed)
        };
        let known = sign.map(|&(_, _, what)| what);
        known.or_else(compressed).or_else(|| text(bytes))
    }

    /// What to do about it.
    #[must_use]
    pub const fn cure(self) -> &'static str {
        match self {
            Foreign::Lz4Frame => {
                "Compress it with `lz4 -l`: of lz4's two formats the kernel reads the legacy one alone."
            }
            Foreign::Tar => "Pack the tree with `cpio -o -H newc` instead of tar.",
            Foreign::Elf => "Name the ramdisk: this is a program, a module or a kernel.",
            Foreign::Kernel => {
                "Name the ramdisk that goes with this kernel, most often called initrd.img- or initramfs- and its \
                 version."
            }
            Foreign::EfiProgram => {
                "Name the ramdisk; where this is a unified kernel image, take it out with \
                 `objcopy --dump-section .initrd=initrd.img`."
            }
            Foreign::FileSystem(_) => {
                "Mount it and pack its files with `find . | cpio -o -H newc`: an image of a file system is no \
                 initramfs, and takes a driver in the kernel itself (admin-guide/initrd.rst)."
            }
            Foreign::Zip => "Unpack it, and name the ramdisk that is in it.",
            Foreign::Compressed(_) => {
                "Unpack it once: an archive is to be compressed but once, and the kernel unpacks it no further."
            }
            Foreign::OldCpio => {
                "Make the archive again with `cpio -o -H newc`: the kernel reads no other format."
            }
            Foreign::BinaryCpio => {
                "Make the archive again with `cpio -o -H newc`: without -H, cpio writes a format that the kernel \
                 does not read."
            }
            Foreign::Page => {
                "Download the image again (`curl -f` fails where the server has none): this may be the server's \
                 word that something went wrong."
            }
            Foreign::Text => "Check the path: this is a text.",
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Lz4Frame => {
                f.write_str("an lz4 frame of the format that `lz4` writes without -l")
            }
            Foreign::Tar => f.write_str("a tar archive"),
            Foreign::Elf => f.write_str("an ELF file"),
            Foreign::Kernel => f.write_str("a kernel"),
            Foreign::EfiProgram => f.write_str("a program for EFI firmware"),
            Foreign::FileSystem(name) => write!(f, "a file system ({name})"),
            Foreign::Zip => f.write_str("a zip archive"),
            Foreign::Compressed(format) => {
                write!(
                    f,
                    "data that are compressed once more, with {}",
                    format.name()
                )
            }
            Foreign::OldCpio => {
                f.write_str("a cpio archive in the old format of octal digits (070707)")
            }
            Foreign::BinaryCpio => f.write_str("a cpio archive in the old binary format"),
            Foreign::Page => f.write_str("a web page"),
            Foreign::Text => f.write_str("a text"),
        }
    }
}

fn text(bytes: &[u8]) -> Option<Foreign> {
    let is_text = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    if bytes.is_empty() || !bytes.iter().all(is_text) {
        return None;
    }
    let start = bytes.trim_ascii_start();
    let begins = |tag: &[u8]| {
        let same = start.get(..tag.len());
        same.is_some_and(|same| same.eq_ignore_ascii_case(tag))
    };
    Some(match begins(b"<!doctype html") || begins(b"<html") {
        true => Foreign::Page,
        false => Foreign::Text,
    })
}
