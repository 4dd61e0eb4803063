//! A module of an image, as far as judging it takes.

use crate::arch::ElfKind;
use crate::compress::{detect, unpack};
use crate::elf::module::ModuleFacts;
use crate::kmod::modinfo::Modinfo;
use crate::kmod::module_file::ModuleFault;

/// What a module says of itself.
#[derive(Debug)]
pub struct InspectedModule {
    /// Class, data order and machine.
    pub kind: ElfKind,
    /// What it says of itself.
    pub modinfo: Modinfo,
}

/// The largest module that is unpacked, in bytes.
const UNPACKED_LIMIT: usize = 64 << 20;

impl InspectedModule {
    /// Reads a module's file, compressed or not.
    ///
    /// # Errors
    /// When it is no module, damaged or cut short.
    pub fn read(bytes: &[u8]) -> Result<InspectedModule, ModuleFault> {
        let unpacked = detect(bytes).map(|_| unpack(bytes, UNPACKED_LIMIT));
        let unpacked = unpacked.transpose()?;
        let ModuleFacts { kind, modinfo, .. } =
            ModuleFacts::read(&unpacked.as_deref().unwrap_or(bytes))?;
        Ok(InspectedModule {
            kind,
            modinfo: Modinfo::new(modinfo),
        })
    }
}
