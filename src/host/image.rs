//! Images of the host that options name, opened to be read from front to back.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
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

/// A reader that lays what it reads in a file.
struct Copying {
    source: Box<dyn Read + Send>,
    copy: File,
}

impl Read for Copying {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.copy
            .write_all(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

impl Again {
    /// The bytes of the image at `path`, which is `-` for standard input, and the image once more, as far as
    /// these were read: what cannot be opened anew is copied on the way.
    ///
    /// # Errors
    /// As [`open`]; and when there is no place for a copy.
    pub fn behind(path: &Path) -> io::Result<(Box<dyn Read + Send>, Again)> {
        let source = open(path)?;
        if is_regular(path)? {
            return Ok((source, Again::Regular(path.to_owned())));
        }
        let copy = tempfile::tempfile()?;
        let kept = Again::Copied(copy.try_clone()?);
        Ok((Box::new(Copying { source, copy }), kept))
    }

    /// The image at `path`; `-` is standard input. What cannot be opened anew is read here, `limit`
    /// bytes of it and one more at most, by which a reader with the same limit knows.
    ///
    /// # Errors
    /// As [`open`]; and when it cannot be copied.
    pub fn open(path: &Path, limit: u64) -> io::Result<Again> {
        let source = open(path)?;
        if is_regular(path)? {
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

fn is_regular(path: &Path) -> io::Result<bool> {
    Ok(path != Path::new("-") && path.metadata()?.is_file())
}
