//! Names that the kernel takes for one file.

use std::collections::HashMap;

use crate::archive::{FileType, Header};
use crate::inspect::picture::{Content, Item};

/// What the kernel knows a file of several names by, until an archive's trailer (`find_link` in its
/// `init/initramfs.c`).
type Key = (u32, (u32, u32), FileType);

/// The bytes of a header before its name (`buffer-format`).
const HEADER_SIZE: u64 = 110;

/// Two entries that become one file, and were not.
pub(super) struct Clash<'p> {
    /// The earlier.
    pub first: &'p Item,
    /// The later.
    pub second: &'p Item,
    /// In what they differ.
    pub differs: &'static str,
}

/// The names of one file met so far.
struct Known<'p> {
    first: &'p Item,
    /// That which brought data.
    with_data: Option<&'p Item>,
}

/// The clashes among `items`.
pub(super) fn clashes(items: &[Item]) -> Vec<Clash<'_>> {
    let mut known: HashMap<Key, Known<'_>> = HashMap::new();
    let mut clashes = Vec::new();
    let mut end = None;
    for item in items {
        let Header { ino, dev, .. } = item.entry.header;
        if end != Some((item.entry.segment, item.entry.offset)) {
            known.clear();
        }
        end = Some((item.entry.segment, behind(item)));
        if item.entry.header.nlink < 2 || !is_linked(item.file_type()) {
            continue;
        }
        let names = known.entry((ino, dev, item.file_type())).or_insert(Known {
            first: item,
            with_data: None,
        });
        clashes.extend(names.clash(item));
        names.with_data = names
            .with_data
            .or((item.entry.header.size > 0).then_some(item));
    }
    clashes
}

impl<'p> Known<'p> {
    fn clash(&self, second: &'p Item) -> Option<Clash<'p>> {
        let clash = |first, differs| {
            Some(Clash {
                first,
                second,
                differs,
            })
        };
        let (one, other) = (&self.first.entry.header, &second.entry.header);
        if (one.permissions(), one.uid, one.gid) != (other.permissions(), other.uid, other.gid) {
            return clash(self.first, "mode or owner");
        }
        if one.rdev != other.rdev {
            return clash(self.first, "device number");
        }
        let first = self.with_data.filter(|_| other.size > 0)?;
        let is_same =
            first.entry.header.size == other.size && same(&first.content, &second.content);
        match is_same {
            true => None,
            false => clash(first, "data"),
        }
    }
}

/// Whether the data may be the same, as far as it was kept.
fn same(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (Content::Text(one), Content::Text(other)) => one == other,
        (Content::Program(one), Content::Program(other)) => match (one.as_ref(), other.as_ref()) {
            (Ok(one), Ok(other)) => one == other,
            (one, other) => one.is_err() == other.is_err(),
        },
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// Directories have as many links as they have directories in them, and the kernel links no links.
const fn is_linked(file_type: FileType) -> bool {
    !matches!(
        file_type,
        FileType::Directory | FileType::Symlink | FileType::Unknown
    )
}

/// Where the next header begins; if none does, an archive ends in between, and its table with it.
fn behind(item: &Item) -> u64 {
    let Header {
        name_size, size, ..
    } = item.entry.header;
    let name = (HEADER_SIZE + u64::from(name_size)).next_multiple_of(4);
    item.entry.offset + name + u64::from(size).next_multiple_of(4)
}
