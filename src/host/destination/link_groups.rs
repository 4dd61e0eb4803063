//! The names of one file: in a newc archive its content stands on any of them, with GNU cpio on the
//! last (the kernel's `buffer-format` document, and `maybe_link` in `init/initramfs.c`).

use std::collections::BTreeMap;

use super::Meta;
use crate::image_path::ImagePath;

/// What the names of one file have in common, until the archive ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkKey {
    /// The major number of the device it was on.
    pub major: u32,
    /// The minor number of that device.
    pub minor: u32,
    /// The inode number.
    pub ino: u32,
}

/// The names of one file so far.
pub(super) struct Group {
    /// What the first name says of it.
    pub(super) meta: Meta,
    /// Those that wait for its content.
    pub(super) names: Vec<ImagePath>,
    /// The name that its content came with.
    pub(super) placed: Option<ImagePath>,
}

/// Every file of several names since the archive began, in an order that no run changes.
pub(super) type LinkGroups = BTreeMap<LinkKey, Group>;

impl Group {
    pub(super) fn new(meta: Meta) -> Self {
        Group {
            meta,
            names: Vec::new(),
            placed: None,
        }
    }
}
