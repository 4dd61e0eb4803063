//! The directories that entries go to, held open: few at a time, those used last.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::ledger::{PlaceId, Step};

/// How many directories are held open besides the top: a module's is six or seven deep.
const LIMIT: usize = 12;

/// The top directory, and some below it.
pub(super) struct OpenDirectories {
    top: Arc<OwnedFd>,
    /// The one used last stands at the back.
    recent: VecDeque<(PlaceId, Arc<OwnedFd>)>,
}

impl OpenDirectories {
    pub(super) fn new(top: OwnedFd) -> Self {
        OpenDirectories {
            top: Arc::new(top),
            recent: VecDeque::with_capacity(LIMIT),
        }
    }

    /// The directory that `way` leads to. `open` is asked for each component that is not held open,
    /// with the directory above it, the component, and how many of `way` stand before it.
    pub(super) fn enter<E>(
        &mut self,
        way: &[Step<'_>],
        open: impl Fn(&OwnedFd, &Step<'_>, usize) -> Result<OwnedFd, E>,
    ) -> Result<Arc<OwnedFd>, E> {
        let mut ways = way.iter().enumerate().rev();
        let nearest = ways.find_map(|(at, step)| Some((at + 1, self.held(step.id)?)));
        let (from, mut directory) = nearest.unwrap_or_else(|| (0, Arc::clone(&self.top)));
        for (at, step) in way.iter().enumerate().skip(from) {
            directory = Arc::new(open(&directory, step, at)?);
            self.hold(step.id, &directory);
        }
        Ok(directory)
    }

    fn held(&mut self, id: PlaceId) -> Option<Arc<OwnedFd>> {
        let at = self.recent.iter().position(|(held, _)| *held == id)?;
        let found = self.recent.remove(at)?;
        let directory = Arc::clone(&found.1);
        self.recent.push_back(found);
        Some(directory)
    }

    fn hold(&mut self, id: PlaceId, directory: &Arc<OwnedFd>) {
        if self.recent.len() == LIMIT {
            self.recent.pop_front();
        }
        self.recent.push_back((id, Arc::clone(directory)));
    }
}
