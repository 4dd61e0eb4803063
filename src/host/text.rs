//! Texts of the host that options name: manifests, and configurations of modprobe.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The largest text that is read, in bytes: a manifest or a configuration is a few pages, and what is
/// larger is neither.
pub const LIMIT: u64 = 1 << 20;

/// What is said of a text above [`LIMIT`].
#[must_use]
pub fn too_large() -> io::Error {
    io::Error::other("it is larger than 1 MiB")
}

/// Reads the text at `path`.
///
/// # Errors
/// When it is larger than [`LIMIT`], or cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let text = read_start(path, LIMIT)?;
    match text.len() as u64 > LIMIT {
        true => Err(too_large()),
        false => Ok(text),
    }
}

/// Reads the first `limit` bytes of the text at `path`, and one more where there are more. The reading itself is
/// bounded, for a device's size says nothing of how much can be read from it.
///
/// # Errors
/// When it cannot be read.
pub fn read_start(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut file = File::open(path)?.take(limit + 1);
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// Reads a text that nobody named: a pipe among them would be waited for without end.
///
/// # Errors
/// As [`read`]; and when it is no regular file.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    read(path)
}

/// The `.conf` files in a directory that are not hidden, sorted; `None` where `path` is no directory.
///
/// # Errors
/// When it cannot be listed.
pub fn conf_files(path: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    if !path.is_dir() {
        return Ok(None);
    }
    let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().as_bytes();
        name.ends_with(b".conf") && !name.starts_with(b".")
    });
    files.sort();
    Ok(Some(files))
}
