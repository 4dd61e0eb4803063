//! What stands in the root file system when the whole image is unpacked: of several entries for one
//! path the last (the kernel's `buffer-format` document).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
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
    /// For each path the number of its entry, sorted by path. A directory that has none of its own is
    /// none of them: a name of 4 KiB could make two thousand.
    numbers: Vec<usize>,
    /// Where those really stand that links in their names lead elsewhere.
    moved: HashMap<usize, ImagePath>,
    /// For each file of several names the number of the entry that has its data.
    linked: HashMap<Inode, usize>,
}

/// What entries for one file have in common: the segment, the inode, the device.
type Inode = (usize, u32, (u32, u32));

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

    /// The number of the entry that has the data of entry `number`: of several names of one file any
    /// one may (`buffer-format`).
    #[must_use]
    pub fn data_number(&self, number: usize) -> usize {
        self.files.data_number(number)
    }

    /// The path and the entry that stand at `path` itself.
    #[must_use]
    pub fn entry(&self, path: &ImagePath) -> Option<(&ImagePath, &Item)> {
        self.files.standing(self.files.number(path)?)
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
        let numbers = self.files.numbers.iter();
        numbers.filter_map(|&number| self.files.standing(number))
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

/// The numbers of the entries of which something is there in the end, but for those of whose path a
/// later one is; and where they stand that their names do not say. Where the kernel makes nothing of an
/// entry for want of a directory, it stands where it was meant to, and the directory too: the want is
/// told once, and everything else is judged as it was meant.
fn made(picture: &Picture) -> (Vec<usize>, HashMap<usize, ImagePath>) {
    let (mut numbers, mut moved) = (Vec::new(), HashMap::new());
    let mut places = Places::of_kernel();
    for (number, item) in picture.items.iter().enumerate() {
        let Ok(path) = &item.path else { continue };
        let (real, met) = places.put(path, item);
        match met {
            Met::Full => continue,
            Met::Same(Some(before)) if is_special(before) => continue,
            _ => {}
        }
        if *real != *path {
            moved.insert(number, real.into_owned());
        }
        numbers.push(number);
    }
    (numbers, moved)
}

/// Whether it is of the types of which the earlier stays where there are two.
fn is_special(item: &Item) -> bool {
    !matches!(
        item.file_type(),
        FileType::Regular | FileType::Directory | FileType::Symlink
    )
}

impl ImageFiles {
    fn new(picture: Arc<Picture>) -> ImageFiles {
        let linked = linked(&picture);
        let (numbers, moved) = made(&picture);
        let mut files = ImageFiles {
            picture,
            numbers: Vec::new(),
            moved,
            linked,
        };
        files.numbers = files.last_of_each_path(numbers);
        files
    }

    fn last_of_each_path(&self, mut numbers: Vec<usize>) -> Vec<usize> {
        numbers.sort_unstable_by_key(|number| (self.path_of(*number), Reverse(*number)));
        numbers.dedup_by_key(|number| self.path_of(*number));
        numbers.shrink_to_fit();
        numbers
    }

    /// Where entry `number` stands, or would.
    fn path_of(&self, number: usize) -> Option<&ImagePath> {
        let named = || self.picture.items.get(number)?.path.as_ref().ok();
        self.moved.get(&number).or_else(named)
    }

    fn bytes_of(&self, number: usize) -> Option<&[u8]> {
        self.path_of(number).map(ImagePath::as_bytes)
    }

    fn standing(&self, number: usize) -> Option<(&ImagePath, &Item)> {
        Some((self.path_of(number)?, self.picture.items.get(number)?))
    }

    /// Where in the list the first path stands that is not before `path`.
    fn place(&self, path: &[u8]) -> usize {
        self.numbers
            .partition_point(|&number| self.bytes_of(number) < Some(path))
    }

    fn number(&self, path: &ImagePath) -> Option<usize> {
        let number = *self.numbers.get(self.place(path.as_bytes()))?;
        (self.path_of(number) == Some(path)).then_some(number)
    }

    fn item(&self, path: &ImagePath) -> Option<&Item> {
        self.picture.items.get(self.number(path)?)
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
        let paths = behind.iter().map(|&number| self.bytes_of(number));
        let inside = paths.map_while(move |path| path?.strip_prefix(&*start));
        // The root may have an entry, which does not lie in it.
        inside.filter(|path| !path.is_empty())
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
        let implied = || self.0.is_implied(path).then_some(FileKind::Directory);
        Ok(self.0.item(path).map(kind).or_else(implied))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        match self.0.item(path).map(|item| self.0.content(item)) {
            Some(Content::Text(text)) => Ok(Box::new(text.as_slice())),
            _ => Err(io::Error::other("its data was not kept")),
        }
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
