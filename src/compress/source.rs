//! A reader that can look ahead: where a compressed member ends shows in the bytes after it, which
//! belong to what follows.
//!
//! In goes any reader, out come its bytes in order, each counted when it is taken.

use std::io::{self, BufRead, ErrorKind, Read};

/// What is read at once. Larger reads were no faster, smaller ones cost a system call each.
const CAPACITY: usize = 128 << 10;

/// Bytes of a reader, buffered, of which some can be seen before they are taken.
#[derive(Debug)]
pub struct Source<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    taken: u64,
    last: u32,
}

impl<R: Read> Source<R> {
    /// The most that [`Source::peek`] can show, in bytes.
    pub const LOOKAHEAD: usize = 4096;

    /// A source of all that `reader` has from where it stands. It reads ahead, in large pieces, so
    /// `reader` needs no buffer of its own.
    pub fn new(reader: R) -> Self {
        Source {
            reader,
            buffer: vec![0; CAPACITY].into_boxed_slice(),
            start: 0,
            end: 0,
            taken: 0,
            last: 0,
        }
    }

    /// How many bytes have been taken: the offset of the next one.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.taken
    }

    /// The last four bytes that were read, taken or not, as a little-endian number.
    #[must_use]
    pub const fn last_read(&self) -> u32 {
        self.last
    }

    /// The next `count` bytes, which stay where they are; fewer only where the reader ends, and
    /// never more than [`Source::LOOKAHEAD`].
    ///
    /// # Errors
    /// Those of the reader.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        let count = count.min(Self::LOOKAHEAD);
        while self.end - self.start < count && self.refill()? > 0 {}
        let ahead = self.ahead();
        Ok(ahead.get(..count).unwrap_or(ahead))
    }

    /// Takes the next `N` bytes, or none where fewer are left.
    ///
    /// # Errors
    /// Those of the reader. `N` must be at most [`Source::LOOKAHEAD`], or nothing is ever found.
    pub(super) fn take_array<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let array = self.peek(N)?.first_chunk().copied();
        if array.is_some() {
            self.consume(N);
        }
        Ok(array)
    }

    /// Passes over `count` bytes.
    ///
    /// # Errors
    /// Those of the reader; `UnexpectedEof` where it has fewer.
    pub fn consume_exactly(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let ahead = self.fill_buf()?.len();
            if ahead == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let some = ahead.min(usize::try_from(count).unwrap_or(usize::MAX));
            self.consume(some);
            count -= some as u64;
        }
        Ok(())
    }

    /// The reader itself, for what only it knows.
    pub fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// All that has been read and not been taken: what [`Source::peek`] showed, and more.
    #[must_use]
    pub fn ahead(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads once more behind what is there, and tells how much came: nothing at the end.
    fn refill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = loop {
            match self.reader.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?.min(room.len()),
            }
        };
        let new = self
            .buffer
            .get(self.end..self.end + read)
            .unwrap_or_default();
        let shifted = |last: u32, &byte: &u8| last >> 8 | u32::from(byte) << 24;
        self.last = new
            .iter()
            .skip(read.saturating_sub(4))
            .fold(self.last, shifted);
        self.end += read;
        Ok(read)
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.refill()?;
        }
        Ok(self.ahead())
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.taken += count as u64;
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a byte at a time, with an interruption before each.
    struct Slow<'a> {
        bytes: &'a [u8],
        interrupted: bool,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            match self.interrupted {
                true => Err(ErrorKind::Interrupted.into()),
                false => self.bytes.read(&mut out[..1]),
            }
        }
    }

    #[test]
    fn what_was_seen_is_still_to_be_taken() {
        let mut source = Source::new(Slow {
            bytes: b"abcdef",
            interrupted: false,
        });
        assert_eq!(source.peek(4).unwrap(), b"abcd");
        assert_eq!(source.take_array().unwrap(), Some(*b"ab"));
        assert_eq!(source.offset(), 2);
        assert_eq!(source.take_array::<5>().unwrap(), None);
        assert_eq!(source.peek(9).unwrap(), b"cdef");
        let mut rest = Vec::new();
        source.read_to_end(&mut rest).unwrap();
        assert_eq!((rest.as_slice(), source.offset()), (&b"cdef"[..], 6));
        assert_eq!(source.peek(1).unwrap(), b"");
        assert_eq!(source.last_read(), u32::from_le_bytes(*b"cdef"));
    }

    #[test]
    fn a_peek_across_the_end_of_the_buffer_sees_on() {
        let bytes: Vec<u8> = (0..CAPACITY + 100).map(|at| at as u8).collect();
        let mut source = Source::new(bytes.as_slice());
        let filled = source.fill_buf().unwrap().len();
        source.consume(filled - 2);
        assert_eq!(source.peek(8).unwrap(), &bytes[CAPACITY - 2..CAPACITY + 6]);
        assert_eq!(source.offset(), CAPACITY as u64 - 2);
    }
}
