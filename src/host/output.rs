//! Writing a file so that it is there whole, or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use tempfile::NamedTempFile;

/// A file on its way: a temporary one on the target's file system, gone when this is dropped before
/// [`Output::commit`]. It is not buffered.
pub struct Output {
    draft: Draft,
    target: PathBuf,
    force: bool,
    signals: Signals,
}

/// Signals that ask for an end, remembered so that what was begun can be taken away first.
#[derive(Clone)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// None: each does what it does to any program.
    #[must_use]
    pub fn uncaught() -> Signals {
        Signals(Arc::default())
    }

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

    /// What `source` reads, until a signal comes.
    pub fn heeded_by(self, source: impl Read) -> impl Read {
        Heeding(source, self)
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn caught(&self) -> Option<i32> {
        i32::try_from(self.0.load(Ordering::Relaxed))
            .ok()
            .filter(|signal| *signal != 0)
    }

    /// An error where a signal has come. Its kind is not `Interrupted`, which `write_all` retries.
    ///
    /// # Errors
    /// Then.
    pub fn check(&self) -> io::Result<()> {
        match self.caught() {
            Some(_) => Err(io::Error::other("interrupted by a signal")),
            None => Ok(()),
        }
    }
}

/// A reader that ends with an error where a signal has come.
struct Heeding<R>(R, Signals);

impl<R: Read> Read for Heeding<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1.check()?;
        self.0.read(out)
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
        Ok(Output {
            draft: Draft::beside(target)?,
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
        let mut file = self.draft.file().try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(file))
    }

    /// Has what was written stand at the target's path, on the medium.
    ///
    /// # Errors
    /// When it cannot be written, or a file has appeared there and `force` was not given.
    pub fn commit(self) -> io::Result<()> {
        self.settle()?;
        self.signals.check()?;
        self.stand()
    }

    /// Has what was written be on the medium, whatever it will be called.
    fn settle(&self) -> io::Result<()> {
        self.draft.file().sync_all()
    }

    /// Gives it its name.
    fn stand(self) -> io::Result<()> {
        let Output {
            draft,
            target,
            force,
            ..
        } = self;
        draft.become_file(&target, force)?;
        // The rename itself is on the medium when its directory is. Where a file system cannot do
        // that the image is there all the same.
        let _ = File::open(directory_of(&target)).and_then(|directory| directory.sync_all());
        Ok(())
    }
}

/// Has several files stand at their paths, in this order: none does before all are on the medium, and where one
/// then cannot, those before it that replaced nothing are taken away again, `force` or not.
///
/// # Errors
/// As [`Output::commit`], with the target's path.
pub fn commit_all(outputs: Vec<Output>) -> Result<(), (PathBuf, io::Error)> {
    for output in &outputs {
        let settled = output.settle().and_then(|()| output.signals.check());
        settled.map_err(|error| (output.target.clone(), error))?;
    }
    let mut standing = Vec::new();
    for output in outputs {
        let target = output.target.clone();
        let is_new = fs::symlink_metadata(&target).is_err();
        if let Err(error) = output.stand() {
            // What cannot be taken away is whole.
            standing.iter().for_each(|path| drop(fs::remove_file(path)));
            return Err((target, error));
        }
        standing.extend(is_new.then_some(target));
    }
    Ok(())
}

/// Whether two paths are those of one file, which need not be there.
#[must_use]
pub fn is_same(one: &Path, other: &Path) -> bool {
    one == other || (one.file_name() == other.file_name() && is_in(other, directory_of(one)))
}

/// Whether the file at `target` lies in `directory` itself, whatever leads to it.
#[must_use]
pub fn is_in(target: &Path, directory: &Path) -> bool {
    let place = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let there = place(directory_of(target));
    there.is_some() && there == place(directory)
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.signals.check()?;
        self.draft.file().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.file().flush()
    }
}

/// A file that has not its name yet.
enum Draft {
    /// One without any: nothing is left of it, however this program ends (`O_TMPFILE` of `open(2)`).
    Nameless(File),
    /// One beside the target, where the file system has no others.
    Named(NamedTempFile),
}

impl Draft {
    fn beside(target: &Path) -> io::Result<Draft> {
        let directory = directory_of(target);
        match nameless_in(directory) {
            Some(file) => Ok(Draft::Nameless(file)),
            None => named_in(directory).map(Draft::Named),
        }
    }

    fn file(&self) -> &File {
        match self {
            Draft::Nameless(file) => file,
            Draft::Named(file) => file.as_file(),
        }
    }

    /// Has it stand at `target`, in the place of what is there only by `force`.
    fn become_file(self, target: &Path, force: bool) -> io::Result<()> {
        let file = match self {
            Draft::Named(file) => return persist(file, target, force),
            Draft::Nameless(file) => file,
        };
        match link(&file, target, force) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => copy(file, target, force),
            linked => linked,
        }
    }
}

/// What a temporary file's name begins with.
const PREFIX: &str = ".xinitrd-";

/// A file without a name in `directory`, that can be given one; `None` where there are none such.
fn nameless_in(directory: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(open(directory, flags, Mode::from_raw_mode(0o666)).ok()?);
    descriptor(&file).exists().then_some(file)
}

fn named_in(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(directory)
}

/// What leads to an open file, of whatever name (`linkat(2)`: without it, naming a file takes a capability).
fn descriptor(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Gives a file without a name that of `target`; to replace what is there, by way of another.
fn link(file: &File, target: &Path, force: bool) -> io::Result<()> {
    let at = |path: &Path| {
        let flags = AtFlags::SYMLINK_FOLLOW;
        linkat(CWD, descriptor(file), CWD, path, flags).map_err(io::Error::from)
    };
    match force {
        false => at(target),
        true => {
            let named = tempfile::Builder::new()
                .prefix(PREFIX)
                .make_in(directory_of(target), at)?;
            persist(named, target, force)
        }
    }
}

/// Lays a copy at `target`: some file systems make files without a name, and give them none.
fn copy(mut file: File, target: &Path, force: bool) -> io::Result<()> {
    let mut named = named_in(directory_of(target))?;
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut file, named.as_file_mut())?;
    named.as_file().sync_all()?;
    persist(named, target, force)
}

fn persist<F>(file: NamedTempFile<F>, target: &Path, force: bool) -> io::Result<()> {
    let persisted = match force {
        true => file.persist(target),
        false => file.persist_noclobber(target),
    };
    persisted.map(drop).map_err(|error| error.error)
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
    match fs::metadata(target) {
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

    #[test]
    fn several_files_stand_together_or_none_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let [side, image] = ["side", "image"].map(|name| directory.path().join(name));
        let draft = |target: &Path, force: bool| {
            let signals = Signals::uncaught();
            let mut output = Output::create(target, force, signals).unwrap();
            output.write_all(b"new").unwrap();
            output
        };
        let outputs = vec![draft(&side, false), draft(&image, false)];
        fs::write(&image, b"another's").unwrap();
        let (path, error) = commit_all(outputs).unwrap_err();
        assert_eq!(
            (path, error.kind()),
            (image.clone(), io::ErrorKind::AlreadyExists)
        );
        assert!(!side.exists());
        assert_eq!(fs::read(&image).unwrap(), b"another's");
        commit_all(vec![draft(&side, false), draft(&image, true)]).unwrap();
        assert_eq!(
            [side, image].map(|path| fs::read(path).unwrap()),
            [b"new", b"new"]
        );
    }

    #[test]
    fn by_force_too_what_replaced_nothing_is_taken_away_where_the_last_cannot_stand() {
        let directory = tempfile::tempdir().unwrap();
        let [new, old, image] = ["new", "old", "image"].map(|name| directory.path().join(name));
        fs::write(&old, b"old").unwrap();
        let draft = |target| Output::create(target, true, Signals::uncaught()).unwrap();
        let outputs = [&new, &old, &image].map(|target| draft(target)).into();
        fs::create_dir(&image).unwrap();
        let (path, _) = commit_all(outputs).unwrap_err();
        assert_eq!(path, image);
        assert!(!new.exists() && old.exists());
    }

    #[test]
    fn a_file_is_known_by_where_it_lies() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        std::os::unix::fs::symlink(top, top.join("link")).unwrap();
        assert!(is_same(&top.join("a"), &top.join("link/a")));
        assert!(!is_same(&top.join("a"), &top.join("b")));
        assert!(!is_same(&top.join("a"), Path::new("/a")));
        assert!(is_in(&top.join("link/a"), top) && !is_in(&top.join("a"), Path::new("/")));
    }

    #[test]
    fn a_file_has_no_name_before_it_is_whole_and_is_copied_where_it_can_be_given_none() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        let names = || std::fs::read_dir(directory.path()).unwrap().count();
        for force in [false, true] {
            let mut output = Output::create(&target, force, Signals::catch().unwrap()).unwrap();
            output.write_all(b"whole").unwrap();
            assert_eq!(names(), usize::from(force));
            output.commit().unwrap();
            assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        }
        for (force, copied) in [(false, false), (true, true)] {
            let mut file = nameless_in(directory.path()).unwrap();
            file.write_all(b"copied").unwrap();
            assert_eq!(copy(file, &target, force).is_ok(), copied);
        }
        assert_eq!(std::fs::read(&target).unwrap(), b"copied");
        assert_eq!(names(), 1);
    }
}
