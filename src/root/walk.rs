//! Every file of a name under a directory, links followed, each directory entered once.

use std::collections::{HashSet, VecDeque};

use super::{FileKind, LookupError, Root};
use crate::image_path::ImagePath;

/// The most bytes of paths that a walk keeps: those of the modules of a real kernel have half of one MiB.
const KEPT: usize = 16 << 20;
/// The deepest directory a walk enters: no real tree comes near, and a bind mount of a directory
/// into itself must end.
const DEPTH_LIMIT: usize = 32;

impl Root {
    /// Every file under the directory `top` whose name `wanted` accepts. Links to directories are
    /// entered like directories; what is called one of `skipped` is passed over, with all under it.
    /// A directory that several paths lead to is entered once, by its own path where it has one
    /// under `top`: so links that lead round in a circle end.
    ///
    /// # Errors
    /// As [`Root::list`], for any directory on the way; and when there is more than in any real one.
    pub fn walk(
        &self,
        top: &ImagePath,
        wanted: &dyn Fn(&[u8]) -> bool,
        skipped: &[&[u8]],
    ) -> Result<Walked, LookupError> {
        let (real, _) = self.resolve(top)?;
        let mut walk = Walk {
            root: self,
            wanted,
            skipped,
            entered: HashSet::new(),
            linked: VecDeque::from([(top.clone(), real, 0)]),
            kept: 0,
            met: Walked::default(),
        };
        while let Some((path, real, depth)) = walk.linked.pop_front() {
            walk.enter(&path, real, depth)?;
        }
        walk.met.files.sort_unstable();
        walk.met.unusable.sort_unstable();
        Ok(walk.met)
    }
}

/// What a walk met under the names that were wanted, both sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walked {
    /// Regular files, and links to such.
    pub files: Vec<ImagePath>,
    /// Links that lead nowhere, and what is neither file nor directory.
    pub unusable: Vec<ImagePath>,
}

/// A walk on its way.
struct Walk<'w> {
    root: &'w Root,
    wanted: &'w dyn Fn(&[u8]) -> bool,
    skipped: &'w [&'w [u8]],
    /// Directories, where they really lie.
    entered: HashSet<ImagePath>,
    /// Directories that links led to, where they really lie, and how deep the links do: they wait
    /// until all that can be had without them is.
    linked: VecDeque<(ImagePath, ImagePath, usize)>,
    /// The bytes of all these paths, and of those that were met.
    kept: usize,
    met: Walked,
}

impl Walk<'_> {
    fn enter(
        &mut self,
        directory: &ImagePath,
        real: ImagePath,
        depth: usize,
    ) -> Result<(), LookupError> {
        if depth > DEPTH_LIMIT || !self.entered.insert(real.clone()) {
            return Ok(());
        }
        self.count(&real)?;
        for (name, kind) in self.root.at(directory, self.root.list(&real))?.1 {
            if !self.skipped.contains(&name.as_slice()) {
                let path = directory.join(&name)?;
                match kind {
                    FileKind::Directory => self.enter(&path, real.join(&name)?, depth + 1)?,
                    FileKind::Symlink(_) => self.follow(path, depth + 1)?,
                    kind => self.keep(path, kind == FileKind::Regular)?,
                }
            }
        }
        Ok(())
    }

    fn follow(&mut self, link: ImagePath, depth: usize) -> Result<(), LookupError> {
        match self.root.resolve(&link) {
            Ok((real, FileKind::Directory)) => {
                self.count(&link)?;
                self.count(&real)?;
                self.linked.push_back((link, real, depth));
                Ok(())
            }
            // What is under it nobody would miss, were it a directory.
            Err(error) if error.is_io() && !(self.wanted)(link.file_name()) => {
                self.root.at(&link, Err(error))
            }
            led => self.keep(link, matches!(led, Ok((_, FileKind::Regular)))),
        }
    }

    fn count(&mut self, path: &ImagePath) -> Result<(), LookupError> {
        self.kept += path.as_bytes().len();
        let (what, limit) = ("bytes of paths", KEPT);
        match self.kept > limit {
            true => self
                .root
                .at(path, Err(LookupError::TooMany { what, limit })),
            false => Ok(()),
        }
    }

    fn keep(&mut self, path: ImagePath, is_file: bool) -> Result<(), LookupError> {
        if (self.wanted)(path.file_name()) {
            self.count(&path)?;
            let met = &mut self.met;
            let kept = if is_file {
                &mut met.files
            } else {
                &mut met.unusable
            };
            kept.push(path);
        }
        Ok(())
    }
}
