//! Writing a file so that it is there whole, or not at all.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::NamedTempFile;

/// A file on its way: a temporary one beside the target, gone when this is dropped before
/// [`Output::commit`]. It is not buffered.
pub struct Output {
    file: NamedTempFile,
    target: PathBuf,
    force: bool,
    signals: Signals,
}

/// Signals that ask for an end, remembered so that what was begun can be taken away first.
#[derive(Clone)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Catches SIGINT, SIGTERM, SIGHUP and SIGQUIT from now on. Whoever writes an [`Output`] hears
    /// of them; any other write goes on, so where no such file is made nothing should be caught.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn catch() -> io::Result<Signals> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        let caught = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&caught), number)?;
        }
        Ok(Signals(caught))
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn caught(&self) -> Option<i32> {
        i32::try_from(self.0.load(Ordering::Relaxed))
            .ok()
            .filter(|signal| *signal != 0)
    }

    /// An error where a signal has come. Its kind is not `Interrupted`, which `write_all` retries.
    fn check(&self) -> io::Result<()> {
        match self.caught() {
            Some(_) => Err(io::Error::other("interrupted by a signal")),
            None => Ok(()),
        }
    }
}

/// Has a write past the limit on the size of files fail with `EFBIG` from now on (`setrlimit(2)`):
/// the signal that comes with it would end the process before anything is told or taken away.
///
/// # Errors
/// When the system does not let it.
pub fn outlive_size_limit() -> io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map(drop)
}

impl Output {
    /// Begins a file that will be `target`, with the mode that the umask leaves of 0666: an image may
    /// hold secrets, and its maker says by the umask who may read them.
    ///
    /// # Errors
    /// When `target` is a directory, a device, a socket or a pipe, or is there and `force` is not
    /// given, or no file can be made beside it.
    pub fn create(target: &Path, force: bool, signals: Signals) -> io::Result<Output> {
        check_target(target, force)?;
        let file = tempfile::Builder::new()
            .prefix(".xinitrd-")
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(directory_of(target))?;
        Ok(Output {
            file,
            target: target.to_path_buf(),
            force,
            signals,
        })
    }

    /// What was written, to be read from its first byte on.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut file = self.file.as_file().try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(file))
    }

    /// Has what was written stand at the target's path, on the medium.
    ///
    /// # Errors
    /// When it cannot be written, or a file has appeared there and `force` was not given.
    pub fn commit(self) -> io::Result<()> {
        let Output {
            file,
            target,
            force,
            signals,
        } = self;
        file.as_file().sync_all()?;
        signals.check()?;
        let persisted = if force {
            file.persist(&target)
        } else {
            file.persist_noclobber(&target)
        };
        persisted.map_err(|error| error.error)?;
        // The rename itself is on the medium when its directory is. Where a file system cannot do
        // that the image is there all the same.
        let _ = File::open(directory_of(&target)).and_then(|directory| directory.sync_all());
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.signals.check()?;
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Tells whether a file can be made where `target` will be, by making one without a name: nothing
/// less does.
///
/// # Errors
/// As [`Output::create`].
pub fn probe(target: &Path, force: bool) -> io::Result<()> {
    check_target(target, force)?;
    tempfile::tempfile_in(directory_of(target)).map(drop)
}

/// Of a link it is what lies behind it that counts, though the link alone would be replaced: a file
/// where a device's name was is nothing that its readers expect.
fn check_target(target: &Path, force: bool) -> io::Result<()> {
    let special = || io::Error::new(io::ErrorKind::Unsupported, "a device, socket or pipe");
    match std::fs::metadata(target) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if !metadata.is_file() => Err(special()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        // A link that leads nowhere is there too.
        found if !force && (found.is_ok() || target.is_symlink()) => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        _ => Ok(()),
    }
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_committed_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        let mut output = Output::create(&target, false, Signals::catch().unwrap()).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_there_is_kept_unless_forced() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        std::fs::write(&target, b"old").unwrap();
        let signals = Signals::catch().unwrap();
        assert!(Output::create(&target, false, signals.clone()).is_err());
        let mut output = Output::create(&target, true, signals).unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        output.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        let output = Output::create(&target, false, Signals::catch().unwrap()).unwrap();
        std::fs::write(&target, b"another's").unwrap();
        let error = output.commit().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"another's");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
