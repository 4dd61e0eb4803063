//! What stands in the root file system when the whole image is unpacked: of several entries for one
//! path the last (the kernel's `buffer-format` document).

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::picture::{Content, Item, Picture};
use crate::archive::FileType;
use crate::image_path::ImagePath;
use crate::root::{FileKind, Files, LookupError, Names, OpenFile, Root};

/// The files of an image by their paths; links are followed inside it alone.
pub struct Tree {
    root: Root,
    files: Arc<ImageFiles>,
}

/// The entries that stand at a path in the end.
struct ImageFiles {
    picture: Arc<Picture>,
    /// For each path the number of its entry, sorted by path. A directory that has none of its own is
    /// none of them: a name of 4 KiB could make two thousand.
    numbers: Vec<usize>,
}

impl Tree {
    /// The tree that `picture` makes.
    #[must_use]
    pub fn new(picture: Arc<Picture>) -> Tree {
        let files = Arc::new(ImageFiles::new(picture));
        let root = Root::new(Box::new(Shared(Arc::clone(&files))));
        Tree { root, files }
    }

    /// The root, for look-ups that follow links.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The entry that `path` leads to, links followed.
    ///
    /// # Errors
    /// When nothing is there, or a link leads nowhere.
    pub fn find(&self, path: &ImagePath) -> Result<(ImagePath, &Item), LookupError> {
        let (real, _) = self.root.resolve(path)?;
        let item = self.at(&real).ok_or(LookupError::Missing)?;
        Ok((real, item))
    }

    /// Whether `path` leads to anything, links followed.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        ImagePath::new(path).is_ok_and(|path| self.root.resolve(&path).is_ok())
    }

    /// The entry that stands at `path` itself.
    #[must_use]
    pub fn at(&self, path: &ImagePath) -> Option<&Item> {
        self.files.item(path)
    }

    /// The number of the entry that stands at `path` itself.
    #[must_use]
    pub fn number(&self, path: &ImagePath) -> Option<usize> {
        self.files.number(path)
    }

    /// The path and the entry that stand at `path` itself.
    #[must_use]
    pub fn entry(&self, path: &ImagePath) -> Option<(&ImagePath, &Item)> {
        let item = self.files.item(path)?;
        Some((item.path.as_ref().ok()?, item))
    }

    /// The small text that `path` leads to, links followed.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&[u8]> {
        let path = ImagePath::new(path).ok()?;
        self.find(&path).ok()?.1.text()
    }

    /// Every path and the entry that stands there, sorted by path.
    pub fn items(&self) -> impl Iterator<Item = (&ImagePath, &Item)> {
        let items = self.files.numbers.iter();
        items.filter_map(|&number| {
            let item = self.files.picture.items.get(number)?;
            Some((item.path.as_ref().ok()?, item))
        })
    }
}

impl ImageFiles {
    fn new(picture: Arc<Picture>) -> ImageFiles {
        let path = |number: &usize| path_of(&picture, *number);
        let mut numbers: Vec<usize> = (0..picture.items.len()).collect();
        numbers.retain(|number| path(number).is_some());
        // The last of a path comes first, and is the one that stays.
        numbers.sort_unstable_by_key(|number| (path(number), Reverse(*number)));
        numbers.dedup_by_key(|number| path(number));
        numbers.shrink_to_fit();
        ImageFiles { picture, numbers }
    }

    /// Where in the list the first path stands that is not before `path`.
    fn place(&self, path: &[u8]) -> usize {
        self.numbers
            .partition_point(|&number| path_of(&self.picture, number) < Some(path))
    }

    fn number(&self, path: &ImagePath) -> Option<usize> {
        let number = *self.numbers.get(self.place(path.as_bytes()))?;
        let is_there = path_of(&self.picture, number) == Some(path.as_bytes());
        is_there.then_some(number)
    }

    fn item(&self, path: &ImagePath) -> Option<&Item> {
        self.picture.items.get(self.number(path)?)
    }

    /// Whether `path` is a directory that has no entry of its own.
    fn is_implied(&self, path: &ImagePath) -> bool {
        path.is_root() || self.inside(path).next().is_some()
    }

    /// All that lies in a directory and below it, each by its path from there.
    fn inside(&self, directory: &ImagePath) -> impl Iterator<Item = &[u8]> {
        let mut start = directory.as_bytes().to_vec();
        if !directory.is_root() {
            start.push(b'/');
        }
        let behind = self.numbers.get(self.place(&start)..).unwrap_or_default();
        let paths = behind.iter().map(|&number| path_of(&self.picture, number));
        let inside = paths.map_while(move |path| path?.strip_prefix(&*start));
        // The root may have an entry, which does not lie in it.
        inside.filter(|path| !path.is_empty())
    }
}

fn path_of(picture: &Picture, number: usize) -> Option<&[u8]> {
    let path = picture.items.get(number)?.path.as_ref();
    path.ok().map(ImagePath::as_bytes)
}

/// The files, as a [`Root`] asks for them.
struct Shared(Arc<ImageFiles>);

impl Files for Shared {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        let implied = || self.0.is_implied(path).then_some(FileKind::Directory);
        Ok(self.0.item(path).map(kind).or_else(implied))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        let text = self.0.item(path).and_then(Item::text);
        let text = text.ok_or_else(|| io::Error::other("its data was not kept"))?;
        Ok(Box::new(text))
    }

    fn list(&self, directory: &ImagePath) -> io::Result<Names> {
        let inside = self.0.inside(directory);
        let children = inside.map(|path| path.split(|&byte| byte == b'/').next().unwrap_or(path));
        let mut names = Names::new();
        // The order of paths is not that of their first names: `a-b` stands between `a` and `a/b`.
        for name in BTreeSet::from_iter(children) {
            let path = directory.join(name).map_err(io::Error::other)?;
            let kind = self.kind(&path)?.unwrap_or(FileKind::Special);
            names.push((name.to_vec(), kind));
        }
        Ok(names)
    }

    fn shown(&self, path: &ImagePath) -> String {
        path.to_string()
    }
}

fn kind(item: &Item) -> FileKind {
    match (item.file_type(), &item.content) {
        (FileType::Regular, _) => FileKind::Regular,
        (FileType::Directory, _) => FileKind::Directory,
        (FileType::Symlink, Content::Link(target)) => FileKind::Symlink(target.clone()),
        _ => FileKind::Special,
    }
}
