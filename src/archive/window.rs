//! Bytes that come in pieces, looked at as one stretch, without copying the pieces.

use super::ReadError;

/// What is kept free before each piece, so that the rest of the one before can be put in front of
/// it: the most bytes that can be looked at together.
const HEADROOM: usize = 4 << 10;
/// The bytes of a piece: large enough that a call a piece costs nothing, small enough for a cache.
const PIECE: usize = 256 << 10;

/// A buffer, and the part of it that is filled.
pub(super) struct Piece {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How far the image had been read when the piece was filled, in bytes.
    pub(super) read: u64,
}

impl Piece {
    pub(super) fn new() -> Self {
        Piece {
            bytes: vec![0; HEADROOM + PIECE],
            start: HEADROOM,
            end: HEADROOM,
            read: 0,
        }
    }

    /// Fills the piece by `read`, called until it gives nothing more or there is no more room.
    pub(super) fn fill<E>(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.start = HEADROOM;
        self.end = HEADROOM;
        while let Some(room) = self
            .bytes
            .get_mut(self.end..)
            .filter(|room| !room.is_empty())
        {
            match read(room)? {
                0 => break,
                filled => self.end += filled,
            }
        }
        Ok(())
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts `rest` in front of what is there.
    fn put_in_front(&mut self, rest: &[u8]) {
        let start = self.start.saturating_sub(rest.len());
        if let Some(front) = self.bytes.get_mut(start..start + rest.len()) {
            front.copy_from_slice(rest);
            self.start = start;
        }
    }
}

/// Where pieces come from.
pub(super) trait Pieces {
    /// Fills `piece` anew, or puts another in its place; an empty one is the end.
    fn next(&mut self, piece: &mut Piece) -> Result<(), ReadError>;
}

/// A stretch of the bytes that come from `pieces`.
pub(super) struct Window<P> {
    pub(super) pieces: P,
    current: Piece,
    spare: Piece,
    ended: bool,
}

impl<P: Pieces> Window<P> {
    pub(super) fn new(pieces: P) -> Self {
        Window {
            pieces,
            current: Piece::new(),
            spare: Piece::new(),
            ended: false,
        }
    }

    /// What can be seen: `wanted` bytes or more, `HEADROOM` at most are granted; fewer at the end.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], ReadError> {
        while self.current.len() < wanted.min(HEADROOM) && !self.ended {
            self.fetch()?;
        }
        Ok(self.current.filled())
    }

    fn fetch(&mut self) -> Result<(), ReadError> {
        let next = self.pieces.next(&mut self.spare);
        if next.is_err() || self.spare.is_empty() {
            self.ended = true;
            return next;
        }
        self.spare.put_in_front(self.current.filled());
        std::mem::swap(&mut self.current, &mut self.spare);
        Ok(())
    }

    /// How far the image had been read for what is seen.
    pub(super) fn read_so_far(&self) -> u64 {
        self.current.read
    }

    /// What was seen last, without asking for more.
    pub(super) fn seen(&self) -> &[u8] {
        self.current.filled()
    }

    /// Passes over `count` of the bytes that were seen.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.current.len());
        self.current.start += count;
    }
}
