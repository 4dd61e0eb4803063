//! What stands in the root file system when the whole image is unpacked: of several entries for one
//! path the last (the kernel's `buffer-format` document).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use super::picture::{Content, Item, Picture};
use super::places::{Met, Places};
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
    /// For each path the number of its entry; `None` for a directory that has none of its own.
    at: BTreeMap<ImagePath, Option<usize>>,
    /// For each file of several names the number of the entry that has its data.
    linked: HashMap<Inode, usize>,
}

/// What entries for one file have in common: the segment, the inode, the device.
type Inode = (usize, u32, (u32, u32));

impl Tree {
    /// The tree that `picture` makes.
    #[must_use]
    pub fn new(picture: Arc<Picture>) -> Tree {
        let files = Arc::new(ImageFiles {
            at: standing(&picture),
            linked: linked(&picture),
            picture,
        });
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
        *self.files.at.get(path)?
    }

    /// The number of the entry that has the data of entry `number`: of several names of one file any
    /// one may (`buffer-format`).
    #[must_use]
    pub fn data_number(&self, number: usize) -> usize {
        self.files.data_number(number)
    }

    /// The path and the entry that stand at `path` itself.
    #[must_use]
    pub fn entry(&self, path: &ImagePath) -> Option<(&ImagePath, &Item)> {
        let (path, _) = self.files.at.get_key_value(path)?;
        Some((path, self.files.item(path)?))
    }

    /// What is in `item`, an entry of this image: of a file with several names the data stands with
    /// any one of them (`buffer-format`).
    #[must_use]
    pub fn content<'t>(&'t self, item: &'t Item) -> &'t Content {
        self.files.content(item)
    }

    /// The small text that `path` leads to, links followed.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&[u8]> {
        let path = ImagePath::new(path).ok()?;
        match self.content(self.find(&path).ok()?.1) {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Every path and the entry that stands there, sorted by path.
    pub fn items(&self) -> impl Iterator<Item = (&ImagePath, &Item)> {
        let items = self.files.at.iter();
        items.filter_map(|(path, number)| Some((path, self.files.picture.items.get((*number)?)?)))
    }
}

/// For each file of several names the number of the last entry that has its data.
fn linked(picture: &Picture) -> HashMap<Inode, usize> {
    let items = picture.items.iter().enumerate();
    let with_data = items.filter(|(_, item)| item.entry.header.size > 0);
    with_data
        .filter_map(|(number, item)| Some((inode(item)?, number)))
        .collect()
}

/// For each path the entry that stands there in the end. Where the kernel makes nothing of an entry
/// for want of a directory, it stands where it was meant to, and the directory too: the want is told
/// once, and everything else is judged as it was meant.
fn standing(picture: &Picture) -> BTreeMap<ImagePath, Option<usize>> {
    let mut at = BTreeMap::from([(ImagePath::default(), None)]);
    let mut places = Places::of_kernel();
    for (number, item) in picture.items.iter().enumerate() {
        let Ok(path) = &item.path else { continue };
        let (path, met) = places.put(path, item);
        match met {
            Met::Full => continue,
            Met::Same(Some(before)) if is_special(before) => continue,
            _ => {}
        }
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| !at.contains_key(directory)) {
            above = directory.parent();
            at.insert(directory, None);
        }
        at.insert(path.into_owned(), Some(number));
    }
    at
}

/// Whether it is of the types of which the earlier stays where there are two.
fn is_special(item: &Item) -> bool {
    !matches!(
        item.file_type(),
        FileType::Regular | FileType::Directory | FileType::Symlink
    )
}

impl ImageFiles {
    fn item(&self, path: &ImagePath) -> Option<&Item> {
        self.picture.items.get((*self.at.get(path)?)?)
    }

    fn content<'t>(&'t self, item: &'t Item) -> &'t Content {
        let number = self.holder(item);
        let other = number.and_then(|number| self.picture.items.get(number));
        &other.unwrap_or(item).content
    }

    fn data_number(&self, number: usize) -> usize {
        let item = self.picture.items.get(number);
        item.and_then(|item| self.holder(item)).unwrap_or(number)
    }

    /// The number of another entry that has the data of `item`.
    fn holder(&self, item: &Item) -> Option<usize> {
        let inode = inode(item).filter(|_| item.entry.header.size == 0)?;
        self.linked.get(&inode).copied()
    }
}

/// Which file an entry is one name of, if it has several.
fn inode(item: &Item) -> Option<Inode> {
    let header = &item.entry.header;
    let has_others = item.file_type() == FileType::Regular && header.nlink > 1;
    has_others.then_some((item.entry.segment, header.ino, header.dev))
}

/// The files, as a [`Root`] asks for them.
struct Shared(Arc<ImageFiles>);

impl Files for Shared {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        let Some(number) = self.0.at.get(path) else {
            return Ok(None);
        };
        let item = number.and_then(|number| self.0.picture.items.get(number));
        Ok(Some(item.map_or(FileKind::Directory, kind)))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        match self.0.item(path).map(|item| self.0.content(item)) {
            Some(Content::Text(text)) => Ok(Box::new(text.as_slice())),
            _ => Err(io::Error::other("its data was not kept")),
        }
    }

    fn list(&self, directory: &ImagePath) -> io::Result<Names> {
        let below = self.0.at.range(directory.clone()..).skip(1);
        let inside = below.take_while(|(path, _)| lies_in(path, directory));
        let children = inside.filter(|(path, _)| path.parent().as_ref() == Some(directory));
        let mut names = Names::new();
        for (path, _) in children {
            let kind = self.kind(path)?.unwrap_or(FileKind::Special);
            names.push((path.file_name().to_vec(), kind));
        }
        Ok(names)
    }

    fn shown(&self, path: &ImagePath) -> String {
        path.to_string()
    }
}

/// Whether `path` can stand behind `directory` in order of bytes with others inside it yet to come:
/// `a-b` stands between `a` and `a/b`.
fn lies_in(path: &ImagePath, directory: &ImagePath) -> bool {
    path.as_bytes().starts_with(directory.as_bytes())
}

fn kind(item: &Item) -> FileKind {
    match (item.file_type(), &item.content) {
        (FileType::Regular, _) => FileKind::Regular,
        (FileType::Directory, _) => FileKind::Directory,
        (FileType::Symlink, Content::Link(target)) => FileKind::Symlink(target.clone()),
        _ => FileKind::Special,
    }
}
