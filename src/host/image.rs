//! Images of the host that options name, opened to be read from front to back.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The bytes of the image at `path`; `-` is standard input.
///
/// # Errors
/// When it cannot be opened, or is a directory.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Box::new(file))
}

/// An image that is read more than once, and opened but once: whatever becomes of its name, each reader
/// sees the same file.
pub struct Again(Arc<File>);

impl Again {
    /// The image at `path`; `-` is standard input. What cannot be read twice, as a pipe, is laid in a file
    /// without a name, `limit` bytes of it and one more at most, by which a reader with the same limit
    /// knows.
    ///
    /// # Errors
    /// As [`open`]; and when it cannot be copied.
    pub fn open(path: &Path, limit: u64) -> io::Result<Again> {
        if path == Path::new("-") {
            return Again::copy(io::stdin(), limit);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        match (metadata.is_dir(), metadata.is_file()) {
            (true, _) => Err(io::ErrorKind::IsADirectory.into()),
            (_, true) => Ok(Again(Arc::new(file))),
            _ => Again::copy(file, limit),
        }
    }

    fn copy(source: impl Read, limit: u64) -> io::Result<Again> {
        let mut copy = tempfile::tempfile()?;
        io::copy(&mut source.take(limit.saturating_add(1)), &mut copy)?;
        Ok(Again(Arc::new(copy)))
    }

    /// Its bytes, from the first on; readers do not disturb each other.
    #[must_use]
    pub fn reader(&self) -> Box<dyn Read + Send> {
        let file = Arc::clone(&self.0);
        Box::new(Reader { file, at: 0 })
    }
}

/// A reader with a place of its own in the file.
struct Reader {
    file: Arc<File>,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
