//! A directory that is there whole or not at all.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory to be filled.
pub enum Staged {
    /// It is new: it gets its name when it is whole, and is gone if it never is.
    New(TempDir, PathBuf),
    /// It is there, and may be what others stand in, mount on or have links to: it is filled where it is.
    There(PathBuf),
}

impl Staged {
    /// The directory `path`, which is new where nothing is there.
    ///
    /// # Errors
    /// When it cannot be looked into, or no other can be made beside it.
    pub fn new(path: &Path) -> io::Result<Staged> {
        if Self::is_there(path)? {
            return Ok(Staged::There(path.to_owned()));
        }
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let made = tempfile::Builder::new()
            .prefix(".xinitrd-")
            .tempdir_in(above)?;
        Ok(Staged::New(made, path.to_owned()))
    }

    /// Whether the directory `path` is there already, be there something in it or not.
    ///
    /// # Errors
    /// When something else is there, or it cannot be looked into.
    pub fn is_there(path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            // A link that leads nowhere is none.
            Ok(_) => fs::read_dir(path).map(|_| true),
        }
    }

    /// Whether nothing was there.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self, Staged::New(..))
    }

    /// Where it is to be filled.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Staged::New(made, _) => made.path(),
            Staged::There(path) => path,
        }
    }

    /// Gives it its name, and the mode that the umask leaves.
    ///
    /// # Errors
    /// When it cannot have that name.
    pub fn commit(self) -> io::Result<()> {
        let Staged::New(made, path) = self else {
            return Ok(());
        };
        // One that is made in the common way tells the mode.
        let like = made.path().with_extension("mode");
        fs::create_dir(&like)?;
        let mode = fs::metadata(&like)?.permissions().mode();
        fs::remove_dir(&like)?;
        fs::set_permissions(made.path(), fs::Permissions::from_mode(mode))?;
        fs::rename(made.path(), &path)?;
        let _ = made.keep();
        Ok(())
    }
}
