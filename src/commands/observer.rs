//! What is read of the host while an image is made, for whoever asked that it be written down.

use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::image_path::ImagePath;
use crate::record::lock::Role;
use crate::record::observed::{Content, Journal, Observed};
use crate::root::Files;

/// Something that an option names, and what was read of it.
pub(super) struct Source {
    /// The layer that it is; nothing for what is known otherwise, as a manifest.
    pub(super) role: Option<Role>,
    /// Its path, as it was typed.
    pub(super) top: PathBuf,
    pub(super) journal: Arc<Journal>,
}

impl Source {
    /// How the host names what lies at `path` in it; the source itself, where that is a file.
    pub(super) fn host_path(&self, path: &[u8]) -> PathBuf {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        // A path that ends with a slash is another one to make.
        self.top.join(path).components().collect()
    }
}

/// Whoever writes down what is read; or nobody does, and it costs nothing.
pub(super) struct Observer {
    sources: Option<RefCell<Vec<Source>>>,
    digests: bool,
}

impl Observer {
    /// Nobody asks.
    pub(super) fn idle() -> Observer {
        Observer {
            sources: None,
            digests: false,
        }
    }

    /// What is read is written down, and digested too where somebody asks.
    pub(super) fn watching(digests: bool) -> Observer {
        Observer {
            sources: Some(RefCell::default()),
            digests,
        }
    }

    /// A source that is being read from now on.
    pub(super) fn begin(&self, role: Option<Role>, top: &Path) -> Option<Arc<Journal>> {
        let journal = Arc::new(Journal::new(self.digests));
        let source = Source {
            role,
            top: top.to_owned(),
            journal: Arc::clone(&journal),
        };
        self.sources.as_ref()?.borrow_mut().push(source);
        Some(journal)
    }

    /// The files of a directory, observed.
    pub(super) fn directory(
        &self,
        role: Role,
        top: &Path,
        files: impl Files + 'static,
    ) -> Box<dyn Files> {
        match self.begin(Some(role), top) {
            Some(journal) => Box::new(Observed::new(Box::new(files), journal)),
            None => Box::new(files),
        }
    }

    /// A package, which is one file.
    pub(super) fn package(&self, path: &Path) {
        let journal = self.begin(Some(Role::Package), path);
        // What is read is the whole of it, and digested by whoever reads it.
        let content = Content {
            size: 0,
            sha256: None,
        };
        if let Some(journal) = journal {
            journal.file(ImagePath::default(), content);
        }
    }

    /// A text that is a source by itself.
    pub(super) fn text(&self, role: Option<Role>, path: &Path, text: &[u8]) {
        if let Some(journal) = self.begin(role, path) {
            journal.file(ImagePath::default(), Content::of(text));
        }
    }

    /// All sources, in the order in which they were begun.
    pub(super) fn into_sources(self) -> Vec<Source> {
        self.sources.map(RefCell::into_inner).unwrap_or_default()
    }
}
