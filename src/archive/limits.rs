//! How far an image is followed, whatever it says of itself.

/// Bounds on what reading one image may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most entries.
    pub entries: u64,
    /// The most bytes of an entry's name, its final NUL included.
    pub name: u64,
    /// The most bytes of the whole, unpacked.
    pub size: u64,
    /// The most bytes that one byte of the image may become, on the average since its beginning.
    pub ratio: u64,
    /// The most bytes that a decoder may take for its window or dictionary; and, for whoever keeps
    /// what is in the image, the most that may be kept.
    pub memory: u64,
}

/// Below this many unpacked bytes the ratio says nothing: an empty file system is packed a
/// thousandfold.
const RATIO_FROM: u64 = 16 << 20;

impl Default for Limits {
    /// Above every image a guest could boot from: 4 GiB, a quarter of a million entries, names as the
    /// kernel takes them, and twice the ratio of the emptiest image seen.
    fn default() -> Self {
        Limits {
            entries: 250_000,
            name: 4096,
            size: 4 << 30,
            ratio: 250,
            memory: 128 << 20,
        }
    }
}

/// A bound that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitMet {
    /// Of entries.
    #[error("more than {0} entries")]
    Entries(u64),
    /// Of bytes, unpacked.
    #[error("more than {0} bytes, unpacked")]
    Size(u64),
    /// Of bytes that one byte becomes.
    #[error("unpacked it is more than {0} times as large")]
    Ratio(u64),
    /// Of bytes that are kept of it: names, and what is known of files.
    #[error("names and facts of more than {0} bytes")]
    Memory(u64),
}

impl LimitMet {
    /// The option that raises it.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            LimitMet::Entries(_) => "--max-entries",
            LimitMet::Size(_) => "--max-size",
            LimitMet::Ratio(_) => "--max-ratio",
            LimitMet::Memory(_) => "--max-memory",
        }
    }
}

impl Limits {
    /// Holds `unpacked` bytes made of `packed` against the bounds.
    pub(super) fn hold_size(&self, packed: u64, unpacked: u64) -> Result<(), LimitMet> {
        if unpacked > self.size {
            return Err(LimitMet::Size(self.size));
        }
        if unpacked > RATIO_FROM && unpacked / self.ratio.max(1) > packed {
            return Err(LimitMet::Ratio(self.ratio));
        }
        Ok(())
    }

    /// Holds a number of entries against the bound.
    pub(super) fn hold_entries(&self, entries: u64) -> Result<(), LimitMet> {
        match entries > self.entries {
            true => Err(LimitMet::Entries(self.entries)),
            false => Ok(()),
        }
    }
}
