//! Writing a file so that it is there whole, or not at all.

use std::fs::File;
use std::io::{self, Write};
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
    /// Catches SIGINT, SIGTERM, SIGHUP and SIGQUIT from now on. SIGXFSZ is caught and forgotten:
    /// the write that raised it then fails with `EFBIG` (`setrlimit(2)`) instead of ending the
    /// process with the temporary file still there.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn catch() -> io::Result<Signals> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
        let caught = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&caught), number)?;
        }
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
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

impl Output {
    /// Begins a file that will be `target`.
    ///
    /// # Errors
    /// When `target` is a directory, or is there and `force` is not given, or no file can be made
    /// beside it.
    pub fn create(target: &Path, force: bool, signals: Signals) -> io::Result<Output> {
        check_target(target, force)?;
        let file = tempfile::Builder::new()
            .prefix(".xinitrd-")
            .tempfile_in(directory_of(target))?;
        Ok(Output {
            file,
            target: target.to_path_buf(),
            force,
            signals,
        })
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
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))?;
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

fn check_target(target: &Path, force: bool) -> io::Result<()> {
    match std::fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) if !force => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
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
}
