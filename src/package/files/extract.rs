//! A file of which only an extract is at hand, and the rest where it can be fetched.

use std::cell::{Cell, OnceCell};
use std::io;
use std::sync::Arc;

use crate::root::OpenFile;

/// Gives a file whole.
type Fetch<'f> = Box<dyn Fn() -> io::Result<Arc<Vec<u8>>> + 'f>;

/// Such a file.
pub(super) struct ExtractedFile<'f> {
    extract: &'f [u8],
    size: u64,
    fetch: Option<Fetch<'f>>,
    whole: OnceCell<Arc<Vec<u8>>>,
    missed: Cell<bool>,
}

impl<'f> ExtractedFile<'f> {
    pub(super) fn new(extract: &'f [u8], size: u64, fetch: Option<Fetch<'f>>) -> Self {
        ExtractedFile {
            extract,
            size,
            fetch,
            whole: OnceCell::new(),
            missed: Cell::new(false),
        }
    }

    /// Whether its bytes were asked for, and could not be fetched.
    pub(super) fn was_missed(&self) -> bool {
        self.missed.get()
    }
}

impl OpenFile for ExtractedFile<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn extract(&self) -> Option<&[u8]> {
        Some(self.extract)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let Some(fetch) = &self.fetch else {
            self.missed.set(true);
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let whole = match self.whole.get() {
            Some(whole) => Arc::clone(whole),
            None => {
                let whole = fetch()?;
                Arc::clone(self.whole.get_or_init(|| whole))
            }
        };
        whole.as_slice().read_exact_at(buf, offset)
    }
}
