//! What was decided of each module and binary: what is reported of it.

use serde::Serialize;

use crate::digest::Digest;

/// A module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedModule {
    /// Its name, as the kernel lists it.
    pub name: String,
    /// Where it lies in the image.
    pub path: String,
    /// The file it was read from.
    pub source: String,
    /// Its size in the image, in bytes.
    pub size: u64,
    /// Its vermagic.
    pub vermagic: String,
    /// Its options.
    pub options: String,
    /// Whether `/init` loads it.
    pub loaded: bool,
}

/// An executable or a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedBinary {
    /// Where it lies in the image.
    pub path: String,
    /// The file it was read from.
    pub source: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Whether it needs a loader or libraries, or is one.
    pub dynamic: bool,
    /// Class and machine.
    pub kind: String,
}
