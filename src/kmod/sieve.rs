//! A module that passes by, and of it what may have to be looked at to know what it says of itself: its beginning
//! and its end, where its headers are, and whatever looks like its `.modinfo`. A large module is mostly code, and
//! several of them whole would fill a small host.
//!
//! In: its bytes in order. Out: an [`OpenFile`] that has some of them, of a module of up to [`WINDOW`] all. What
//! was taken for a `.modinfo` decides on memory alone: where the headers lead to what was not kept, reading fails.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::root::OpenFile;

/// What is kept or not, in bytes.
const PIECE: usize = 64 << 10;
/// How many pieces of the end are kept whatever they hold: section headers and their names are the last of a module.
const WINDOW: usize = 24;
/// The most pieces that are kept besides: more are no `.modinfo`.
const KEPT: usize = 48;

/// What stands in a `.modinfo` (`include/linux/module.h`), and in the note of a build.
static WORDS: LazyLock<[Finder<'static>; 7]> = LazyLock::new(|| {
    [
        &b"\0alias="[..],
        b"\0parm",
        b"\0firmware=",
        b"\0license=",
        b"\0depends=",
        b"\0vermagic=",
        b"\0\0\0GNU\0",
    ]
    .map(Finder::new)
});

/// A module on its way.
#[derive(Default)]
pub(super) struct Sieve {
    size: u64,
    last: Vec<u8>,
    window: VecDeque<Vec<u8>>,
    /// By their numbers.
    kept: BTreeMap<u64, Vec<u8>>,
    /// How many pieces have left the window.
    passed: u64,
    /// Whether there were words in the piece that left last.
    is_near: bool,
    /// Whether there are some in the first of the window, where that is known.
    first: Option<bool>,
}

impl Sieve {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let count = bytes.len().min(PIECE - self.last.len());
            let (some, rest) = bytes.split_at(count);
            self.last.extend_from_slice(some);
            bytes = rest;
            if self.last.len() == PIECE {
                let next = match self.window.len() < WINDOW {
                    true => Vec::with_capacity(PIECE),
                    false => self.pass(),
                };
                self.window
                    .push_back(std::mem::replace(&mut self.last, next));
            }
        }
    }

    /// Has the first piece leave the window, and gives room for another. Words that a piece's edge cuts in two are why
    /// its neighbours are kept.
    fn pass(&mut self) -> Vec<u8> {
        let has_words = |piece: Option<&Vec<u8>>| {
            piece.is_some_and(|piece| WORDS.iter().any(|word| word.find(piece).is_some()))
        };
        let first = self.first.unwrap_or_else(|| has_words(self.window.front()));
        let next = has_words(self.window.get(1));
        let is_wanted = self.passed == 0 || self.is_near || first || next;
        let mut piece = self.window.pop_front().unwrap_or_default();
        if is_wanted && self.kept.len() < KEPT {
            self.kept.insert(self.passed, std::mem::take(&mut piece));
        }
        (self.is_near, self.first) = (first, Some(next));
        self.passed += 1;
        piece.clear();
        piece
    }

    fn piece(&self, number: u64) -> Option<&Vec<u8>> {
        match number.checked_sub(self.passed) {
            None => self.kept.get(&number),
            Some(place) => {
                let place = usize::try_from(place).ok()?;
                self.window
                    .get(place)
                    .or_else(|| (place == self.window.len()).then_some(&self.last))
            }
        }
    }
}

impl OpenFile for Sieve {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut at = offset;
        let mut left = buf;
        while !left.is_empty() {
            let piece = self.piece(at / PIECE as u64);
            let piece = piece.ok_or(io::ErrorKind::WouldBlock)?;
            let part = piece.get(at as usize % PIECE..).unwrap_or_default();
            let count = part.len().min(left.len());
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (some, rest) = std::mem::take(&mut left).split_at_mut(count);
            some.copy_from_slice(part.get(..count).unwrap_or_default());
            left = rest;
            at += count as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without a word, different at each place.
    fn noise(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 3 * 7 % 251) as u8 | 1).collect()
    }

    #[test]
    fn of_a_small_file_all_is_there() {
        for length in [0, 1, PIECE, 3 * PIECE + 5, WINDOW * PIECE + 1] {
            let content = noise(length);
            let mut sieve = Sieve::default();
            content.chunks(1000).for_each(|part| sieve.take(part));
            assert_eq!(sieve.size(), length as u64);
            let mut read = vec![0; length];
            sieve.read_exact_at(&mut read, 0).unwrap();
            assert!(read == content, "{length}");
            let past = sieve.read_exact_at(&mut [0; 2], length as u64 - u64::from(length > 0));
            assert!(past.is_err());
        }
    }

    #[test]
    fn of_a_large_file_the_ends_and_what_has_words_are_there() {
        let mut content = noise(100 * PIECE + 77);
        let said = b"license=GPL\0alias=xen:vbd\0depends=\0";
        // Across the edge of two pieces, with the only whole word in the second.
        let at = 40 * PIECE - 5;
        content[at..at + said.len()].copy_from_slice(said);
        let mut sieve = Sieve::default();
        content.chunks(100_001).for_each(|part| sieve.take(part));
        let is_there = |from: usize, length: usize| {
            let mut read = vec![0; length];
            let got = sieve.read_exact_at(&mut read, from as u64);
            got.is_ok() && read == content[from..from + length]
        };
        assert!(is_there(0, 64));
        assert!(is_there(at, said.len()));
        assert!(is_there(content.len() - 20 * PIECE, 20 * PIECE));
        assert!(!is_there(60 * PIECE, 1));
        assert!(sieve.kept.len() < 6);
    }

    #[test]
    fn words_everywhere_fill_no_memory() {
        let mut sieve = Sieve::default();
        let piece = b"\0alias=x".repeat(10_000);
        (0..200).for_each(|_| sieve.take(&piece));
        assert_eq!(sieve.kept.len(), KEPT);
        assert!(
            sieve
                .read_exact_at(&mut [0; 9], 100 * PIECE as u64)
                .is_err()
        );
    }
}
