//! Packages of the host that options name, opened to be read again and again.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::image;
use crate::package::files::Again;

/// The bytes of the package at `path`, anew each time: of the same file, whatever becomes of its name. What
/// cannot be read twice, as a pipe, is copied while it is read first.
///
/// # Errors
/// When it cannot be opened, or is a directory.
pub fn again(path: &Path) -> io::Result<Box<Again>> {
    let (first, kept) = image::Again::behind(path)?;
    let first: Mutex<Option<Box<dyn Read + Send>>> = Mutex::new(Some(first));
    Ok(Box::new(move || {
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map_or_else(|| kept.reader(), Ok)
    }))
}
