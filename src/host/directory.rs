//! A directory of the host as a foreign root.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::image_path::{ImagePath, Shown};
use crate::root::{FileKind, Files, OpenFile};

/// The files under one directory of the host.
pub struct DirectoryFiles {
    top: PathBuf,
}

impl DirectoryFiles {
    /// The files under `top`.
    ///
    /// # Errors
    /// When `top` cannot be read or is no directory.
    pub fn new(top: &Path) -> io::Result<Self> {
        if !fs::metadata(top)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(DirectoryFiles {
            top: top.to_path_buf(),
        })
    }

    fn host_path(&self, path: &ImagePath) -> PathBuf {
        self.top.join(OsStr::from_bytes(path.as_bytes()))
    }
}

impl Files for DirectoryFiles {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        let host_path = self.host_path(path);
        match fs::symlink_metadata(&host_path) {
            Ok(metadata) => kind_of(metadata.file_type(), &host_path).map(Some),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        let file = File::open(self.host_path(path))?;
        let size = file.metadata()?.len();
        Ok(Box::new(HostFile { file, size }))
    }

    fn list(&self, directory: &ImagePath) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        fs::read_dir(self.host_path(directory))?
            .map(|entry| {
                let entry = entry?;
                let kind = kind_of(entry.file_type()?, &entry.path())?;
                Ok((entry.file_name().into_vec(), kind))
            })
            .collect()
    }

    fn shown(&self, path: &ImagePath) -> String {
        Shown(self.host_path(path).as_os_str().as_bytes()).to_string()
    }
}

fn kind_of(file_type: fs::FileType, host_path: &Path) -> io::Result<FileKind> {
    Ok(if file_type.is_symlink() {
        FileKind::Symlink(fs::read_link(host_path)?.into_os_string().into_vec())
    } else if file_type.is_dir() {
        FileKind::Directory
    } else if file_type.is_file() {
        FileKind::Regular
    } else {
        FileKind::Special
    })
}

/// `ENOTDIR` says as well as `ENOENT` that nothing lies at a path.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

struct HostFile {
    file: File,
    size: u64,
}

impl OpenFile for HostFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}
