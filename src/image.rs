//! The one image writer: from a [`Plan`] to an archive, to its compressed bytes.

use std::io::{self, Write};

use crate::compress::{self, Encoding};
use crate::cpio::{Header, Kind, end, padding};
use crate::plan::{Entry, Node, Plan};
use crate::rope::Rope;

/// The plan as a newc archive: owner 0:0, inodes numbered from 1, every entry's time `mtime`.
///
/// # Errors
/// When an entry's data is too large for the format, 4 GiB, or there are as many entries.
pub fn archive(plan: &Plan, mtime: u32) -> io::Result<Rope<'_>> {
    let mut rope = Rope::new();
    for (number, (path, entry)) in plan.entries().enumerate() {
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let data = entry.data();
        let header = Header {
            name: path.as_bytes(),
            ino: u32::try_from(number + 1).map_err(too_large)?,
            kind: kind(entry),
            mode: entry.mode,
            mtime,
            size: u32::try_from(data.len()).map_err(too_large)?,
        };
        rope.push(header.to_bytes()?);
        rope.push(data);
        rope.push(padding(data.len() as u64));
    }
    rope.push(end(rope.len())?);
    Ok(rope)
}

fn kind(entry: &Entry) -> Kind {
    match entry.node {
        Node::Directory => Kind::Directory,
        Node::File(_) => Kind::Regular,
        Node::Symlink(_) => Kind::Symlink,
        Node::CharDevice(major, minor) => Kind::Char(major, minor),
        Node::BlockDevice(major, minor) => Kind::Block(major, minor),
    }
}

/// Writes an archive, compressed as `encoding` says, to `out`; `progress` is told how many bytes of
/// the archive have been dealt with.
///
/// # Errors
/// Those of `out`.
pub fn write(
    archive: &Rope<'_>,
    encoding: &Encoding,
    out: &mut dyn Write,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    compress::encode(archive, encoding, out, progress)
}
