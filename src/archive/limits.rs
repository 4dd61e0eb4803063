//! How far an image is followed, whatever it says of itself.

use crate::size::Size;

/// Bounds on what reading one image may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most entries, those that are no use among them.
    pub entries: u64,
    /// The most segments.
    pub segments: u64,
    /// The most bytes of an entry's name, its final NUL included.
    pub name: u64,
    /// The most bytes of the whole, unpacked.
    pub size: u64,
    /// The most bytes that one byte of the image may become, on the average since its beginning; above a quarter
    /// of `size`.
    pub ratio: u64,
    /// The most bytes that a decoder may take for its window or dictionary; of which three
    /// eighths are the most that may be kept of what is in the image.
    pub memory: u64,
}

/// Into how many parts [`Limits::size`] is cut, of which the first is free of the ratio: an empty file system in an
/// image is packed a thousandfold, and is no bomb.
const RATIO_PARTS: u64 = 4;

impl Default for Limits {
    /// Above every image a guest could boot from: 4 GiB, a hundred thousand entries, where the largest
    /// seen have ten thousand, names as the kernel takes them, and twice the ratio of the emptiest image
    /// seen. Judging an image takes some hundreds of bytes an entry.
    fn default() -> Self {
        Limits {
            entries: 100_000,
            segments: 4096,
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
    /// Of segments.
    #[error("more than {0} segments")]
    Segments(u64),
    /// Of bytes, unpacked.
    #[error("more than {}, unpacked", Size(*.0))]
    Size(u64),
    /// Of bytes that one byte becomes.
    #[error("unpacked it is more than {0} times as large")]
    Ratio(u64),
    /// Of bytes that are kept of it: names, and what is known of files.
    #[error("names and facts of more than {}", Size(*.0))]
    Memory(u64),
}

impl LimitMet {
    /// The option that raises it.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            LimitMet::Entries(_) => "--max-entries",
            LimitMet::Segments(_) => "--max-segments",
            LimitMet::Size(_) => "--max-size",
            LimitMet::Ratio(_) => "--max-ratio",
            LimitMet::Memory(_) => "--max-memory",
        }
    }
}

impl Limits {
    /// Holds `unpacked` bytes made of `packed` against the bounds.
    pub(crate) fn hold_size(&self, packed: u64, unpacked: u64) -> Result<(), LimitMet> {
        if unpacked > self.size {
            return Err(LimitMet::Size(self.size));
        }
        if unpacked > self.size / RATIO_PARTS && unpacked / self.ratio.max(1) > packed {
            return Err(LimitMet::Ratio(self.ratio));
        }
        Ok(())
    }

    /// Holds a number of entries against the bound.
    pub(crate) fn hold_entries(&self, entries: u64) -> Result<(), LimitMet> {
        match entries > self.entries {
            true => Err(LimitMet::Entries(self.entries)),
            false => Ok(()),
        }
    }

    /// Holds a number of segments against the bound.
    pub(super) fn hold_segments(&self, segments: u64) -> Result<(), LimitMet> {
        match segments > self.segments {
            true => Err(LimitMet::Segments(self.segments)),
            false => Ok(()),
        }
    }

    /// Holds the bytes that are kept of an image against the bound.
    pub(crate) fn hold_kept(&self, bytes: u64) -> Result<(), LimitMet> {
        let bound = self.memory / 8 * 3;
        match bytes > bound {
            true => Err(LimitMet::Memory(bound)),
            false => Ok(()),
        }
    }
}
