//! The symbols that a kernel and its modules export, in little memory.
//!
//! In: the lines of the kernel's lists, as [`super::GuestKernel`] finds them. Out: each symbol by its name.

use indexmap::IndexSet;

use crate::kmod::name::ModuleName;
use crate::root::LookupError;

/// An exported symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Export<'k> {
    /// The CRC of its type, where it is told.
    pub crc: Option<u32>,
    /// The module that exports it; `None` for the kernel itself.
    pub module: Option<&'k ModuleName>,
}

/// What a line of a list says: a symbol's name, its CRC and the module's file or name, of the kernel itself none.
pub(super) type Line<'l> = (&'l [u8], Option<u32>, Option<&'l [u8]>);

/// The symbols of lists.
#[derive(Debug, Default)]
pub(super) struct Exports {
    names: Vec<u8>,
    /// Sorted by name, each once, but for what was added since.
    marks: Vec<Mark>,
    modules: IndexSet<ModuleName>,
    /// The bytes of their names.
    modules_bytes: usize,
    has_own: bool,
}

/// Where a symbol's name stands, and what is known of it.
#[derive(Debug, Clone, Copy)]
struct Mark {
    start: u32,
    end: u32,
    crc: Option<u32>,
    /// The number of its module.
    module: Option<u32>,
}

/// The most symbols, and bytes of their names, that a kernel may export: with every option there is, one
/// of today exports 50,000.
const SYMBOL_LIMIT: usize = 1 << 19;
const NAMES_LIMIT: usize = 16 << 20;
/// The most modules that may export any, and bytes of their names: such a kernel has 10,000 modules.
const MODULE_LIMIT: usize = 1 << 16;
const MODULE_NAMES_LIMIT: usize = 4 << 20;

impl Exports {
    /// Adds what the lines of a list say; of what is known already they say it better.
    pub(super) fn add<'l>(
        &mut self,
        lines: impl Iterator<Item = Line<'l>>,
    ) -> Result<(), LookupError> {
        for (name, crc, module) in lines.filter(|(name, ..)| !name.is_empty()) {
            bounded("exported symbols", self.marks.len() + 1, SYMBOL_LIMIT)?;
            let names = self.names.len() + name.len();
            bounded("bytes of symbols' names", names, NAMES_LIMIT)?;
            self.has_own |= module.is_none();
            let module = module.map(|module| self.number(module)).transpose()?;
            let start = self.names.len() as u32;
            self.names.extend_from_slice(name);
            let end = self.names.len() as u32;
            self.marks.push(Mark {
                start,
                end,
                crc,
                module,
            });
        }
        self.sort();
        Ok(())
    }

    /// The number of a module.
    fn number(&mut self, module: &[u8]) -> Result<u32, LookupError> {
        let module = ModuleName::new(module);
        if let Some(known) = self.modules.get_index_of(&module) {
            return Ok(known as u32);
        }
        let (count, bytes) = (self.modules.len() + 1, module.as_bytes().len());
        bounded("modules that export symbols", count, MODULE_LIMIT)?;
        self.modules_bytes += bytes;
        let what = "bytes of the names of such modules";
        bounded(what, self.modules_bytes, MODULE_NAMES_LIMIT)?;
        Ok(self.modules.insert_full(module).0 as u32)
    }

    /// Adds those symbols of a list that are not known yet.
    pub(super) fn add_unknown<'l>(
        &mut self,
        lines: impl Iterator<Item = Line<'l>>,
    ) -> Result<(), LookupError> {
        let mut more = Exports::default();
        more.add(lines.filter(|(name, ..)| self.get(name).is_none()))?;
        let module = |mark: &Mark| more.modules.get_index(mark.module? as usize);
        let lines = more.marks.iter().map(|mark| {
            let module = module(mark).map(ModuleName::as_bytes);
            (name_of(&more.names, mark), mark.crc, module)
        });
        self.add(lines)
    }

    fn sort(&mut self) {
        let name = |mark: &Mark| name_of(&self.names, mark);
        self.marks
            .sort_unstable_by(|a, b| name(a).cmp(name(b)).then(a.start.cmp(&b.start)));
        self.marks.dedup_by(|later, first| {
            let is_same = name(later) == name(first);
            if is_same {
                first.crc = later.crc.or(first.crc);
                first.module = later.module;
            }
            is_same
        });
    }

    /// The symbol called `name`.
    pub(super) fn get(&self, name: &[u8]) -> Option<Export<'_>> {
        let found = self
            .marks
            .binary_search_by(|mark| name_of(&self.names, mark).cmp(name));
        let mark = self.marks.get(found.ok()?)?;
        Some(Export {
            crc: mark.crc,
            module: mark
                .module
                .and_then(|number| self.modules.get_index(number as usize)),
        })
    }

    /// Whether one of them is the kernel's own.
    pub(super) fn has_own(&self) -> bool {
        self.has_own
    }
}

fn bounded(what: &'static str, count: usize, limit: usize) -> Result<(), LookupError> {
    match count > limit {
        true => Err(LookupError::TooMany { what, limit }),
        false => Ok(()),
    }
}

fn name_of<'n>(names: &'n [u8], mark: &Mark) -> &'n [u8] {
    let range = mark.start as usize..mark.end as usize;
    names.get(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_modules_are_kept_than_any_kernel_has() {
        for (count, length, expected) in [
            (MODULE_LIMIT, 8, None),
            (MODULE_LIMIT + 1, 8, Some("more than the 65536 modules")),
            (MODULE_NAMES_LIMIT >> 10, 1024, None),
            (
                (MODULE_NAMES_LIMIT >> 10) + 1,
                1024,
                Some("more than the 4194304 bytes"),
            ),
        ] {
            let names: Vec<String> = (0..count).map(|n| format!("{n:0length$}")).collect();
            let mut exports = Exports::default();
            let lines = names
                .iter()
                .map(|name| (&b"a"[..], None, Some(name.as_bytes())));
            let added = exports.add(lines).map_err(|error| error.to_string());
            let refused = added.err().unwrap_or_default();
            assert!(
                refused.starts_with(expected.unwrap_or_default()),
                "{refused}"
            );
            assert_eq!(refused.is_empty(), expected.is_none(), "{refused}");
        }
    }
}
