//! Images of the host that options name, opened to be read from front to back.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

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

/// An image that is read more than once.
pub enum Again {
    /// A regular file, opened anew each time.
    Regular(PathBuf),
    /// What came from standard input or a pipe, laid in a file without a name.
    Copied(File),
}

impl Again {
    /// The image at `path`; `-` is standard input. What cannot be opened anew is read here, `limit`
    /// bytes of it and one more at most, by which a reader with the same limit knows.
    ///
    /// # Errors
    /// As [`open`]; and when it cannot be copied.
    pub fn open(path: &Path, limit: u64) -> io::Result<Again> {
        let source = open(path)?;
        if path != Path::new("-") && path.metadata()?.is_file() {
            return Ok(Again::Regular(path.to_owned()));
        }
        let mut copy = tempfile::tempfile()?;
        io::copy(&mut source.take(limit.saturating_add(1)), &mut copy)?;
        Ok(Again::Copied(copy))
    }

    /// Its bytes, from the first on. One such reader at a time.
    ///
    /// # Errors
    /// As [`open`].
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Again::Regular(path) => open(path),
            Again::Copied(copy) => {
                let mut copy = copy.try_clone()?;
                copy.seek(SeekFrom::Start(0))?;
                Ok(Box::new(copy))
            }
        }
    }
}
