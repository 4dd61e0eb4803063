//! An image that is held in memory until it has been judged, in the pieces that it was written in.
//!
//! Bytes that grow in a single place need two or three times their size there, which a 32-bit host may not have.

use std::io::{self, Read, Write};
use std::sync::Arc;

/// Pieces, in order.
#[derive(Default)]
pub(super) struct Held(Vec<Arc<[u8]>>);

impl Held {
    /// All of it, from the first byte on.
    pub(super) fn reader(&self) -> impl Read + Send + use<> {
        let pieces = self.0.clone().into_iter().map(io::Cursor::new);
        Reader { pieces, at: None }
    }

    /// Writes all of it to `out`.
    pub(super) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.iter().try_for_each(|piece| out.write_all(piece))
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.into());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The piece that is being read, and those behind it.
struct Reader<P> {
    pieces: P,
    at: Option<io::Cursor<Arc<[u8]>>>,
}

impl<P: Iterator<Item = io::Cursor<Arc<[u8]>>>> Read for Reader<P> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.at.as_mut().map_or(Ok(0), |piece| piece.read(out))?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            self.at = self.pieces.next();
            if self.at.is_none() {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_in_pieces_is_read_as_one() {
        let mut held = Held::default();
        for piece in ["a", "", "bcd", "ef"] {
            held.write_all(piece.as_bytes()).unwrap();
        }
        let (mut read, mut written) = (String::new(), Vec::new());
        held.reader().read_to_string(&mut read).unwrap();
        held.write_to(&mut written).unwrap();
        assert_eq!(
            (read.as_str(), written.as_slice()),
            ("abcdef", &b"abcdef"[..])
        );
    }
}
