//! Compressions: told by their magic, written for a kernel to read, and read with a bound.
//!
//! In goes a [`Rope`], out come the bytes of one gzip member (RFC 1952), xz stream, zstd frame
//! (RFC 8878) or lz4 legacy frame, in order and with bounded memory. The bytes depend on the
//! content and the level alone: not on the number of threads, and not on the machine
//! (`docs/compression.md`).
//!
//! What is compressed already is told by [`detect`]. A file (a module `.ko.xz`) is read whole by
//! [`unpack`], a member of an image, of any format a kernel knows, piece by piece by [`decode`].

pub mod decode;
mod deflate_blocks;
mod encode;
mod format;
mod gzip;
mod lz4;
mod lz4_block;
mod ordered;
mod pieces;
pub mod source;
mod unpack;
pub mod xz_blocks;

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

use crate::kernel_version::KernelVersion;
#[cfg(doc)]
use crate::rope::Rope;

pub use encode::encode;
pub use format::{Format, detect};
pub use unpack::{UnpackError, unpack, unpack_pieces, unpack_with_facts};

/// A compression an image can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// One gzip member.
    Gzip,
    /// The archive as it is.
    None,
    /// One xz stream, checked by CRC32.
    Xz,
    /// One zstd frame.
    Zstd,
    /// An lz4 legacy frame.
    Lz4,
}

impl Compression {
    /// Every one, in the order they are listed to the user.
    pub const ALL: [Compression; 5] = [
        Compression::Gzip,
        Compression::None,
        Compression::Xz,
        Compression::Zstd,
        Compression::Lz4,
    ];

    /// The name as `--compress` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::None => "none",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
        }
    }

    /// The first kernel that can unpack it as an initramfs; every one since 2.6 what is as it is.
    #[must_use]
    pub const fn first_kernel(self) -> KernelVersion {
        match self {
            Compression::None => KernelVersion::new(2, 6, 0),
            Compression::Gzip => Format::Gzip.first_kernel(),
            Compression::Xz => Format::Xz.first_kernel(),
            Compression::Lz4 => Format::Lz4.first_kernel(),
            Compression::Zstd => Format::Zstd.first_kernel(),
        }
    }

    /// The levels it has, from the fastest to the smallest. A compression without levels has one.
    #[must_use]
    pub const fn levels(self) -> RangeInclusive<u8> {
        match self {
            Compression::Gzip => 1..=12,
            Compression::None => 0..=0,
            Compression::Xz => 0..=9,
            Compression::Zstd => 1..=22,
            Compression::Lz4 => 1..=1,
        }
    }

    /// The level taken when none is asked for: the libraries' own choice.
    #[must_use]
    pub const fn default_level(self) -> u8 {
        match self {
            Compression::Gzip | Compression::Xz => 6,
            Compression::None => 0,
            Compression::Zstd => 3,
            Compression::Lz4 => 1,
        }
    }

    /// The level `--best` takes: the smallest image before time grows out of proportion
    /// (`docs/compression.md` has the figures).
    #[must_use]
    pub const fn best_level(self) -> u8 {
        match self {
            Compression::Gzip => 11,
            Compression::None => 0,
            Compression::Xz => 9,
            Compression::Zstd => 19,
            Compression::Lz4 => 1,
        }
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, UnknownCompression> {
        let found = Compression::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| UnknownCompression {
            name: name.to_owned(),
        })
    }
}

/// A name that is no compression's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no compression is called {name:?}; there are {}", Compression::ALL.map(Compression::name).join(", "))]
pub struct UnknownCompression {
    /// The name that was given.
    pub name: String,
}

/// A level that a compression does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} has no level {level}", compression.name())]
pub struct BadLevel {
    /// The compression.
    pub compression: Compression,
    /// The level that was asked for.
    pub level: u8,
}

/// How an image is to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    compression: Compression,
    level: u8,
    threads: NonZeroUsize,
}

impl Encoding {
    /// An encoding at a level that `compression` has, done by at most `threads` threads.
    ///
    /// # Errors
    /// [`BadLevel`] for any other level.
    pub fn new(
        compression: Compression,
        level: u8,
        threads: NonZeroUsize,
    ) -> Result<Self, BadLevel> {
        if !compression.levels().contains(&level) {
            return Err(BadLevel { compression, level });
        }
        Ok(Encoding {
            compression,
            level,
            threads,
        })
    }

    /// The compression.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// The level, one of [`Compression::levels`].
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The most threads that compress at once; never a matter of the bytes that come out.
    #[must_use]
    pub const fn threads(&self) -> NonZeroUsize {
        self.threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compression_is_found_by_its_name_and_no_other_is() {
        for compression in Compression::ALL {
            assert_eq!(compression.name().parse(), Ok(compression));
        }
        let error = "gz".parse::<Compression>().unwrap_err().to_string();
        assert_eq!(
            error,
            "no compression is called \"gz\"; there are gzip, none, xz, zstd, lz4"
        );
    }

    #[test]
    fn a_level_is_taken_exactly_when_the_compression_has_it() {
        for compression in Compression::ALL {
            let levels = compression.levels();
            for level in 0..=255 {
                let made = Encoding::new(compression, level, NonZeroUsize::MIN);
                assert_eq!(
                    made.is_ok(),
                    levels.contains(&level),
                    "{compression:?} {level}"
                );
            }
            assert!(levels.contains(&compression.default_level()));
            assert!(levels.contains(&compression.best_level()));
        }
        let error = Encoding::new(Compression::Xz, 10, NonZeroUsize::MIN).unwrap_err();
        assert_eq!(error.to_string(), "xz has no level 10");
    }
}
