//! What stands where while an image is unpacked, entry by entry: as much of the kernel's unpacker as
//! telling where a name leads, and why it leads nowhere, takes (`init/initramfs.c`, `do_name` and
//! `clean_path`).

use std::borrow::Cow;
use std::collections::HashMap;

use super::picture::{Content, Item};
use crate::archive::FileType;
use crate::image_path::ImagePath;

/// The most links that a look-up follows (the kernel's `MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;
/// The most that it may cost to look components up one by one, in bytes of the paths that they make: links
/// could make of each entry tens of thousands of 4 KiB, where real ones make a few of a hundred.
const WALKED_LIMIT: usize = 512 << 20;
/// What it costs to look one up beside those bytes.
const STEP: usize = 64;

/// What stands where.
pub struct Places<'p> {
    at: HashMap<Cow<'p, ImagePath>, Place<'p>>,
    /// What it has cost to look components up.
    walked: usize,
}

struct Place<'p> {
    file_type: FileType,
    /// The entry that made it; `None` for what the kernel has of its own.
    item: Option<&'p Item>,
    /// How many names it holds.
    inside: usize,
}

/// What becomes of an entry.
#[derive(Debug)]
pub enum Met<'p> {
    /// Nothing stood there; or nothing can be told.
    Nothing,
    /// Something of its type stood there.
    Same(Option<&'p Item>),
    /// Something of another type stood there, and is gone; an entry's, but where the kernel had it of
    /// its own.
    Other(FileType, Option<&'p Item>),
    /// A directory stands there that is not empty, and stays.
    Full,
    /// The directory it lies in is not there.
    NoParent {
        /// The path at which the way ends.
        missing: ImagePath,
        /// What stands there instead of a directory.
        stands: Option<FileType>,
    },
}

/// Where a look-up ends.
enum End {
    Missing(ImagePath, Option<FileType>),
    Unknown,
}

impl<'p> Places<'p> {
    /// What the archive in the kernel itself makes first (its `usr/default_cpio_list`).
    #[must_use]
    pub fn of_kernel() -> Places<'p> {
        let mut places = Places {
            at: HashMap::new(),
            walked: 0,
        };
        for (path, file_type) in [
            ("", FileType::Directory),
            ("dev", FileType::Directory),
            ("dev/console", FileType::Char),
            ("root", FileType::Directory),
        ] {
            if let Ok(path) = ImagePath::new(path) {
                places.enter(Cow::Owned(path), file_type, None);
            }
        }
        places
    }

    /// Makes `item` at `path`, as its name says: where that really is, with the links on the way
    /// followed, and what it meets there.
    pub fn put(&mut self, path: &'p ImagePath, item: &'p Item) -> (Cow<'p, ImagePath>, Met<'p>) {
        let named = Cow::Borrowed(path);
        let Some(parent) = path.parent() else {
            return (named, Met::Nothing);
        };
        match self.directory(&parent) {
            Ok(None) => (named.clone(), self.make(named, item)),
            Ok(Some(real)) => match real.join(path.file_name()).map(Cow::Owned) {
                Ok(real) => (Cow::clone(&real), self.make(real, item)),
                Err(_) => (named, Met::Nothing),
            },
            Err(End::Unknown) => (named, Met::Nothing),
            Err(End::Missing(missing, stands)) => (named, Met::NoParent { missing, stands }),
        }
    }

    fn make(&mut self, path: Cow<'p, ImagePath>, item: &'p Item) -> Met<'p> {
        let file_type = item.file_type();
        let Some(place) = self.at.get_mut(&path) else {
            self.enter(path, file_type, Some(item));
            return Met::Nothing;
        };
        let was = place.file_type;
        if was == FileType::Directory && file_type != was && place.inside > 0 {
            return Met::Full;
        }
        place.file_type = file_type;
        match place.item.replace(item) {
            before if was == file_type => Met::Same(before),
            before => Met::Other(was, before),
        }
    }

    fn enter(&mut self, path: Cow<'p, ImagePath>, file_type: FileType, item: Option<&'p Item>) {
        let parent = path.parent();
        if let Some(parent) = parent.and_then(|parent| self.at.get_mut(&parent)) {
            parent.inside += 1;
        }
        self.at.insert(
            path,
            Place {
                file_type,
                item,
                inside: 0,
            },
        );
    }

    /// Where the directory `path` really lies; `None` where it lies there itself.
    fn directory(&mut self, path: &ImagePath) -> Result<Option<ImagePath>, End> {
        match self.at.get(path) {
            Some(place) if place.file_type == FileType::Directory => Ok(None),
            _ => self.resolve(path).map(Some),
        }
    }

    fn resolve(&mut self, path: &ImagePath) -> Result<ImagePath, End> {
        let mut real = ImagePath::default();
        let mut links = 0;
        let mut ahead: Vec<Vec<u8>> = Vec::new();
        push(&mut ahead, path.as_bytes());
        while let Some(name) = ahead.pop() {
            self.walked += STEP + real.as_bytes().len();
            if self.walked > WALKED_LIMIT {
                return Err(End::Unknown);
            }
            if name == b".." {
                real = real.parent().unwrap_or_default();
                continue;
            }
            let next = real.join(&name).map_err(|_| End::Unknown)?;
            let place = self.at.get(&next);
            match place.map(|place| (place.file_type, place.item)) {
                Some((FileType::Directory, _)) => real = next,
                Some((FileType::Symlink, Some(item))) if links < LINK_LIMIT => {
                    links += 1;
                    let Content::Link(target) = &item.content else {
                        return Err(End::Unknown);
                    };
                    if target.starts_with(b"/") {
                        real = ImagePath::default();
                    }
                    push(&mut ahead, target);
                }
                stands => return Err(End::Missing(next, stands.map(|(stands, _)| stands))),
            }
        }
        Ok(real)
    }
}

/// The components of `path`, to be taken first.
fn push(ahead: &mut Vec<Vec<u8>>, path: &[u8]) {
    let components = path.rsplit(|&byte| byte == b'/');
    let real = components.filter(|name| !name.is_empty() && *name != b".");
    ahead.extend(real.map(<[u8]>::to_vec));
}
