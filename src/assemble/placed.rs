//! What was decided of each module and binary: what is reported of it.

use serde::Serialize;

use crate::digest::Digest;
use crate::kmod::note::Note;

/// What does not stop a build, and should be known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildNote {
    /// It was seen in the module tree.
    #[error(transparent)]
    Tree(Note),
    /// Programs were given, and the manifest has none.
    #[error("nothing is taken from --bins: manifest {manifest} has no program of the guest's{}", .able.iter().map(|name| format!("; {name} has")).collect::<String>())]
    BinsUnused {
        /// The manifest.
        manifest: String,
        /// The shipped manifests for this kernel that have.
        able: Vec<&'static str>,
    },
}

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
