//! A writer that counts and digests what goes through it, and lets another read it meanwhile.
//!
//! The digest is made on a thread of its own, from the very buffers that are written: of a large
//! image it takes as long as the writing itself. Where the system has no thread to give, the writer
//! digests.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// What is written, and digested, at a time.
const BUFFER: usize = 256 << 10;
/// How many buffers there are: one fills, one is written, the others wait for the digest and for
/// whoever reads.
const BUFFERS: usize = 8;

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
    /// The digester, and what it has digested to be read, where a thread is had.
    fn start() -> (Digester, Option<Overheard>) {
        let (written, queue) = sync_channel::<Vec<u8>>(BUFFERS);
        let (give_back, digested) = sync_channel(BUFFERS);
        // A reader that goes away takes no more buffers along than are on their way to it.
        let (pass_on, overheard) = sync_channel(1);
        for _ in 1..BUFFERS {
            // It has room for all of them.
            let _ = give_back.send(Vec::with_capacity(BUFFER));
        }
        let overheard = Overheard {
            buffers: overheard,
            give_back: give_back.clone(),
            current: Vec::new(),
            at: 0,
        };
        let thread = thread::Builder::new().spawn(move || {
            let mut digest = Sha256::new();
            for buffer in queue {
                digest.update(&buffer);
                if let Err(SendError(buffer)) = pass_on.send(buffer) {
                    // Once nothing more is written nobody takes it.
                    let _ = give_back.send(buffer);
                }
            }
            digest.into()
        });
        match thread {
            Ok(thread) => {
                let digester = Digester::Thread {
                    written,
                    digested,
                    thread,
                };
                (digester, Some(overheard))
            }
            Err(_) => (Digester::Here(Sha256::new()), None),
        }
    }

    /// Takes what is in `buffer`, and leaves an empty one.
    fn take(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Digester::Thread {
                written, digested, ..
            } => {
                let mut next = digested.recv().map_err(|_| lost())?;
                next.clear();
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
    /// A writer to `out`, and what is written to be read meanwhile, on another thread: writing waits for
    /// the reader. `None` where the system gives no thread to go between the two.
    #[must_use]
    pub fn overheard(out: W) -> (Self, Option<Overheard>) {
        let (digester, overheard) = Digester::start();
        let measured = Measured {
            out,
            size: 0,
            buffer: Vec::with_capacity(BUFFER),
            digester,
        };
        (measured, overheard)
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

/// What goes through a [`Measured`], to be read on another thread than it is written on.
pub struct Overheard {
    buffers: Receiver<Vec<u8>>,
    give_back: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Overheard {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            let Ok(next) = self.buffers.recv() else {
                return Ok(0);
            };
            self.at = 0;
            let read = std::mem::replace(&mut self.current, next);
            if read.capacity() > 0 {
                let _ = self.give_back.send(read);
            }
        }
        let read = self.current.get(self.at..).unwrap_or_default().read(out)?;
        self.at += read;
        Ok(read)
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

    /// What comes through while `listen` has it too, on another thread.
    fn through<T: Send>(
        chunks: &[&[u8]],
        listen: impl FnOnce(Overheard) -> T + Send,
    ) -> (Vec<u8>, u64, Digest, T) {
        let (mut measured, overheard) = Measured::overheard(Vec::new());
        thread::scope(|scope| {
            let listener = scope.spawn(|| listen(overheard.unwrap()));
            chunks
                .iter()
                .for_each(|chunk| measured.write_all(chunk).unwrap());
            let (out, size, digest) = measured.finish().unwrap();
            (out, size, digest, listener.join().unwrap())
        })
    }

    #[test]
    fn what_came_through_is_measured_and_overheard() {
        for length in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 19 * BUFFER + 7] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let chunks: Vec<&[u8]> = bytes.chunks(100_003).collect();
            let (out, size, digest, heard) = through(&chunks, |mut overheard| {
                let mut heard = Vec::new();
                overheard.read_to_end(&mut heard).map(|_| heard).unwrap()
            });
            assert_eq!((out.len(), size), (length, length as u64));
            assert!(out == bytes && heard == bytes);
            assert_eq!(digest, Digest::of(&bytes));
        }
    }

    #[test]
    fn a_reader_that_goes_away_holds_nothing_up() {
        let bytes = vec![7; 19 * BUFFER];
        for read in [0, 1, BUFFER + 1] {
            let listen = |mut heard: Overheard| heard.read_exact(&mut vec![0; read]);
            let (out, _, digest, done) = through(&[&bytes], listen);
            done.unwrap();
            assert_eq!((out.len(), digest), (bytes.len(), Digest::of(&bytes)));
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
        let (mut measured, _) = Measured::overheard(Full);
        let error = measured.write_all(&vec![0; 2 * BUFFER]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
