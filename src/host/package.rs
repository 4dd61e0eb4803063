//! Packages of the host that options name: read again and again, from any offset on, and digested.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use sha2::{Digest as _, Sha256};

use super::image;
use crate::digest::Digest;
use crate::package::files::Again;

/// What is digested at once, in bytes.
const PIECE: usize = 256 << 10;
/// The most bytes of a pipe that are copied behind what was read of it: real packages have some kilobytes there.
const BEHIND: u64 = 64 << 20;

/// A package's bytes.
pub struct Package {
    /// Until it is asked for.
    first: Mutex<Option<Box<dyn Read + Send>>>,
    kept: Arc<image::Kept>,
}

impl Package {
    /// The package at `path`: of the same file, whatever becomes of its name. What cannot be read twice, as a
    /// pipe, is copied while it is read first.
    ///
    /// # Errors
    /// When it cannot be opened, or is a directory.
    pub fn open(path: &Path) -> io::Result<Arc<Package>> {
        let (first, kept) = image::Again::behind(path)?;
        let first = Mutex::new(Some(first));
        let kept = Arc::new(kept);
        Ok(Arc::new(Package { first, kept }))
    }

    /// Its bytes from an offset on, each time anew; of a pipe first all of them.
    #[must_use]
    pub fn again(self: &Arc<Self>) -> Box<Again> {
        let package = Arc::clone(self);
        Box::new(move |offset| package.reader(offset))
    }

    fn reader(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match first.take_if(|_| offset == 0) {
            Some(stream) if self.kept.is_copy() => Ok(Box::new(First {
                stream,
                kept: Arc::clone(&self.kept),
            })),
            Some(file) => Ok(file),
            None => self.kept.reader_from(offset),
        }
    }

    /// The SHA-256 of all its bytes, made on another thread where the system gives one; of a pipe, when its
    /// first reading is over.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(self: &Arc<Self>) -> Digesting {
        let package = Arc::clone(self);
        match thread::Builder::new().spawn(move || package.digest_now()) {
            Ok(thread) => Digesting::Thread(thread),
            Err(_) => Digesting::Done(self.digest_now()),
        }
    }

    fn digest_now(&self) -> io::Result<Digest> {
        let mut reader = self.kept.reader()?;
        let mut digest = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece)? {
                0 => return Ok(digest.into()),
                count => digest.update(piece.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// Whether what lies at a package's path cannot be read twice.
#[must_use]
pub fn is_stream(path: &Path) -> bool {
    path == Path::new("-") || !path.is_file()
}

/// The first reading of what can be read but once. Whoever reads may have seen enough before the end; what is to be
/// read again must have been read once.
struct First {
    stream: Box<dyn Read + Send>,
    kept: Arc<image::Kept>,
}

impl Read for First {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.read(out)
    }
}

impl Drop for First {
    fn drop(&mut self) {
        // What cannot be read here cannot be read again, which is told then.
        let stream = &mut self.stream;
        if io::copy(&mut stream.take(BEHIND + 1), &mut io::sink()).is_ok_and(|read| read > BEHIND) {
            self.kept
                .give_up(io::Error::other("more than 64 MiB follow its end"));
        }
    }
}

/// A digest that is made, or being made.
pub enum Digesting {
    /// On that thread.
    Thread(JoinHandle<io::Result<Digest>>),
    /// It is done.
    Done(io::Result<Digest>),
}

impl Digesting {
    /// The digest, when it is there.
    ///
    /// # Errors
    /// When the package cannot be read.
    pub fn wait(self) -> io::Result<Digest> {
        match self {
            Digesting::Done(done) => done,
            Digesting::Thread(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread that digests ended early"))),
        }
    }
}
