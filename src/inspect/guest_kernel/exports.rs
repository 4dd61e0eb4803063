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
            let module = module.map(|module| {
                let module = ModuleName::new(module);
                let known = self.modules.get_index_of(&module);
                known.unwrap_or_else(|| self.modules.insert_full(module).0) as u32
            });
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
