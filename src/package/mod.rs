//! A distribution's package, read as a stream: what it says of itself, and its files.
//!
//! In: the bytes of a `.deb` (`deb(5)`), of an `.rpm`, of a tar archive, packed or not (a root, a `.pkg.tar.zst` of Arch,
//! an `.apk` of Alpine). Out: [`Entry`]s in the order in which they stand, each with its data to be read or
//! passed over, and in the end the package's [`Facts`]. Nothing in a package is ever run; its metadata are
//! not among the entries. Memory is that of the decoder's window; how far a package is followed, [`Limits`]
//! say.
//!
//! [`files`] is the same package as a store of files that a root can lie on.

mod deb;
pub mod entry;
mod error;
mod facts;
pub mod files;
mod pax;
mod rpm;
mod tar;
mod unpacked;

use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::archive::{Limits, TELLING};
use crate::compress::source::Source;
use crate::compress::xz_blocks::From;

pub use entry::{Entry, Kind};
pub use error::PackageError;
pub use facts::{Facts, Format};
use unpacked::Unpacked;

/// Whoever is shown the entries of a package: each with its data, which may be read or not. Reading ends
/// early where it says so.
///
/// What goes wrong with the data comes as an [`std::io::Error`] that holds the [`PackageError`]; it is to be
/// handed back.
pub type Visitor<'v> =
    dyn FnMut(Entry, &mut dyn Read) -> Result<ControlFlow<()>, PackageError> + 'v;

/// How far a package is followed unless something else is said: a distribution's largest, kernels with their
/// debug symbols, have 10 GiB in a hundred thousand files.
pub const LIMITS: Limits = Limits {
    entries: 1_000_000,
    segments: 4096,
    name: 4096,
    size: 64 << 30,
    ratio: 250,
    memory: 128 << 20,
};

/// What Alpine's packages of version 3 begin with, packed or not (`apk-v3(5)`).
const ADB: [&[u8]; 3] = [b"ADB.", b"ADBd", b"ADBc"];

/// Reads the package that `source` gives from its first byte on, and shows `visitor` its entries.
///
/// # Errors
/// When it is no package of a known kind, is damaged, cut short or encrypted, has a path that leads out of
/// it, or is larger than `limits` let it be; and those of `visitor`.
pub fn read(
    source: impl Read,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<Facts, PackageError> {
    read_source(Source::new(source), None, limits, visitor)
}

/// As [`read`], with a package that can be read from any offset on: where it is packed so that this can be done,
/// and `threads` are more than one, it is unpacked on two.
///
/// # Errors
/// As [`read`].
pub fn read_apart(
    from: &From<'_>,
    threads: NonZeroUsize,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<Facts, PackageError> {
    let apart = (threads > NonZeroUsize::MIN).then_some(from);
    read_source(Source::new(from(0)?), apart, limits, visitor)
}

fn read_source(
    mut source: Source<impl Read>,
    from: Option<&From<'_>>,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<Facts, PackageError> {
    let start = source.peek(TELLING).map_err(PackageError::Io)?;
    if start.starts_with(deb::MAGIC) {
        return deb::read(&mut source, from, limits, visitor);
    }
    if start.starts_with(rpm::MAGIC) {
        return rpm::read(&mut source, limits, visitor);
    }
    if start.is_empty() {
        return Err(PackageError::Truncated);
    }
    if ADB.iter().any(|magic| start.starts_with(magic)) {
        let kind = "an apk of version 3, where those of version 2 are read";
        return Err(PackageError::Unsupported(kind.to_owned()));
    }
    let mut unpacked = Unpacked::new(source, *limits);
    let content = unpacked.peek(TELLING)?;
    if !tar::is_tar(content) {
        return Err(PackageError::unknown(content));
    }
    tar::read(&mut unpacked, limits, visitor)
}
