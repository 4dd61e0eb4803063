//! What a guest needs of its memory to unpack an image: an estimate.
//!
//! While the kernel unpacks, its memory holds the ramdisk as it was handed over and the files as they
//! come to be. Xen's toolstack before 4.20 hands a gzip ramdisk over inflated (`tools/libs/guest`),
//! since then as it lies there; any other is handed over as it lies there always.

use serde::Serialize;

use super::picture::Picture;
use super::tree::Tree;
use crate::archive::FileType;
use crate::compress::Format;

/// The bytes of a page, of every architecture a guest may have.
const PAGE: u64 = 4096;
/// What a file takes besides its pages: an inode and a directory entry of a file system in memory,
/// about 1 KiB together on 64-bit kernels (`/proc/slabinfo`: shmem_inode_cache, dentry).
const OBJECT: u64 = 1024;

/// What unpacking takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The files, unpacked: what stays in use until the root is switched.
    pub files: u64,
    /// At the height of unpacking, under Xen before 4.20.
    pub before_xen_4_20: u64,
    /// At the height of unpacking, under Xen since 4.20, or no Xen.
    pub since_xen_4_20: u64,
}

impl Memory {
    /// The estimate for an image.
    #[must_use]
    pub fn of(picture: &Picture, tree: &Tree) -> Memory {
        let files = tree.items().map(|(_, item)| match item.file_type() {
            FileType::Regular => u64::from(item.entry.header.size).next_multiple_of(PAGE) + OBJECT,
            _ => OBJECT,
        });
        let files = files.sum();
        let raw = picture.size.next_multiple_of(PAGE);
        let inflated = inflated(picture).unwrap_or(raw).next_multiple_of(PAGE);
        Memory {
            files,
            before_xen_4_20: inflated + files,
            since_xen_4_20: raw + files,
        }
    }
}

/// The size a toolstack that inflates would hand over: of the first member, where that is gzip.
fn inflated(picture: &Picture) -> Option<u64> {
    let first = picture.segments.first()?;
    let is_gzip = first.start.offset == 0 && first.start.format == Some(Format::Gzip);
    is_gzip.then_some(first.end.as_ref()?.unpacked)
}
