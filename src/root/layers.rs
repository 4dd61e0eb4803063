//! Several stores of files as one: directories and packages that lie on each other, the later on top.
//!
//! Directories of the same path are one directory. Of whatever else lies at a path the uppermost is there,
//! and hides what is below. One thing is told apart from this: where one layer has a directory, and another a
//! link to a directory, at one of the names that distributions have moved into `usr` (`lib`, `bin` ...), the
//! link stays, as it would had the one been unpacked over the other, and what the directory holds lies where
//! the link leads to.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use super::{FileKind, Files, Names, OpenFile, Visit};
use crate::image_path::ImagePath;

/// The names at the top that are links into `usr` in some distributions and directories in others.
const MOVED: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"];

/// Stores of files, one on the other.
pub struct Layers {
    /// The uppermost first.
    layers: Vec<Layer>,
    /// What the directories that were asked for are made of.
    directories: Mutex<HashMap<ImagePath, Places>>,
}

/// One store, and which of its directories lie elsewhere.
struct Layer {
    files: Box<dyn Files>,
    /// Where a directory lies in all the layers, and its path in this one.
    moved: Vec<(ImagePath, ImagePath)>,
}

/// Places in layers, each a layer's number and a path there: the uppermost first.
type Places = Arc<[(usize, ImagePath)]>;

impl Layers {
    /// Lays `stores` on each other, the last on top.
    ///
    /// # Errors
    /// When one cannot be asked what lies at its top.
    pub fn new(stores: Vec<Box<dyn Files>>) -> io::Result<Layers> {
        let layer = |files| Layer {
            files,
            moved: Vec::new(),
        };
        let mut layers: Vec<Layer> = stores.into_iter().rev().map(layer).collect();
        for name in MOVED {
            let path = ImagePath::new(name).map_err(io::Error::other)?;
            let kinds = layers.iter().map(|layer| layer.files.kind(&path));
            let kinds = kinds.collect::<io::Result<Vec<_>>>()?;
            let target = kinds.iter().find_map(|kind| match kind {
                Some(FileKind::Symlink(target)) => ImagePath::new(target).ok(),
                _ => None,
            });
            let Some(target) = target else { continue };
            for (layer, kind) in layers.iter_mut().zip(kinds) {
                if kind == Some(FileKind::Directory) {
                    layer.moved.push((target.clone(), path.clone()));
                }
            }
        }
        Ok(Layers {
            layers,
            directories: Mutex::default(),
        })
    }

    /// The directories that are the one at `path`; none where that is no directory.
    fn directory(&self, path: &ImagePath) -> io::Result<Places> {
        let directories = || {
            let directories = self.directories.lock();
            directories.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(places) = directories().get(path) {
            return Ok(Arc::clone(places));
        }
        let places = match path.parent() {
            Some(parent) => self.directories_of(path, &parent)?,
            None => {
                let tops = (0..self.layers.len()).map(|layer| (layer, ImagePath::default()));
                tops.collect()
            }
        };
        directories().insert(path.clone(), Arc::clone(&places));
        Ok(places)
    }

    fn directories_of(&self, path: &ImagePath, parent: &ImagePath) -> io::Result<Places> {
        let mut places = Vec::new();
        for (layer, own) in self.candidates(path, parent)? {
            match self.kind_in(layer, &own)? {
                Some(FileKind::Directory) => places.push((layer, own)),
                // It hides what is below.
                Some(_) => break,
                None => {}
            }
        }
        Ok(places.into())
    }

    /// Where in the layers something may lie that is at `path` in all of them, below `parent`. What is below
    /// anything but a directory is none of it: a layer would follow a link that another layer hides, and the host
    /// would follow it out of the root.
    fn candidates(
        &self,
        path: &ImagePath,
        parent: &ImagePath,
    ) -> io::Result<Vec<(usize, ImagePath)>> {
        let parents = self.directory(parent)?;
        let mut candidates = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            for (_, directory) in parents.iter().filter(|(of, _)| *of == number) {
                let own = directory.join(path.file_name()).map_err(io::Error::other)?;
                if !layer.moved.iter().any(|(_, moved)| *moved == own) {
                    candidates.push((number, own));
                }
            }
            let moved = layer.moved.iter().filter(|(to, _)| to == path);
            candidates.extend(moved.map(|(_, own)| (number, own.clone())));
        }
        Ok(candidates)
    }

    fn kind_in(&self, layer: usize, own: &ImagePath) -> io::Result<Option<FileKind>> {
        let layer = self.layers.get(layer);
        layer.map_or(Ok(None), |layer| layer.files.kind(own))
    }

    /// Where the uppermost of what lies at `path` lies: the layer's number, the path there, and what it is.
    fn find(&self, path: &ImagePath) -> io::Result<Option<(usize, ImagePath, FileKind)>> {
        let Some(parent) = path.parent() else {
            return Ok(Some((0, ImagePath::default(), FileKind::Directory)));
        };
        for (layer, own) in self.candidates(path, &parent)? {
            if let Some(kind) = self.kind_in(layer, &own)? {
                return Ok(Some((layer, own, kind)));
            }
        }
        Ok(None)
    }

    /// The layer that has the uppermost of what lies at `path`, its number, and the path there.
    fn found(&self, path: &ImagePath) -> io::Result<(usize, &Layer, ImagePath)> {
        let (number, own, _) = self.find(path)?.ok_or(io::ErrorKind::NotFound)?;
        let layer = self.layers.get(number).ok_or(io::ErrorKind::NotFound)?;
        Ok((number, layer, own))
    }

    /// Has the links among names at the top be links, whatever the uppermost layer has there.
    fn rename_moved(&self, names: &mut Names) -> io::Result<()> {
        for (name, kind) in names {
            let path = ImagePath::new(name).map_err(io::Error::other)?;
            *kind = self.kind(&path)?.unwrap_or(FileKind::Special);
        }
        Ok(())
    }
}

impl Files for Layers {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        Ok(self.find(path)?.map(|(_, _, kind)| kind))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        let (_, layer, own) = self.found(path)?;
        layer.files.open(&own)
    }

    fn visit(&self, paths: &[ImagePath], threads: NonZeroUsize, visit: &Visit<'_>) {
        let mut shares: Vec<(Vec<usize>, Vec<ImagePath>)> = Vec::new();
        shares.resize_with(self.layers.len(), Default::default);
        for (index, path) in paths.iter().enumerate() {
            match self.found(path) {
                Err(error) => visit(index, Err(error)),
                Ok((number, _, own)) => {
                    if let Some((indices, paths)) = shares.get_mut(number) {
                        indices.push(index);
                        paths.push(own);
                    }
                }
            }
        }
        for (layer, (indices, own)) in self.layers.iter().zip(shares) {
            layer.files.visit(&own, threads, &|at, file| {
                if let Some(&index) = indices.get(at) {
                    visit(index, file);
                }
            });
        }
    }

    fn list(&self, directory: &ImagePath) -> io::Result<Names> {
        let places = self.directory(directory)?;
        if places.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut names = Names::new();
        for (layer, own) in places.iter() {
            if let Some(layer) = self.layers.get(*layer) {
                names.extend(layer.files.list(own)?);
            }
        }
        // A stable sort: of what has the same name the uppermost stays in front.
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names.dedup_by(|lower, upper| lower.0 == upper.0);
        if directory.is_root() {
            self.rename_moved(&mut names)?;
        }
        Ok(names)
    }

    fn shown(&self, path: &ImagePath) -> String {
        match (self.found(path), self.layers.first()) {
            (Ok((_, layer, own)), _) => layer.files.shown(&own),
            (Err(_), Some(top)) => top.files.shown(path),
            (Err(_), None) => path.to_string(),
        }
    }
}
