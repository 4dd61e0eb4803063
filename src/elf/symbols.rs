//! The symbols that a kernel module needs of others, and those it offers them.
//!
//! In: an unpacked module. Out: names, and the CRCs of their types where the kernel was built with
//! `CONFIG_MODVERSIONS`. Sources: Linux' `include/linux/export.h` (`__ksymtab_NAME`, since 2.5),
//! `include/linux/module.h` (`struct modversion_info`), `scripts/mod/modpost.c`, and
//! `kernel/module/version.c`. What stands in `__ksymtab` itself needs relocations; the names of the
//! symbols that mark its entries do not.

use goblin::elf::section_header::{SHN_ABS, SHN_UNDEF, SHT_NOBITS, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::{STB_GLOBAL, STB_WEAK, Sym, Symtab};
use goblin::elf64::header::EM_X86_64;
use std::collections::HashMap;

use super::module::{ModuleError, ModuleFacts, Object};
use super::program::bounded;
use super::{ElfFault, malformed};
use crate::arch::ELFCLASS64;

/// What a module needs and offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleSymbols {
    /// Undefined symbols, in the order of the symbol table; then those whose version alone is asked
    /// for, as `module_layout` is.
    pub needs: SymbolList,
    /// Exported symbols, in the order of the symbol table.
    pub exports: SymbolList,
    /// Whether there is a symbol table: without one no kernel loads the module.
    pub has_table: bool,
}

/// A symbol of a [`SymbolList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'s> {
    /// Its name.
    pub name: &'s [u8],
    /// The CRC of its type: of a need the one it was built against, of an export its own.
    pub crc: Option<u32>,
    /// How it is bound.
    pub binding: Binding,
}

/// How much a symbol is needed; exports are [`Binding::Strong`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// The module does not load without it.
    Strong,
    /// The module loads without it.
    Weak,
    /// No code refers to it: its version alone is compared.
    VersionAlone,
}

/// Symbols in little memory: their names in one piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SymbolList {
    names: Vec<u8>,
    marks: Vec<Mark>,
}

/// Where a name ends, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    end: u32,
    crc: Option<u32>,
    binding: Binding,
}

/// The most symbols that a module may need, and the most it may export: real ones stay under 4,000.
const SYMBOL_LIMIT: usize = 1 << 16;
/// The bytes of a record of `__versions`, on every architecture.
const VERSION_SIZE: usize = 64;

impl SymbolList {
    fn push(&mut self, symbol: Symbol<'_>) {
        self.names.extend_from_slice(symbol.name);
        self.marks.push(Mark {
            end: self.names.len() as u32,
            crc: symbol.crc,
            binding: symbol.binding,
        });
    }

    /// The symbols, in order.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        let mut start = 0;
        self.marks.iter().map(move |mark| {
            let end = mark.end as usize;
            let name = self.names.get(start..end).unwrap_or_default();
            start = end;
            Symbol {
                name,
                crc: mark.crc,
                binding: mark.binding,
            }
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.names.len() + self.marks.len() * size_of::<Mark>()
    }

    fn fitted(mut self) -> SymbolList {
        self.names.shrink_to_fit();
        self.marks.shrink_to_fit();
        self
    }
}

/// Reads an unpacked module: what it says of itself, and its symbols.
///
/// # Errors
/// When it is no module, damaged or cut short.
pub fn read(bytes: &[u8]) -> Result<(ModuleFacts, ModuleSymbols), ModuleError> {
    let object = Object::open(&bytes)?;
    let facts = object.facts(&bytes)?;
    let reader = Reader {
        object: &object,
        bytes,
    };
    Ok((facts, reader.symbols()?))
}

/// What is looked at of a module.
struct Reader<'m> {
    object: &'m Object,
    bytes: &'m [u8],
}

impl<'m> Reader<'m> {
    fn symbols(&self) -> Result<ModuleSymbols, ElfFault> {
        let Some(table) = self.table()? else {
            return Ok(ModuleSymbols::default());
        };
        let names = self.section(self.object.sections.get(table.link));
        let mut found = Symbols::default();
        for symbol in table.symbols.iter() {
            self.take(&symbol, names, &mut found)?;
        }
        // Names may share their bytes: they are held against the file before they are copied.
        let undefined = found.undefined.iter().map(|(name, _)| name.len());
        let exported = found.exported.iter().map(|name| name.len());
        let length: usize = undefined.chain(exported).sum();
        bounded("bytes of symbols' names", length, self.bytes.len())?;
        Ok(ModuleSymbols {
            needs: self.needs(found.undefined)?.fitted(),
            exports: self.exports(found.exported, &found.crcs).fitted(),
            has_table: true,
        })
    }

    fn table(&self) -> Result<Option<Table<'m>>, ElfFault> {
        let mut sections = self.object.sections.iter();
        let Some(section) = sections.find(|section| section.sh_type == SHT_SYMTAB) else {
            return Ok(None);
        };
        let ctx = self.object.head.ctx;
        let bytes = self.section(Some(section));
        let count = bytes.len() / Sym::size(ctx.container);
        let symbols = Symtab::parse(bytes, 0, count, ctx).map_err(malformed)?;
        let link = section.sh_link as usize;
        Ok(Some(Table { symbols, link }))
    }

    /// Sorts out a symbol; nearly all are ruled out by their section, before their names are read.
    fn take(&self, symbol: &Sym, names: &'m [u8], found: &mut Symbols<'m>) -> Result<(), ElfFault> {
        let section = symbol.st_shndx as u32;
        if section == SHN_UNDEF {
            return self.take_undefined(symbol, names, found);
        }
        if section != SHN_ABS && !self.marks_exports(symbol.st_shndx) {
            return Ok(());
        }
        let name = string_at(names, symbol.st_name);
        if let Some(name) = name.strip_prefix(b"__ksymtab_") {
            found.exported.push(name);
            bounded("exported symbols", found.exported.len(), SYMBOL_LIMIT)?;
        } else if let Some(name) = name.strip_prefix(b"__crc_") {
            let crc = match section {
                SHN_ABS => Some(symbol.st_value as u32),
                _ => self.word(symbol.st_shndx, symbol.st_value),
            };
            found.crcs.extend(crc.map(|crc| (name, crc)));
            bounded("CRCs of symbols", found.crcs.len(), SYMBOL_LIMIT)?;
        }
        Ok(())
    }

    fn take_undefined(
        &self,
        symbol: &Sym,
        names: &'m [u8],
        found: &mut Symbols<'m>,
    ) -> Result<(), ElfFault> {
        let binding = match symbol.st_bind() {
            STB_GLOBAL => Binding::Strong,
            STB_WEAK => Binding::Weak,
            _ => return Ok(()),
        };
        let name = string_at(names, symbol.st_name);
        if !name.is_empty() && !self.is_ignored(name) {
            found.undefined.push((name, binding));
        }
        bounded("undefined symbols", found.undefined.len(), SYMBOL_LIMIT)
    }

    /// Assemblers leave it behind and nothing refers to it (`ignore_undef_symbol` in
    /// `kernel/module/main.c`).
    fn is_ignored(&self, name: &[u8]) -> bool {
        self.object.head.kind.machine == EM_X86_64 && name == b"_GLOBAL_OFFSET_TABLE_"
    }

    /// Whether symbols in section `index` may mark exports or hold their CRCs: those of `__ksymtab`
    /// and `__kcrctab`, by licence or not, and of `.rodata`, where relative CRCs once lay.
    fn marks_exports(&self, index: usize) -> bool {
        let section = self.object.sections.get(index);
        section.is_some_and(|section| {
            let name = self.object.name(section);
            let starts: [&[u8]; 4] = [b"__ksymtab", b"__kcrctab", b"___k", b".rodata\0"];
            starts.iter().any(|start| name.starts_with(start))
        })
    }

    /// The undefined symbols with the versions they were built against.
    fn needs(&self, undefined: Vec<(&'m [u8], Binding)>) -> Result<SymbolList, ElfFault> {
        let versions = self.versions().take(SYMBOL_LIMIT + 1);
        let mut versions: HashMap<&[u8], u32> = versions.collect();
        bounded("versions of symbols", versions.len(), SYMBOL_LIMIT)?;
        let mut needs = SymbolList::default();
        for (name, binding) in undefined {
            let crc = versions.remove(name);
            needs.push(Symbol { name, crc, binding });
        }
        let mut rest: Vec<(&[u8], u32)> = versions.into_iter().collect();
        rest.sort_unstable();
        for (name, crc) in rest {
            let (crc, binding) = (Some(crc), Binding::VersionAlone);
            needs.push(Symbol { name, crc, binding });
        }
        Ok(needs)
    }

    /// What `__versions` says, and since 6.14 `__version_ext_names` and `__version_ext_crcs`.
    fn versions(&self) -> impl Iterator<Item = (&'m [u8], u32)> {
        let word = match self.object.head.kind.class {
            ELFCLASS64 => 8,
            _ => 4,
        };
        let records = self.called(b"__versions\0").chunks_exact(VERSION_SIZE);
        let records = records.filter_map(move |record| {
            let (crc, name) = record.split_at_checked(word)?;
            Some((string_at(name, 0), self.number(crc)?))
        });
        let names = self.called(b"__version_ext_names\0").split(|&b| b == 0);
        let crcs = self.called(b"__version_ext_crcs\0").chunks_exact(4);
        let extended = names.zip(crcs.filter_map(|crc| self.number(crc)));
        let all = records.chain(extended);
        all.filter(|(name, _)| !name.is_empty())
    }

    /// The exported symbols with their CRCs. A module whose local symbols were stripped has their
    /// names still, in a section that the kernel reads.
    fn exports(&self, mut exported: Vec<&'m [u8]>, crcs: &HashMap<&[u8], u32>) -> SymbolList {
        if exported.is_empty() {
            let strings = self.called(b"__ksymtab_strings\0").split(|&b| b == 0);
            exported.extend(strings.filter(|name| !name.is_empty()).take(SYMBOL_LIMIT));
        }
        let mut exports = SymbolList::default();
        for name in exported {
            exports.push(Symbol {
                name,
                crc: crcs.get(name).copied(),
                binding: Binding::Strong,
            });
        }
        exports
    }

    fn called(&self, name: &[u8]) -> &'m [u8] {
        self.section(self.object.called(name))
    }

    /// The bytes of a section; none of one that is not there or takes none in the file.
    fn section(&self, section: Option<&SectionHeader>) -> &'m [u8] {
        let section = section.filter(|section| section.sh_type != SHT_NOBITS);
        let range = section.map(|section| {
            let start = section.sh_offset as usize;
            start..start.saturating_add(section.sh_size as usize)
        });
        range
            .and_then(|range| self.bytes.get(range))
            .unwrap_or_default()
    }

    /// The four bytes at `offset` in section `index`.
    fn word(&self, index: usize, offset: u64) -> Option<u32> {
        let start = usize::try_from(offset).ok()?;
        let section = self.section(self.object.sections.get(index));
        self.number(section.get(start..start.checked_add(4)?)?)
    }

    /// The lower half of a number of four or eight bytes.
    fn number(&self, bytes: &[u8]) -> Option<u32> {
        let number = match self.object.head.ctx.le.is_little() {
            true => u32::from_le_bytes(*bytes.first_chunk()?),
            false => u32::from_be_bytes(*bytes.last_chunk()?),
        };
        Some(number)
    }
}

/// A symbol table, and the section its names are in.
struct Table<'m> {
    symbols: Symtab<'m>,
    link: usize,
}

/// Symbols sorted out.
#[derive(Default)]
struct Symbols<'m> {
    undefined: Vec<(&'m [u8], Binding)>,
    exported: Vec<&'m [u8]>,
    crcs: HashMap<&'m [u8], u32>,
}

/// The longest name that is looked at, in bytes; the kernel's own bound is 512 (`KSYM_NAME_LEN`).
const NAME_LIMIT: usize = 1024;

/// The string at `start` of a table, without its NUL; what has none within the limit is cut.
fn string_at(table: &[u8], start: usize) -> &[u8] {
    let rest = table.get(start..).unwrap_or_default();
    let rest = rest.get(..NAME_LIMIT).unwrap_or(rest);
    let end = memchr::memchr(0, rest).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}
