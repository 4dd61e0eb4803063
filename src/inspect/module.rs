//! A module of an image, as far as judging it takes.

use std::fmt;

use super::compression::unread;
use crate::arch::ElfKind;
use crate::compress::{Format, detect, unpack_with_facts};
use crate::elf::symbols::{self, ModuleSymbols};
use crate::image_path::Shown;
use crate::kmod::modinfo::Modinfo;
use crate::kmod::module_file::{ModuleFault, bounded};

/// What a module says of itself.
#[derive(Debug)]
pub struct InspectedModule {
    /// Class, data order and machine.
    pub kind: ElfKind,
    /// What it says of itself.
    pub modinfo: Modinfo,
    /// What it needs of the kernel and of other modules, and what it offers them.
    pub symbols: ModuleSymbols,
    /// The note of its build; empty where it has none.
    build_note: Vec<u8>,
    /// Whether a signature follows it.
    pub signed: bool,
    /// How the file is compressed; `None` for a plain one.
    pub packed: Option<Format>,
    /// Whether it is compressed with options that kernels do not read.
    pub has_unread_options: bool,
}

/// The largest module that is unpacked, in bytes.
const UNPACKED_LIMIT: usize = 48 << 20;
/// What ends a signed module (`MODULE_SIG_STRING` in `include/linux/module_signature.h`).
pub(super) const SIGNATURE_END: &[u8] = b"~Module signature appended~\n";

impl InspectedModule {
    /// Reads a module's file, compressed or not. The bytes that unpacking it comes to are taken off
    /// `budget`: a few thousand bytes can become as many megabytes, time and again.
    ///
    /// # Errors
    /// When it is no module, damaged or cut short.
    pub fn read(bytes: &[u8], budget: &mut u64) -> Result<InspectedModule, ModuleFault> {
        let packed = detect(bytes);
        let unpacked = packed.map(|_| {
            let unpacked = unpack_with_facts(bytes, UNPACKED_LIMIT);
            let size = unpacked
                .as_ref()
                .map_or(UNPACKED_LIMIT, |(content, _)| content.len());
            *budget = budget.saturating_sub(size as u64);
            unpacked
        });
        let unpacked = unpacked.transpose()?;
        let bytes = unpacked.as_ref().map_or(bytes, |(content, _)| content);
        let (facts, symbols) = symbols::read(bytes)?;
        Ok(InspectedModule {
            kind: facts.kind,
            build_note: facts.build_note,
            modinfo: bounded(Modinfo::new(facts.modinfo))?,
            symbols,
            signed: bytes.ends_with(SIGNATURE_END),
            packed,
            has_unread_options: unpacked.is_some_and(|(_, facts)| unread(&facts, None).is_some()),
        })
    }

    /// `vermagic`: the release of the kernel it was built for, and what must agree besides.
    #[must_use]
    pub fn vermagic(&self) -> Option<String> {
        self.modinfo.text("vermagic")
    }

    /// The release of the kernel it was built for, as `uname -r` gives it.
    #[must_use]
    pub fn release(&self) -> Option<String> {
        let vermagic = self.vermagic()?;
        let release = vermagic.split(' ').next()?;
        (!release.is_empty()).then(|| release.to_owned())
    }

    /// What tells its build.
    #[must_use]
    pub fn build(&self) -> Build {
        Build::new(self.build_note.clone(), self.modinfo.clone())
    }

    /// The bytes of memory that what is known of it takes, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.build_note.len()
            + self.modinfo.len()
            + self.symbols.needs.weight()
            + self.symbols.exports.weight()
    }
}

/// What tells builds of one module apart.
pub struct Build {
    note: Vec<u8>,
    source: Option<String>,
    modinfo: Modinfo,
}

impl Build {
    /// That of a module with this note of its build, empty where it has none, and this `.modinfo`.
    #[must_use]
    pub fn new(note: Vec<u8>, modinfo: Modinfo) -> Build {
        Build {
            note,
            source: modinfo.text("srcversion"),
            modinfo,
        }
    }

    /// Whether `other` is the same, as far as both say it: by the note of their builds, else by the version
    /// of their source, else by all that they say of themselves.
    #[must_use]
    pub fn is_same(&self, other: &Build) -> bool {
        match (&self.source, &other.source) {
            _ if !self.note.is_empty() && !other.note.is_empty() => self.note == other.note,
            (Some(own), Some(other)) => own == other,
            _ => self.modinfo == other.modinfo,
        }
    }
}

impl fmt::Display for Build {
    /// The number in its note (`elf(5)`: behind three lengths and the name `GNU`), or the version of its source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NOTE_HEAD: usize = 16;
        const SHOWN: usize = 8;
        const LONGEST: usize = 80;
        let id = self.note.get(NOTE_HEAD..).unwrap_or_default();
        let shown = id.iter().take(SHOWN).map(|byte| format!("{byte:02x}"));
        match (id.is_empty(), &self.source) {
            (false, _) => write!(f, "build {}", shown.collect::<String>()),
            (true, Some(version)) => {
                let version = version.as_bytes();
                let version = version.get(..LONGEST).unwrap_or(version);
                write!(f, "source {}", Shown(version))
            }
            (true, None) => f.write_str("another .modinfo"),
        }
    }
}
