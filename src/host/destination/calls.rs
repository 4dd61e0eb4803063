//! The system calls: each on a name in an open directory, none through a link.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid,
};
use rustix::io::{self, Errno};

use super::{Found, Meta, PlaceFault, Special, Wishes};

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// What is not complete yet is for the user who extracts it alone.
const FILE_AT_FIRST: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_AT_FIRST: Mode = Mode::from_raw_mode(0o700);
/// What the umask takes from.
const ANY: Mode = Mode::from_raw_mode(0o777);
/// The bits that lend the owner's or the group's rights.
const SET_ID: u32 = 0o6000;

/// Opens the top directory, the one directory that links may lead to: the user named it.
pub(super) fn open_top(top: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(top, flags, Mode::empty())
}

/// Opens a directory to reach what is in it; the right to list it is not needed.
pub(super) fn enter(above: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    rustix::fs::openat(above, name, OFlags::PATH | DIRECTORY, Mode::empty())
}

/// Opens a directory to change what is said of it, which a descriptor from [`enter`] cannot.
pub(super) fn open_directory(above: &OwnedFd, name: &[u8]) -> Result<OwnedFd, PlaceFault> {
    let opened = rustix::fs::openat(above, name, OFlags::RDONLY | DIRECTORY, Mode::empty());
    opened.map_err(PlaceFault::system("open it"))
}

/// Makes a directory that an entry names.
pub(super) fn make_directory(above: &OwnedFd, name: &[u8]) -> io::Result<()> {
    rustix::fs::mkdirat(above, name, DIRECTORY_AT_FIRST)
}

/// Makes a directory that no entry has named yet.
pub(super) fn make_parent(above: &OwnedFd, name: &[u8]) -> io::Result<()> {
    rustix::fs::mkdirat(above, name, ANY)
}

/// Makes an empty file, open for writing.
pub(super) fn make_file(above: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    rustix::fs::openat(above, name, NEW_FILE, FILE_AT_FIRST)
}

/// Gives the file or link `from` another name.
pub(super) fn make_link(from: (&OwnedFd, &[u8]), to: (&OwnedFd, &[u8])) -> io::Result<()> {
    rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())
}

/// Makes a node, for its owner alone.
pub(super) fn make_node(above: &OwnedFd, name: &[u8], special: Special) -> io::Result<()> {
    let (kind, (major, minor)) = match special {
        Special::Char(major, minor) => (FileType::CharacterDevice, (major, minor)),
        Special::Block(major, minor) => (FileType::BlockDevice, (major, minor)),
        Special::Pipe => (FileType::Fifo, (0, 0)),
        Special::Socket => (FileType::Socket, (0, 0)),
    };
    let device = rustix::fs::makedev(major, minor);
    rustix::fs::mknodat(above, name, kind, FILE_AT_FIRST, device)
}

/// What lies at a name.
pub(super) fn found(above: &OwnedFd, name: &[u8]) -> Result<Found, PlaceFault> {
    let stat = rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW);
    let stat = stat.map_err(PlaceFault::system("look at what is there"))?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Found::File,
        FileType::Directory => Found::Directory,
        FileType::Symlink => Found::Symlink,
        _ => Found::Special,
    })
}

/// What the link at a name says.
pub(super) fn target(above: &OwnedFd, name: &[u8]) -> Result<Vec<u8>, PlaceFault> {
    let target = rustix::fs::readlinkat(above, name, Vec::new());
    let target = target.map_err(PlaceFault::system("look at what is there"))?;
    Ok(target.into_bytes())
}

/// Takes a name away; never a directory's.
pub(super) fn remove(above: &OwnedFd, name: &[u8]) -> Result<(), PlaceFault> {
    let removed = rustix::fs::unlinkat(above, name, AtFlags::empty());
    removed.map_err(PlaceFault::system("take away what is there"))
}

/// Lets the owner fill a directory that was there before, until it gets the mode of its entry.
pub(super) fn open_to_owner(above: &OwnedFd, name: &[u8]) -> Result<(), PlaceFault> {
    let directory = open_directory(above, name)?;
    let stat =
        rustix::fs::fstat(&directory).map_err(PlaceFault::system("look at what is there"))?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.contains(DIRECTORY_AT_FIRST) {
        return Ok(());
    }
    rustix::fs::fchmod(&directory, mode | DIRECTORY_AT_FIRST).map_err(PlaceFault::system(SET_MODE))
}

const SET_OWNER: &str = "set its owner";
const SET_MODE: &str = "set its mode";
const SET_TIME: &str = "set its time";

/// Gives an open file or directory its owner, mode and time. A change of owner takes set-ID bits
/// away (`chown(2)`), so the mode comes after it.
pub(super) fn settle(file: impl AsFd, meta: Meta, wishes: Wishes) -> Result<(), PlaceFault> {
    let file = file.as_fd();
    if wishes.owners {
        let set = owner(meta).and_then(|(uid, gid)| rustix::fs::fchown(file, uid, gid));
        set.map_err(PlaceFault::system(SET_OWNER))?;
    }
    rustix::fs::fchmod(file, mode(meta, wishes)).map_err(PlaceFault::system(SET_MODE))?;
    rustix::fs::futimens(file, &times(meta)).map_err(PlaceFault::system(SET_TIME))
}

/// Gives a link its owner and time; it has no mode.
pub(super) fn settle_link(
    above: &OwnedFd,
    name: &[u8],
    meta: Meta,
    wishes: Wishes,
) -> Result<(), PlaceFault> {
    let itself = AtFlags::SYMLINK_NOFOLLOW;
    if wishes.owners {
        let set = |(uid, gid)| rustix::fs::chownat(above, name, uid, gid, itself);
        let set = owner(meta).and_then(set);
        set.map_err(PlaceFault::system(SET_OWNER))?;
    }
    rustix::fs::utimensat(above, name, &times(meta), itself).map_err(PlaceFault::system(SET_TIME))
}

/// Gives a node its owner, mode and time. It is not opened, for opening a device does something; and
/// a mode is set without following a link only through a descriptor's name in `/proc` (`open(2)`,
/// `O_PATH`) before Linux 6.6.
pub(super) fn settle_node(
    above: &OwnedFd,
    name: &[u8],
    meta: Meta,
    wishes: Wishes,
) -> Result<(), PlaceFault> {
    let failed = PlaceFault::system(SET_MODE);
    settle_link(above, name, meta, wishes)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = rustix::fs::openat(above, name, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&node).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Err(failed(Errno::LOOP));
    }
    let descriptor = format!("/proc/self/fd/{}", node.as_raw_fd());
    rustix::fs::chmodat(CWD, descriptor, mode(meta, wishes), AtFlags::empty()).map_err(failed)
}

/// To `chown(2)` -1 is nobody's number: it leaves the owner as it is.
fn owner(meta: Meta) -> io::Result<(Option<Uid>, Option<Gid>)> {
    if meta.uid == u32::MAX || meta.gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    Ok((Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid))))
}

fn mode(meta: Meta, wishes: Wishes) -> Mode {
    let kept = if wishes.owners { 0 } else { SET_ID };
    Mode::from_raw_mode(meta.mode & 0o7777 & !kept)
}

fn times(meta: Meta) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: meta.mtime.into(),
            tv_nsec: 0,
        },
    }
}
