//! Which modules an image most likely needs, told by their paths alone: before anything is known of the
//! guest. It is for stores whose files take long to be had, and decides on time, never on what goes in.

use memchr::memmem;

use crate::image_path::ImagePath;

/// Parts of their directories: what block devices, file systems and checksums of guests need, and need
/// themselves.
const DIRECTORIES: [&[u8]; 6] = [
    b"/kernel/fs/ext3/",
    b"/kernel/fs/ext4/",
    b"/kernel/fs/jbd/",
    b"/kernel/fs/jbd2/",
    b"/kernel/drivers/virtio/",
    b"/kernel/drivers/xen/",
];
/// What their files' names begin with.
const NAMES: [&[u8]; 8] = [
    b"xen",
    b"virtio",
    b"mbcache",
    b"crc",
    b"libcrc",
    b"net_failover",
    b"failover",
    b"scsi_mod",
];

/// Whether the module at `path` is likely to be asked for.
#[must_use]
pub fn is_likely(path: &ImagePath) -> bool {
    let within = |directory: &&[u8]| memmem::find(path.as_bytes(), directory).is_some();
    let is_called = |name: &&[u8]| path.file_name().starts_with(name);
    DIRECTORIES.iter().any(within) || NAMES.iter().any(is_called)
}
