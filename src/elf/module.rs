//! What a kernel module says of itself: its header, and its `.modinfo` section.

use goblin::elf::section_header::{SHT_NOBITS, SectionHeader};

use super::program::within;
use super::{ET_REL, ElfFault, HEADER_SIZE, Head, head};
use crate::arch::ElfKind;
use crate::root::OpenFile;

/// A module's header and the raw bytes of its `.modinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFacts {
    /// Class, data order and machine.
    pub kind: ElfKind,
    /// `tag=value` strings, each ended by a NUL (`include/linux/moduleparam.h`).
    pub modinfo: Vec<u8>,
    /// Whether it carries the versions of the symbols it uses (`CONFIG_MODVERSIONS`).
    pub versioned: bool,
    /// The note of its build, which strip(1) leaves (`ld --build-id`); empty where it has none.
    pub build_note: Vec<u8>,
}

/// The largest `.modinfo` and section name table that are read: real ones stay under 1 MiB.
const SECTION_LIMIT: u64 = 16 << 20;
/// The largest note of a build that is taken for one: real ones have 36 bytes.
const NOTE_LIMIT: u64 = 256;
/// Where versions of symbols stand: the second since 6.14, for names too long for the first.
const VERSIONS: [&[u8]; 2] = [b"__versions\0", b"__version_ext_names\0"];

/// Why a module could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// It is bad.
    #[error(transparent)]
    Fault(#[from] ElfFault),
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl ModuleFacts {
    /// Reads the headers and the `.modinfo` of an unpacked module, and nothing else of it; proves
    /// that every section lies within the file.
    ///
    /// # Errors
    /// When it is no module, damaged or cut short, or cannot be read.
    pub fn read(file: &(dyn OpenFile + '_)) -> Result<ModuleFacts, ModuleError> {
        Object::open(file)?.facts(file)
    }
}

/// A relocatable object: its headers, and the names of its sections.
pub(super) struct Object {
    pub(super) head: Head,
    /// Each lies within the file.
    pub(super) sections: Vec<SectionHeader>,
    names: Vec<u8>,
}

impl Object {
    pub(super) fn open(file: &(dyn OpenFile + '_)) -> Result<Object, ModuleError> {
        let start = read_part(file, 0, file.size().min(HEADER_SIZE as u64))?;
        let head = head(&start, file.size())?;
        if head.header.e_type != ET_REL {
            let expected = "a relocatable object (ET_REL), as modules are";
            return Err(ElfFault::WrongType {
                found: head.header.e_type,
                expected,
            }
            .into());
        }
        let sections = sections(file, &head)?;
        let names = section_bytes(file, sections.get(head.header.e_shstrndx as usize))?;
        Ok(Object {
            head,
            sections,
            names,
        })
    }

    /// What the module in `file`, which this is of, says of itself.
    pub(super) fn facts(&self, file: &(dyn OpenFile + '_)) -> Result<ModuleFacts, ModuleError> {
        let modinfo = self.called(b".modinfo\0").ok_or(ElfFault::NoModinfo)?;
        let note = self.called(b".note.gnu.build-id\0");
        let note = note.filter(|note| note.sh_size <= NOTE_LIMIT && note.sh_type != SHT_NOBITS);
        let note = note.map(|note| section_bytes(file, Some(note)));
        Ok(ModuleFacts {
            kind: self.head.kind,
            modinfo: section_bytes(file, Some(modinfo))?,
            versioned: VERSIONS.iter().any(|name| self.called(name).is_some()),
            build_note: note.transpose()?.unwrap_or_default(),
        })
    }

    /// The first section whose name begins with `start`; a NUL at its end makes it the whole name.
    pub(super) fn called(&self, start: &[u8]) -> Option<&SectionHeader> {
        let mut sections = self.sections.iter();
        sections.find(|section| self.name(section).starts_with(start))
    }

    /// The names from that of `section` on. Nobody looks at more than the one asked about: in a
    /// hostile table one may be 16 MiB.
    pub(super) fn name(&self, section: &SectionHeader) -> &[u8] {
        self.names.get(section.sh_name..).unwrap_or_default()
    }
}

/// The section headers, with the proof that every section lies within the file.
fn sections(file: &(dyn OpenFile + '_), head: &Head) -> Result<Vec<SectionHeader>, ModuleError> {
    let count = head.header.e_shnum as usize;
    let table_size = (count * SectionHeader::size(head.ctx)) as u64;
    within(
        "the section header table",
        head.header.e_shoff,
        table_size,
        file.size(),
    )?;
    let table = read_part(file, head.header.e_shoff, table_size)?;
    let sections =
        SectionHeader::parse_from(&table, 0, count, head.ctx).map_err(super::malformed)?;
    for section in sections
        .iter()
        .filter(|section| section.sh_type != SHT_NOBITS)
    {
        within("a section", section.sh_offset, section.sh_size, file.size())?;
    }
    Ok(sections)
}

fn section_bytes(
    file: &(dyn OpenFile + '_),
    section: Option<&SectionHeader>,
) -> Result<Vec<u8>, ModuleError> {
    let section = section.ok_or_else(|| ElfFault::Malformed("no section name table".to_owned()))?;
    if section.sh_size > SECTION_LIMIT || section.sh_type == SHT_NOBITS {
        let what = format!("a section of {} bytes that cannot be", section.sh_size);
        return Err(ElfFault::Malformed(what).into());
    }
    Ok(read_part(file, section.sh_offset, section.sh_size)?)
}

fn read_part(file: &(dyn OpenFile + '_), offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_one_endless_name_for_every_section_is_read_in_no_time() {
        let (count, names) = (u16::MAX, vec![b'x'; SECTION_LIMIT as usize]);
        let place = HEADER_SIZE + usize::from(count) * HEADER_SIZE;
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(HEADER_SIZE, 0);
        bytes[16] = ET_REL as u8;
        bytes[40] = HEADER_SIZE as u8; // e_shoff
        bytes[58] = HEADER_SIZE as u8; // e_shentsize
        bytes[60..62].copy_from_slice(&count.to_le_bytes());
        let mut section = [0; HEADER_SIZE];
        section[4] = 1; // SHT_PROGBITS
        section[24..32].copy_from_slice(&place.to_le_bytes());
        section[32..40].copy_from_slice(&SECTION_LIMIT.to_le_bytes());
        bytes.extend(section.repeat(count.into()));
        bytes.extend(names);
        let read = ModuleFacts::read(&bytes.as_slice());
        assert!(
            matches!(read, Err(ModuleError::Fault(ElfFault::NoModinfo))),
            "{read:?}"
        );
    }
}
