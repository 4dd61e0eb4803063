//! A path's way through a root: in comes a path, out where it really lies (`path_resolution(7)`).

use super::{End, FileKind, LINK_LIMIT, LookupError, Root};
use crate::image_path::{ImagePath, Shown};

/// One look-up on its way: which link it met first, and how many.
pub(super) struct Resolution<'r> {
    pub(super) root: &'r Root,
    pub(super) first_link: Option<(ImagePath, Vec<u8>)>,
    pub(super) links: usize,
}

impl Resolution<'_> {
    pub(super) fn resolve(
        &mut self,
        path: &ImagePath,
    ) -> Result<(ImagePath, FileKind), LookupError> {
        let Some(parent) = path.parent() else {
            return Ok((ImagePath::default(), FileKind::Directory));
        };
        let directory = self.directory(&parent)?;
        self.step(&directory, path.file_name())
    }

    /// Where the directory `path` really lies; remembered, for many paths share few directories.
    fn directory(&mut self, path: &ImagePath) -> Result<ImagePath, LookupError> {
        let mut unknown = Vec::new();
        let mut above = path.clone();
        let mut real = loop {
            if let Some((real, links)) = self.root.directories.borrow().known.get(&above) {
                self.links = *links;
                break real.clone();
            }
            let Some(parent) = above.parent() else {
                break above;
            };
            unknown.push(std::mem::replace(&mut above, parent));
        };
        for path in unknown.into_iter().rev() {
            let (next, kind) = self.step(&real, path.file_name())?;
            if kind != FileKind::Directory {
                return Err(LookupError::Missing);
            }
            // The links so far led somewhere: what is wrong further on is not their fault.
            self.first_link = None;
            let mut known = self.root.directories.borrow_mut();
            known.remember(path, next.clone(), self.links);
            real = next;
        }
        Ok(real)
    }

    /// One component further: `name` in a directory that is already resolved.
    fn step(
        &mut self,
        directory: &ImagePath,
        name: &[u8],
    ) -> Result<(ImagePath, FileKind), LookupError> {
        let path = directory.join(name)?;
        match self.root.files.kind(&path)? {
            None => Err(self.nothing_there()),
            Some(FileKind::Symlink(target)) => self.follow(directory, path, target),
            Some(kind) => Ok((path, kind)),
        }
    }

    /// What the link leads to; remembered, for many paths share few links.
    fn follow(
        &mut self,
        directory: &ImagePath,
        link: ImagePath,
        target: Vec<u8>,
    ) -> Result<(ImagePath, FileKind), LookupError> {
        self.first_link
            .get_or_insert_with(|| (link.clone(), target.clone()));
        let known = self.root.links.borrow().known.get(&link).cloned();
        if let Some((end, links)) = known {
            let reached = self.links + links;
            match end {
                _ if reached > LINK_LIMIT => {
                    self.links = reached;
                    return Err(self.too_many_links());
                }
                End::At(real, kind) => {
                    self.links = reached;
                    return Ok((real, kind));
                }
                End::Nowhere => {
                    self.links = reached;
                    return Err(self.nothing_there());
                }
                // From here there are more left.
                End::TooFar => {}
            }
        }
        let before = self.links;
        let led = self.follow_target(directory, &target);
        let end = match &led {
            Ok((real, kind)) => End::At(real.clone(), kind.clone()),
            Err(LookupError::Dangling { .. }) => End::Nowhere,
            Err(LookupError::Loop { .. }) => End::TooFar,
            Err(_) => return led,
        };
        let mut known = self.root.links.borrow_mut();
        known.remember(link, end, self.links - before);
        led
    }

    fn follow_target(
        &mut self,
        directory: &ImagePath,
        target: &[u8],
    ) -> Result<(ImagePath, FileKind), LookupError> {
        self.links += 1;
        if self.links > LINK_LIMIT {
            return Err(self.too_many_links());
        }
        let mut at = if target.starts_with(b"/") {
            ImagePath::default()
        } else {
            directory.clone()
        };
        let mut kind = FileKind::Directory;
        for component in target.split(|&b| b == b'/') {
            self.root.links.borrow_mut().walk(&at)?;
            match component {
                b"" | b"." => {}
                _ if kind != FileKind::Directory => return Err(self.nothing_there()),
                b".." => at = at.parent().unwrap_or_default(),
                name => (at, kind) = self.step(&at, name)?,
            }
        }
        Ok((at, kind))
    }

    fn nothing_there(&mut self) -> LookupError {
        match self.first_link.take() {
            None => LookupError::Missing,
            Some((link, target)) => LookupError::Dangling {
                link,
                target: Shown(&target).to_string(),
            },
        }
    }

    fn too_many_links(&mut self) -> LookupError {
        let (link, target) = self.first_link.take().unwrap_or_default();
        LookupError::Loop {
            link,
            target: Shown(&target).to_string(),
        }
    }
}
