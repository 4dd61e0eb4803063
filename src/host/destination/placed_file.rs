//! A file on its way: made, and written to as its content comes.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use super::calls;
use super::{Meta, PlaceError, PlaceFault, Wishes};
use crate::image_path::ImagePath;

/// A file that [`super::Destination::file`] began. It is not buffered, and nobody else may read it
/// before [`PlacedFile::finish`]; one that is dropped before stays as far as it was written.
pub struct PlacedFile {
    file: File,
    path: ImagePath,
    /// Its other names, made already.
    others: Vec<ImagePath>,
    meta: Meta,
    wishes: Wishes,
}

impl PlacedFile {
    pub(super) fn new(file: OwnedFd, path: ImagePath, meta: Meta, wishes: Wishes) -> Self {
        PlacedFile {
            file: file.into(),
            path,
            others: Vec::new(),
            meta,
            wishes,
        }
    }

    /// The same file, which has other names already.
    pub(super) fn named(self, others: Vec<ImagePath>) -> Self {
        PlacedFile { others, ..self }
    }

    /// Appends a piece of content.
    ///
    /// # Errors
    /// When it cannot be written whole.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), PlaceError> {
        let written = self.file.write_all(piece);
        written.map_err(|source| PlaceError {
            path: self.path.clone(),
            fault: PlaceFault::System {
                doing: "write it",
                source,
            },
        })
    }

    /// Gives the file its owner, mode and time. Nothing is forced onto the medium.
    ///
    /// # Errors
    /// When one of them cannot be set.
    pub fn finish(self) -> Result<(), PlaceError> {
        calls::settle(&self.file, self.meta, self.wishes).map_err(PlaceFault::of(&self.path))
    }

    pub(super) fn into_paths(self) -> impl Iterator<Item = ImagePath> {
        std::iter::once(self.path).chain(self.others)
    }
}

impl Write for PlacedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
