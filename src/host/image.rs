//! Images of the host that options name, opened to be read from front to back.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What a path leads to.
enum Source {
    /// A regular file, which can be read again and again.
    File(File),
    /// A pipe, a device or standard input.
    Stream(Box<dyn Read + Send>),
}

impl Source {
    fn at(path: &Path) -> io::Result<Source> {
        if path == Path::new("-") {
            return Ok(Source::Stream(Box::new(io::stdin())));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        match (metadata.is_dir(), metadata.is_file()) {
            (true, _) => Err(io::ErrorKind::IsADirectory.into()),
            (_, true) => Ok(Source::File(file)),
            _ => Ok(Source::Stream(Box::new(file))),
        }
    }
}

/// The bytes of the image at `path`; `-` is standard input.
///
/// # Errors
/// When it cannot be opened, or is a directory.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    Ok(match Source::at(path)? {
        Source::File(file) => Box::new(file),
        Source::Stream(stream) => stream,
    })
}

/// An image that is read more than once, and opened but once: whatever becomes of its name, each reader
/// sees the same file.
pub struct Again(Arc<File>);

/// A reader that lays what it reads in a file.
struct Copying {
    source: Box<dyn Read + Send>,
    copy: Arc<File>,
}

impl Read for Copying {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        (&*self.copy).write_all(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

impl Again {
    /// The bytes of the image at `path`, which is `-` for standard input, and the image once more, as far as
    /// these were read: what cannot be read twice is copied on the way. `None` where there is no place for a
    /// copy.
    ///
    /// # Errors
    /// As [`open`].
    pub fn behind(path: &Path) -> io::Result<(Box<dyn Read + Send>, Option<Again>)> {
        let source = match Source::at(path)? {
            Source::File(file) => {
                let again = Again(Arc::new(file));
                return Ok((again.reader(), Some(again)));
            }
            Source::Stream(stream) => stream,
        };
        let Ok(copy) = tempfile::tempfile() else {
            return Ok((source, None));
        };
        let copy = Arc::new(copy);
        let again = Again(Arc::clone(&copy));
        Ok((Box::new(Copying { source, copy }), Some(again)))
    }

    /// The image at `path`; `-` is standard input. What cannot be read twice, as a pipe, is laid in a file
    /// without a name, `limit` bytes of it and one more at most, by which a reader with the same limit
    /// knows.
    ///
    /// # Errors
    /// As [`open`]; and when it cannot be copied.
    pub fn open(path: &Path, limit: u64) -> io::Result<Again> {
        let file = match Source::at(path)? {
            Source::File(file) => file,
            Source::Stream(stream) => {
                let mut copy = tempfile::tempfile()?;
                io::copy(&mut stream.take(limit.saturating_add(1)), &mut copy)?;
                copy
            }
        };
        Ok(Again(Arc::new(file)))
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
