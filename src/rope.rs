//! An archive as an ordered list of byte slices: what the image writer hands to the encoders.
//!
//! File contents are borrowed from the plan, headers and padding are owned, so that an archive of
//! hundreds of megabytes exists once, and any range of it can be gathered by any thread.

use std::borrow::Cow;
use std::ops::Range;

/// Byte slices that read as one.
#[derive(Debug, Default)]
pub struct Rope<'a> {
    slices: Vec<Cow<'a, [u8]>>,
    /// Where each slice ends, counted from the start of the rope.
    ends: Vec<u64>,
}

impl<'a> Rope<'a> {
    /// An empty rope.
    #[must_use]
    pub fn new() -> Self {
        Rope::default()
    }

    /// Appends a slice.
    pub fn push(&mut self, slice: impl Into<Cow<'a, [u8]>>) {
        let slice = slice.into();
        if !slice.is_empty() {
            self.ends.push(self.len() + slice.len() as u64);
            self.slices.push(slice);
        }
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether there is not one byte in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The slices that make up `range`, in order; what of the range lies past the end is not there.
    pub fn slices(&self, range: Range<u64>) -> impl Iterator<Item = &[u8]> {
        let first = self.ends.partition_point(|&end| end <= range.start);
        let bounds = self.ends.iter().zip(&self.slices).skip(first);
        bounds.map_while(move |(&end, slice)| {
            let start = end - slice.len() as u64;
            let from = range.start.saturating_sub(start).min(slice.len() as u64) as usize;
            let to = range.end.saturating_sub(start).min(slice.len() as u64) as usize;
            slice.get(from..to).filter(|part| !part.is_empty())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_of_a_rope_reads_as_the_same_range_of_its_bytes() {
        let mut rope = Rope::new();
        for part in ["ab", "", "cdefg", "h", "ij"] {
            rope.push(part.as_bytes());
        }
        let whole = b"abcdefghij";
        assert_eq!(rope.len(), 10);
        for from in 0..=12usize {
            for to in from..=13 {
                let read: Vec<u8> = rope
                    .slices(from as u64..to as u64)
                    .flatten()
                    .copied()
                    .collect();
                let want = &whole[from.min(10)..to.min(10)];
                assert_eq!(read, want, "{from}..{to}");
            }
        }
    }
}
