//! Images of the host that options name, opened to be read from front to back.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::output::outlive_size_limit;

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

/// What has been read of an image, kept to be read again, or why it could not be.
pub struct Kept {
    place: Arc<Mutex<io::Result<Again>>>,
    is_copy: bool,
}

impl Kept {
    /// All that was read by then.
    ///
    /// # Errors
    /// When there is no place to keep it.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        self.reader_from(0)
    }

    /// The same from an offset on.
    ///
    /// # Errors
    /// As [`Kept::reader`].
    pub fn reader_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        match &*lock(&self.place) {
            Ok(again) => Ok(again.reader_from(offset)),
            Err(error) => Err(not_kept(error)),
        }
    }

    /// Whether it is a copy, of what can be read but once.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Keeps it no longer: whoever asks for it is told `why`.
    pub fn give_up(&self, why: io::Error) {
        *lock(&self.place) = Err(why);
    }
}

/// A reader that keeps what it reads, as long as there is a place for it.
struct Keeping {
    source: Box<dyn Read + Send>,
    kept: Arc<Mutex<io::Result<Again>>>,
}

impl Read for Keeping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let mut kept = lock(&self.kept);
        if let Ok(Again(copy)) = &*kept
            && let Err(error) = (&**copy).write_all(buffer.get(..count).unwrap_or_default())
        {
            *kept = Err(error);
        }
        Ok(count)
    }
}

/// The image itself is not to blame.
fn not_kept(error: &io::Error) -> io::Error {
    let place = std::env::temp_dir();
    let words = format!(
        "it has to be read twice, and {} takes no copy of it: {error}",
        place.display()
    );
    io::Error::new(io::ErrorKind::StorageFull, words)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Again {
    /// The bytes of the image at `path`, which is `-` for standard input, and the image once more, as far as
    /// these were read: what cannot be read twice is copied on the way.
    ///
    /// # Errors
    /// As [`open`].
    pub fn behind(path: &Path) -> io::Result<(Box<dyn Read + Send>, Kept)> {
        let source = match Source::at(path)? {
            Source::File(file) => {
                let again = Again(Arc::new(file));
                let reader = again.reader();
                let place = Arc::new(Mutex::new(Ok(again)));
                let is_copy = false;
                return Ok((reader, Kept { place, is_copy }));
            }
            Source::Stream(stream) => stream,
        };
        // The limit on the size of files is met by the copy, not by whoever judges.
        let copy = outlive_size_limit().and_then(|()| tempfile::tempfile());
        let place = Arc::new(Mutex::new(copy.map(|copy| Again(Arc::new(copy)))));
        let reader = Keeping {
            source,
            kept: Arc::clone(&place),
        };
        let is_copy = true;
        Ok((Box::new(reader), Kept { place, is_copy }))
    }

    /// Its bytes, from the first on; readers do not disturb each other.
    #[must_use]
    pub fn reader(&self) -> Box<dyn Read + Send> {
        self.reader_from(0)
    }

    fn reader_from(&self, at: u64) -> Box<dyn Read + Send> {
        let file = Arc::clone(&self.0);
        Box::new(Reader { file, at })
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
