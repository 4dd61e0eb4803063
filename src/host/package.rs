//! Packages of the host that options name: read again and again, and digested the first time.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image;
use crate::digest::Digest;
use crate::measured::Measured;
use crate::package::files::Again;

/// A package's bytes.
pub struct Package {
    first: Arc<Mutex<Heard>>,
    kept: Arc<image::Kept>,
}

/// The first reading, which is digested on its way.
struct Heard {
    source: Box<dyn Read + Send>,
    measured: Option<Measured<io::Sink>>,
    is_begun: bool,
}

impl Package {
    /// The package at `path`: of the same file, whatever becomes of its name. What cannot be read twice, as a
    /// pipe, is copied while it is read first.
    ///
    /// # Errors
    /// When it cannot be opened, or is a directory.
    pub fn open(path: &Path) -> io::Result<Package> {
        let (source, kept) = image::Again::behind(path)?;
        let first = Heard {
            source,
            measured: Some(Measured::new(io::sink())),
            is_begun: false,
        };
        Ok(Package {
            first: Arc::new(Mutex::new(first)),
            kept: Arc::new(kept),
        })
    }

    /// Its bytes, from the first on, each time anew.
    #[must_use]
    pub fn again(&self) -> Box<Again> {
        let (first, kept) = (Arc::clone(&self.first), Arc::clone(&self.kept));
        Box::new(move || {
            if std::mem::replace(&mut lock(&first).is_begun, true) {
                return kept.reader();
            }
            Ok(Box::new(FirstReader(Arc::clone(&first))))
        })
    }

    /// The SHA-256 of the whole file.
    ///
    /// # Errors
    /// When what nobody has read of it yet cannot be read.
    pub fn digest(&self) -> io::Result<Digest> {
        io::copy(&mut FirstReader(Arc::clone(&self.first)), &mut io::sink())?;
        let measured = lock(&self.first).measured.take();
        let measured = measured.ok_or_else(|| io::Error::other("it is digested but once"))?;
        Ok(measured.finish()?.2)
    }
}

fn lock(first: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    first.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first reading of a package.
struct FirstReader(Arc<Mutex<Heard>>);

impl Read for FirstReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut heard = lock(&self.0);
        let count = heard.source.read(out)?;
        if let Some(measured) = &mut heard.measured {
            io::Write::write_all(measured, out.get(..count).unwrap_or_default())?;
        }
        Ok(count)
    }
}
