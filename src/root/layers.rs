//! Several stores of files as one: directories and packages that lie on each other, the later on top.
//!
//! Directories of the same path are one directory. Of whatever else lies at a path the uppermost is there,
//! and hides what is below. One thing is told apart from this: where one layer has a directory, and another a
//! link to a directory, at one of the names that distributions have moved into `usr` (`lib`, `bin` ...), the
//! link stays, as it would had the one been unpacked over the other, and what the directory holds lies where
//! the link leads to.

use std::io;
use std::num::NonZeroUsize;

use super::{FileKind, Files, Names, OpenFile, Visit};
use crate::image_path::ImagePath;

/// The names at the top that are links into `usr` in some distributions and directories in others.
const MOVED: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"];

/// Stores of files, one on the other.
pub struct Layers {
    /// The uppermost first.
    layers: Vec<Layer>,
}

/// One store, and which of its directories lie elsewhere.
struct Layer {
    files: Box<dyn Files>,
    /// What a directory's path begins with in all the layers, and in this one.
    moved: Vec<(ImagePath, ImagePath)>,
}

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
        Ok(Layers { layers })
    }

    /// Where the uppermost of what lies at `path` lies: the layer, and the path there.
    fn find(&self, path: &ImagePath) -> io::Result<Option<(&Layer, ImagePath, FileKind)>> {
        for (layer, own) in self.layers_of(path) {
            if let Some(kind) = layer.files.kind(&own)? {
                return Ok(Some((layer, own, kind)));
            }
        }
        Ok(None)
    }

    /// The layers, the uppermost first, each with the paths that `path` may have in it.
    fn layers_of(&self, path: &ImagePath) -> impl Iterator<Item = (&Layer, ImagePath)> {
        let own = |layer: &Layer| layer.own_paths(path);
        let paired = self.layers.iter().map(|layer| (layer, own(layer)));
        let paired: Vec<_> = paired.collect();
        paired
            .into_iter()
            .flat_map(|(layer, own)| own.into_iter().map(move |path| (layer, path)))
    }

    /// Has the links among names at the top be links, whatever the uppermost layer has there.
    fn rename_moved(&self, names: &mut Names) -> io::Result<()> {
        for (name, kind) in names {
            let path = ImagePath::new(name).map_err(io::Error::other)?;
            *kind = self.kind(&path)?.unwrap_or(FileKind::Special);
        }
        Ok(())
    }

    fn found(&self, path: &ImagePath) -> io::Result<(&Layer, ImagePath)> {
        let found = self.find(path)?.ok_or(io::ErrorKind::NotFound)?;
        Ok((found.0, found.1))
    }
}

impl Layer {
    /// The paths in this layer of what lies at `path` in all of them.
    fn own_paths(&self, path: &ImagePath) -> Vec<ImagePath> {
        let is_link = self.moved.iter().any(|(_, directory)| directory == path);
        let itself = (!is_link).then(|| path.clone());
        let elsewhere = self.moved.iter().filter_map(|(all, own)| {
            let rest = path.as_bytes().strip_prefix(all.as_bytes())?;
            let is_below = rest.is_empty() || rest.starts_with(b"/");
            is_below.then(|| ImagePath::new([own.as_bytes(), rest].concat()).ok())?
        });
        itself.into_iter().chain(elsewhere).collect()
    }
}

impl Files for Layers {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        Ok(self.find(path)?.map(|(_, _, kind)| kind))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        let (layer, own) = self.found(path)?;
        layer.files.open(&own)
    }

    fn visit(&self, paths: &[ImagePath], threads: NonZeroUsize, visit: &Visit<'_>) {
        let mut shares: Vec<(Vec<usize>, Vec<ImagePath>)> = Vec::new();
        shares.resize_with(self.layers.len(), Default::default);
        for (index, path) in paths.iter().enumerate() {
            match self.found(path) {
                Err(error) => visit(index, Err(error)),
                Ok((found, own)) => {
                    let layers = self.layers.iter().zip(&mut shares);
                    for (_, share) in layers.filter(|(layer, _)| std::ptr::eq(*layer, found)) {
                        share.0.push(index);
                        share.1.push(own.clone());
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
        let mut names = Names::new();
        let mut is_there = false;
        for (layer, own) in self.layers_of(directory) {
            match layer.files.kind(&own)? {
                Some(FileKind::Directory) => {
                    is_there = true;
                    names.extend(layer.files.list(&own)?);
                }
                // It hides what is below.
                Some(_) => break,
                None => {}
            }
        }
        // A stable sort: of what has the same name the uppermost stays in front.
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names.dedup_by(|lower, upper| lower.0 == upper.0);
        if directory.is_root() {
            self.rename_moved(&mut names)?;
        }
        match is_there {
            true => Ok(names),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn shown(&self, path: &ImagePath) -> String {
        match (self.found(path), self.layers.first()) {
            (Ok((layer, own)), _) => layer.files.shown(&own),
            (Err(_), Some(top)) => top.files.shown(path),
            (Err(_), None) => path.to_string(),
        }
    }
}
