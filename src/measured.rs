//! A writer that counts and digests what goes through it.
//!
//! The digest is made on a thread of its own, from the very buffers that are written: of a large
//! image it takes as long as the writing itself. Where the system has no thread to give, the writer
//! digests.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// What is written, and digested, at a time.
const BUFFER: usize = 256 << 10;
/// How many buffers there are: one fills, one is written, two wait for the digest.
const BUFFERS: usize = 4;

/// A buffered writer that knows in the end what was written.
pub struct Measured<W> {
    out: W,
    size: u64,
    buffer: Vec<u8>,
    digester: Digester,
}

/// What makes the digest.
enum Digester {
    /// A thread, which gives each buffer back.
    Thread {
        written: SyncSender<Vec<u8>>,
        digested: Receiver<Vec<u8>>,
        thread: JoinHandle<Digest>,
    },
    /// The writer itself.
    Here(Sha256),
}

impl Digester {
    fn start() -> Digester {
        let (written, queue) = sync_channel::<Vec<u8>>(BUFFERS);
        let (give_back, digested) = sync_channel(BUFFERS);
        for _ in 1..BUFFERS {
            // It has room for all of them.
            let _ = give_back.send(Vec::with_capacity(BUFFER));
        }
        let thread = thread::Builder::new().spawn(move || {
            let mut digest = Sha256::new();
            for mut buffer in queue {
                digest.update(&buffer);
                buffer.clear();
                // Once nothing more is written nobody takes it.
                let _ = give_back.send(buffer);
            }
            digest.into()
        });
        match thread {
            Ok(thread) => Digester::Thread {
                written,
                digested,
                thread,
            },
            Err(_) => Digester::Here(Sha256::new()),
        }
    }

    /// Takes what is in `buffer`, and leaves an empty one.
    fn take(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Digester::Thread {
                written, digested, ..
            } => {
                let next = digested.recv().map_err(|_| lost())?;
                let full = std::mem::replace(buffer, next);
                written.send(full).map_err(|_| lost())
            }
            Digester::Here(digest) => {
                digest.update(&buffer);
                buffer.clear();
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<Digest> {
        match self {
            Digester::Thread {
                written, thread, ..
            } => {
                drop(written);
                thread.join().map_err(|_| lost())
            }
            Digester::Here(digest) => Ok(digest.into()),
        }
    }
}

impl<W: Write> Measured<W> {
    /// A writer to `out`.
    #[must_use]
    pub fn new(out: W) -> Self {
        Measured {
            out,
            size: 0,
            buffer: Vec::with_capacity(BUFFER),
            digester: Digester::start(),
        }
    }

    /// Writes what is still in the buffer; gives back the writer, how many bytes it got, and their
    /// SHA-256.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<(W, u64, Digest)> {
        self.pass_on()?;
        self.out.flush()?;
        Ok((self.out, self.size, self.digester.finish()?))
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.size += self.buffer.len() as u64;
        self.digester.take(&mut self.buffer)
    }
}

fn lost() -> io::Error {
    io::Error::other("the thread that digests ended early")
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == BUFFER {
            self.pass_on()?;
        }
        let room = BUFFER - self.buffer.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// Does nothing: what was taken is on its way when [`Measured::finish`] is done.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_digest_are_those_of_what_came_through() {
        for length in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 9 * BUFFER + 7] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut measured = Measured::new(Vec::new());
            bytes
                .chunks(100_003)
                .for_each(|chunk| measured.write_all(chunk).unwrap());
            let (out, size, digest) = measured.finish().unwrap();
            assert_eq!((out.len(), size), (length, length as u64));
            assert!(out == bytes);
            assert_eq!(digest, Digest::of(&bytes));
        }
    }

    #[test]
    fn an_error_of_the_writer_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut measured = Measured::new(Full);
        let error = measured.write_all(&vec![0; 2 * BUFFER]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
