//! ELF files, judged: from bytes to facts, or to the reason why they cannot be used.
//!
//! The only importer of goblin. In: bytes, or an open file of which only the parts asked about are
//! read. Out: [`program::ProgramFacts`], [`module::ModuleFacts`] and [`symbols::ModuleSymbols`]. Sources: the gABI ("ELF
//! Header", "Program Header", "Dynamic Section") and Linux' `kernel/module/main.c`.

pub mod module;
pub mod program;
pub mod symbols;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::Header;

use crate::arch::{ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ElfKind};

/// `e_type` of a relocatable object, as every module is.
pub const ET_REL: u16 = 1;
/// `e_type` of an executable at fixed addresses.
pub const ET_EXEC: u16 = 2;
/// `e_type` of a shared library or position-independent executable.
pub const ET_DYN: u16 = 3;

/// The bytes of the longer, 64-bit, ELF header.
const HEADER_SIZE: usize = 64;
/// The bytes of the 32-bit ELF header.
const HEADER_SIZE_32: usize = 52;

/// Why an ELF file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfFault {
    /// There is not one byte.
    #[error("an empty file")]
    Empty,
    /// The magic is not ELF's.
    #[error("{0}, not an ELF file")]
    NotElf(String),
    /// A part the headers promise lies past the end.
    #[error("a truncated ELF file: {part} ends at byte {end}, the file has {size}")]
    Truncated {
        /// What is cut off.
        part: &'static str,
        /// Where it should end.
        end: u64,
        /// The file's size in bytes.
        size: u64,
    },
    /// The headers contradict themselves.
    #[error("a damaged ELF file: {0}")]
    Malformed(String),
    /// The class, data order or machine is another one.
    #[error("{found}")]
    WrongKind {
        /// What the header says.
        found: ElfKind,
        /// What it must say.
        expected: ElfKind,
    },
    /// It needs a loader or libraries where it must need no other file.
    #[error("a program that is not static")]
    NotStatic,
    /// It is another type of ELF file.
    #[error("{}", type_name(*found))]
    WrongType {
        /// `e_type`.
        found: u16,
        /// What was asked for.
        expected: &'static str,
    },
    /// A shared library where a program should be.
    #[error("a shared library")]
    LibraryNotProgram,
    /// No `.modinfo` section: no Linux module.
    #[error("a relocatable object without a .modinfo section")]
    NoModinfo,
}

/// What a person calls an `e_type`.
#[must_use]
pub fn type_name(e_type: u16) -> String {
    match e_type {
        ET_REL => "a relocatable object (ET_REL)".to_owned(),
        ET_EXEC => "an executable (ET_EXEC)".to_owned(),
        ET_DYN => "a shared object (ET_DYN)".to_owned(),
        4 => "a core dump (ET_CORE)".to_owned(),
        other => format!("an ELF file of type {other}"),
    }
}

/// An ELF header, and how the rest of the file is to be read.
struct Head {
    header: Header,
    kind: ElfKind,
    ctx: Ctx,
}

/// Reads the ELF header out of the first bytes of a file of `size` bytes.
fn head(start: &[u8], size: u64) -> Result<Head, ElfFault> {
    if size == 0 {
        return Err(ElfFault::Empty);
    }
    if !start.starts_with(b"\x7fELF") {
        return Err(ElfFault::NotElf(looks_like(start)));
    }
    let class = start.get(4).copied().unwrap_or_default();
    let data = start.get(5).copied().unwrap_or_default();
    proved_whole(start, class, size)?;
    let ctx = ctx(class, data)?;
    let header = goblin::elf::Elf::parse_header(start).map_err(malformed)?;
    let kind = ElfKind {
        class,
        data,
        machine: header.e_machine,
    };
    Ok(Head { header, kind, ctx })
}

/// Proves that the whole header of a file of `size` bytes is there.
fn proved_whole(start: &[u8], class: u8, size: u64) -> Result<(), ElfFault> {
    let needed = match class {
        ELFCLASS32 => HEADER_SIZE_32,
        _ => HEADER_SIZE,
    };
    if start.len() < needed {
        return Err(ElfFault::Truncated {
            part: "the ELF header",
            end: needed as u64,
            size,
        });
    }
    Ok(())
}

/// How a file of `EI_CLASS` and `EI_DATA` is to be read.
fn ctx(class: u8, data: u8) -> Result<Ctx, ElfFault> {
    let container = match class {
        ELFCLASS32 => Container::Little,
        ELFCLASS64 => Container::Big,
        other => return Err(ElfFault::Malformed(format!("its class is {other}"))),
    };
    let order = match data {
        ELFDATA2LSB => Endian::Little,
        ELFDATA2MSB => Endian::Big,
        other => return Err(ElfFault::Malformed(format!("its data order is {other}"))),
    };
    Ok(Ctx::new(container, order))
}

fn malformed(error: goblin::error::Error) -> ElfFault {
    ElfFault::Malformed(error.to_string())
}

/// Holds `kind` against the guest's.
///
/// # Errors
/// When they differ.
pub fn judge_kind(found: ElfKind, expected: ElfKind) -> Result<(), ElfFault> {
    if found == expected {
        Ok(())
    } else {
        Err(ElfFault::WrongKind { found, expected })
    }
}

/// What bytes that are not ELF seem to be.
fn looks_like(start: &[u8]) -> String {
    let named = match start {
        [b'#', b'!', rest @ ..] => {
            let line = rest.split(|&b| b == b'\n').next().unwrap_or_default();
            let line = line.get(..line.len().min(60)).unwrap_or_default();
            return format!("a script (#!{})", crate::image_path::Shown(line));
        }
        [0x1f, 0x8b, ..] => "gzip data",
        [0xfd, b'7', b'z', ..] => "xz data",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd data",
        [b'M', b'Z', ..] => "a DOS or EFI program",
        [b'0', b'7', b'0', b'7', ..] => "a cpio archive",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "an ar archive",
        [first, ..] if first.is_ascii_graphic() || first.is_ascii_whitespace() => "text",
        _ => "data",
    };
    named.to_owned()
}
