//! An archive's entries, put onto disk below one directory and nowhere else.
//!
//! In: entries, one after another, in any order and however hostile. Out: files, directories, links
//! and nodes below the directory, made relative to descriptors of directories that were opened
//! component by component without following a link (`openat(2)` with `O_NOFOLLOW`). Links that the
//! archive itself made lead where they would lead a process chrooted there, by this module's own
//! account ([`ledger`]). A link that lay there before is passed only by [`Wishes::links`], and by the same
//! account, never by the host's.
//!
//! Modes are the archive's, whatever the umask, as `cpio -i` has them; but set-user-ID and
//! set-group-ID bits stay only where owners are restored, as bsdtar has it: without the owner they
//! would lend the rights of whoever extracts. A parent that no entry names has the umask's mode.

mod calls;
mod fault;
mod ledger;
mod link_groups;
mod open_directories;
mod placed_file;
mod staged;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

pub use fault::{Found, PlaceError, PlaceFault};
use ledger::{Ledger, PlaceId, Step, path_of};
pub use link_groups::LinkKey;
use link_groups::{Group, LinkGroups};
use open_directories::OpenDirectories;
pub use placed_file::PlacedFile;
pub use staged::Staged;

use crate::image_path::ImagePath;

/// What may be done that is not done unasked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// What lies where an entry goes is replaced; a directory never.
    pub force: bool,
    /// Owners are the archive's, and set-user-ID and set-group-ID bits are kept.
    pub owners: bool,
    /// Devices, pipes and sockets are made.
    pub nodes: bool,
    /// Where a link lies at a directory's path it stays, and what is below goes where it leads to. One that lay
    /// there before must lead to a place below the top as the host would have it, so with no slash in front.
    pub links: bool,
}

/// What an entry has besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The mode; of its bits only permissions, set-ID and sticky bits are looked at.
    pub mode: u32,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Modification time, in seconds since 1970.
    pub mtime: u32,
}

/// A file that is more than bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
}

/// What is left to say at the end.
#[derive(Debug)]
pub struct Finished {
    /// How many nodes were not made, as nobody asked for them.
    pub nodes_skipped: u64,
    /// What stood in the way of what is done late: modes, owners and times of directories, and the
    /// names of files whose content comes with a later name.
    pub problems: Vec<PlaceError>,
}

/// A directory that entries are put into.
pub struct Destination {
    wishes: Wishes,
    ledger: Ledger,
    open: OpenDirectories,
    /// What directories get at the end, by their path without links.
    directories: BTreeMap<ImagePath, Meta>,
    groups: LinkGroups,
    /// How many bytes of paths and targets are held until the end.
    held: usize,
    /// Where nodes would have been made.
    skipped: HashSet<PlaceId>,
    nodes_skipped: u64,
    problems: Vec<PlaceError>,
}

/// The most that is held of paths and targets, in bytes. The largest images have a few thousand
/// directories; an archive of a few megabytes can name a million, of four kilobytes each.
const HELD_LIMIT: usize = 64 << 20;

/// Where an entry goes.
struct Spot<'p> {
    /// Its path, without links.
    real: ImagePath,
    parent: Arc<OwnedFd>,
    name: &'p [u8],
    id: PlaceId,
}

impl Destination {
    /// Entries go into `top`, which is made where nothing is; what is above it must be there.
    ///
    /// # Errors
    /// When it cannot be made or opened, or is no directory.
    pub fn open(top: &Path, wishes: Wishes) -> io::Result<Destination> {
        match fs::create_dir(top) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Ok(Destination {
            wishes,
            ledger: Ledger::default(),
            open: OpenDirectories::new(calls::open_top(top)?),
            directories: BTreeMap::new(),
            groups: LinkGroups::new(),
            held: 0,
            skipped: HashSet::new(),
            nodes_skipped: 0,
            problems: Vec::new(),
        })
    }

    /// Makes a directory, or uses the one that is there. It gets its mode, owner and time at the
    /// end, so that one that may not be written to can be filled. What is said of the root changes
    /// nothing, as with GNU cpio: the directory that is extracted into is the user's.
    ///
    /// # Errors
    /// When it cannot be made, or something else is there that may not be replaced.
    pub fn directory(&mut self, path: &ImagePath, meta: Meta) -> Result<(), PlaceError> {
        self.put_directory(path, meta).map_err(PlaceFault::of(path))
    }

    /// Begins a file. Its content is written to what is returned; mode, owner and time are set when
    /// that is finished.
    ///
    /// # Errors
    /// When it cannot be made, or something is there that may not be replaced.
    pub fn file(&mut self, path: &ImagePath, meta: Meta) -> Result<PlacedFile, PlaceError> {
        let file = self.put_file(path).map_err(PlaceFault::of(path))?;
        Ok(PlacedFile::new(file, path.clone(), meta, self.wishes))
    }

    /// Begins a file of several names, as far as the entry has its content: then the file is
    /// returned, and the names that waited are made others of it. A name that comes before the
    /// content waits for it, at most until [`Destination::end_of_archive`]. Content that comes twice
    /// is that of the name it comes with, and of those after.
    ///
    /// # Errors
    /// As [`Destination::file`] and [`Destination::hard_link`].
    pub fn linked_file(
        &mut self,
        path: &ImagePath,
        key: LinkKey,
        meta: Meta,
        has_content: bool,
    ) -> Result<Option<PlacedFile>, PlaceError> {
        self.hold(path.as_bytes().len())
            .map_err(PlaceFault::of(path))?;
        if has_content {
            return self.place_group(path, key, meta).map(Some);
        }
        let group = self.groups.entry(key).or_insert_with(|| Group::new(meta));
        match group.placed.clone() {
            Some(existing) => self.hard_link(path, &existing)?,
            None => group.names.push(path.clone()),
        }
        Ok(None)
    }

    /// A name that waits for the content of the file that `key` means, for which it waits no more: it
    /// is for whoever passes over the entry that the content stands on.
    pub fn take_waiting(&mut self, key: LinkKey) -> Option<ImagePath> {
        let group = self
            .groups
            .get_mut(&key)
            .filter(|group| group.placed.is_none())?;
        group.names.pop()
    }

    /// Ends an archive: what comes now has no file in common with it. Names that still wait for their
    /// content are those of an empty file; what stands in their way is told by
    /// [`Destination::finish`].
    pub fn end_of_archive(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        for group in groups.into_values().filter(|group| group.placed.is_none()) {
            let mut names = group.names.into_iter();
            let Some(first) = names.next() else { continue };
            let made = self.file(&first, group.meta).and_then(PlacedFile::finish);
            self.problems.extend(made.err());
            self.link_all(names.collect(), &first);
        }
    }

    /// Takes a file away that could not be written whole, under every name it has.
    ///
    /// # Errors
    /// When it cannot be taken away.
    pub fn discard(&mut self, file: PlacedFile) -> Result<(), PlaceError> {
        file.into_paths().try_for_each(|path| {
            let spot = self.spot(&path);
            let removed = spot.and_then(|spot| calls::remove(&spot.parent, spot.name));
            removed.map_err(PlaceFault::of(&path))
        })
    }

    /// Makes a symbolic link. Its target stands as it is: it may lead anywhere, for nothing is
    /// written through it.
    ///
    /// # Errors
    /// When it cannot be made, or something is there that may not be replaced.
    pub fn symlink(
        &mut self,
        path: &ImagePath,
        target: &[u8],
        meta: Meta,
    ) -> Result<(), PlaceError> {
        self.put_symlink(path, target, meta)
            .map_err(PlaceFault::of(path))
    }

    /// Makes `path` another name of `existing`, which this run must have made: of a file that was
    /// there before nothing is known. Where `existing` is a node that was skipped, so is this.
    ///
    /// # Errors
    /// When it cannot be made, or something is there that may not be replaced.
    pub fn hard_link(&mut self, path: &ImagePath, existing: &ImagePath) -> Result<(), PlaceError> {
        self.put_hard_link(path, existing)
            .map_err(PlaceFault::of(path))
    }

    /// Makes a device, pipe or socket where nodes are wished for; else it is skipped and counted.
    ///
    /// # Errors
    /// When it cannot be made, or something is there that may not be replaced.
    pub fn node(
        &mut self,
        path: &ImagePath,
        special: Special,
        meta: Meta,
    ) -> Result<(), PlaceError> {
        self.put_node(path, special, meta)
            .map_err(PlaceFault::of(path))
    }

    /// Ends the last archive, and gives the directories that entries named their modes, owners and
    /// times.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        self.end_of_archive();
        self.settle();
        Finished {
            nodes_skipped: self.nodes_skipped,
            problems: self.problems,
        }
    }

    /// Gives the directories that entries named until now their modes, owners and times, and leaves files whose
    /// content has not come unmade.
    pub fn settle(&mut self) {
        let directories = std::mem::take(&mut self.directories);
        // What lies below a path sorts after it: it comes first here, while it can be entered.
        for (path, meta) in directories.into_iter().rev() {
            let settled = self.settle_directory(&path, meta);
            let settled = settled.map_err(PlaceFault::of(&path));
            self.problems.extend(settled.err());
        }
    }

    /// Begins the file that the names of a group wait for. Where it cannot be made none of them is,
    /// then or later.
    fn place_group(
        &mut self,
        path: &ImagePath,
        key: LinkKey,
        meta: Meta,
    ) -> Result<PlacedFile, PlaceError> {
        let file = self.file(path, meta);
        let group = self.groups.entry(key).or_insert_with(|| Group::new(meta));
        group.placed = Some(path.clone());
        let waiting = std::mem::take(&mut group.names);
        let linked = self.link_all(waiting, path);
        file.map(|file| file.named(linked))
    }

    /// Makes `names` others of `existing`, and gives those that were made.
    fn link_all(&mut self, names: Vec<ImagePath>, existing: &ImagePath) -> Vec<ImagePath> {
        let mut made = Vec::new();
        for name in names {
            match self.hard_link(&name, existing) {
                Ok(()) => made.push(name),
                Err(error) => self.problems.push(error),
            }
        }
        made
    }

    /// Counts some bytes that are held until the end.
    fn hold(&mut self, bytes: usize) -> Result<(), PlaceFault> {
        self.held = self.held.saturating_add(bytes);
        if self.held > HELD_LIMIT {
            return Err(PlaceFault::TooMuch { limit: HELD_LIMIT });
        }
        Ok(())
    }

    fn put_directory(&mut self, path: &ImagePath, meta: Meta) -> Result<(), PlaceFault> {
        if path.is_root() {
            return Ok(());
        }
        let spot = self.spot(path)?;
        if self.wishes.links && self.stays(&spot)? {
            return Ok(());
        }
        self.hold(spot.real.as_bytes().len())?;
        let made = self.create(&spot, || calls::make_directory(&spot.parent, spot.name));
        match made {
            Err(PlaceFault::DirectoryThere) => calls::open_to_owner(&spot.parent, spot.name)?,
            made => made?,
        }
        self.ledger.directory(spot.id);
        self.directories.insert(spot.real, meta);
        Ok(())
    }

    /// Whether a link lies at a directory's path, and may stay: it leads to a directory inside, or to where one
    /// can be made.
    fn stays(&mut self, spot: &Spot<'_>) -> Result<bool, PlaceFault> {
        if self.ledger.made_link(spot.id) {
            return Ok(true);
        }
        if !matches!(calls::found(&spot.parent, spot.name), Ok(Found::Symlink)) {
            return Ok(false);
        }
        let link = lain_link(&spot.parent, spot.name, spot.real.clone(), spot.id)?;
        self.adopt(link)?;
        let inside = spot.real.join(b".in")?;
        self.spot(&inside).map(|_| true)
    }

    /// Has a link that lay there before be passed.
    fn adopt(&mut self, link: LainLink) -> Result<(), PlaceFault> {
        self.hold(link.at.as_bytes().len() + link.target.len())?;
        self.ledger.lay(link.at, link.id, link.target);
        Ok(())
    }

    fn put_file(&mut self, path: &ImagePath) -> Result<OwnedFd, PlaceFault> {
        let spot = self.spot(path)?;
        let file = self.create(&spot, || calls::make_file(&spot.parent, spot.name))?;
        self.ledger.file(spot.id);
        Ok(file)
    }

    fn put_symlink(
        &mut self,
        path: &ImagePath,
        target: &[u8],
        meta: Meta,
    ) -> Result<(), PlaceFault> {
        let spot = self.spot(path)?;
        self.hold(target.len())?;
        self.create(&spot, || {
            rustix::fs::symlinkat(target, &spot.parent, spot.name)
        })?;
        self.ledger.link(spot.id, target);
        calls::settle_link(&spot.parent, spot.name, meta, self.wishes)
    }

    fn put_hard_link(&mut self, path: &ImagePath, existing: &ImagePath) -> Result<(), PlaceFault> {
        let (_, old) = self.ledger.place(existing)?;
        if self.skipped.contains(&old) {
            return self.skip(path);
        }
        if !self.ledger.has(old) {
            let existing = existing.clone();
            return Err(PlaceFault::LinkSource { existing });
        }
        let old = self.spot(existing)?;
        let spot = self.spot(path)?;
        if spot.id == old.id {
            return Ok(());
        }
        let from = (&*old.parent, old.name);
        self.create(&spot, || calls::make_link(from, (&spot.parent, spot.name)))?;
        self.ledger.same(spot.id, old.id);
        Ok(())
    }

    fn put_node(
        &mut self,
        path: &ImagePath,
        special: Special,
        meta: Meta,
    ) -> Result<(), PlaceFault> {
        if !self.wishes.nodes {
            return self.skip(path);
        }
        let spot = self.spot(path)?;
        self.create(&spot, || calls::make_node(&spot.parent, spot.name, special))?;
        self.ledger.file(spot.id);
        calls::settle_node(&spot.parent, spot.name, meta, self.wishes)
    }

    fn skip(&mut self, path: &ImagePath) -> Result<(), PlaceFault> {
        let (_, id) = self.ledger.place(path)?;
        self.skipped.insert(id);
        self.nodes_skipped += 1;
        Ok(())
    }

    fn settle_directory(&mut self, path: &ImagePath, meta: Meta) -> Result<(), PlaceFault> {
        let spot = self.spot(path)?;
        let directory = calls::open_directory(&spot.parent, spot.name)?;
        calls::settle(&directory, meta, self.wishes)
    }

    /// Where the entry at `path` goes; the directories above it are made where nothing is.
    fn spot<'p>(&mut self, path: &'p ImagePath) -> Result<Spot<'p>, PlaceFault> {
        let name = path.file_name();
        loop {
            let (way, id) = self.ledger.place(path)?;
            let real = path_of(&way)?.join(name)?;
            let entered = self.open.enter(&way, |above, step, at| {
                let passed = way.get(..=at).unwrap_or_default();
                open_or_make(&self.ledger, self.wishes, above, step, passed)
            });
            match entered {
                Ok(parent) => {
                    return Ok(Spot {
                        real,
                        parent,
                        name,
                        id,
                    });
                }
                Err(Stop::Fault(fault)) => return Err(fault),
                // Each is met but once: from then on the ledger knows where it leads.
                Err(Stop::Link(link)) => self.adopt(link)?,
            }
        }
    }

    /// What `make` makes at `spot`, after what is in its way is gone, where that may go.
    fn create<T>(
        &self,
        spot: &Spot<'_>,
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T, PlaceFault> {
        let made = match make() {
            Err(Errno::EXIST) => {
                self.make_room(spot)?;
                make()
            }
            made => made,
        };
        made.map_err(PlaceFault::system("make it"))
    }

    fn make_room(&self, spot: &Spot<'_>) -> Result<(), PlaceFault> {
        match calls::found(&spot.parent, spot.name)? {
            Found::Directory => Err(PlaceFault::DirectoryThere),
            _ if self.wishes.force || self.ledger.has(spot.id) => {
                calls::remove(&spot.parent, spot.name)
            }
            found => Err(PlaceFault::Exists(found)),
        }
    }
}

/// A link that lay there before.
struct LainLink {
    at: ImagePath,
    id: PlaceId,
    target: Vec<u8>,
}

/// Why a directory is not entered.
enum Stop {
    Fault(PlaceFault),
    /// A link is there that may be passed.
    Link(LainLink),
}

impl<F: Into<PlaceFault>> From<F> for Stop {
    fn from(fault: F) -> Self {
        Stop::Fault(fault.into())
    }
}

/// The link `name` below `above`. To the host one with a slash in front leads out, whatever is below the top.
fn lain_link(
    above: &OwnedFd,
    name: &[u8],
    at: ImagePath,
    id: PlaceId,
) -> Result<LainLink, PlaceFault> {
    let target = calls::target(above, name)?;
    match target.starts_with(b"/") {
        true => Err(PlaceFault::LeadsOut { at }),
        false => Ok(LainLink { at, id, target }),
    }
}

/// Opens the directory `step` below `above`, the last of those `passed`. What lies there instead is
/// taken away only where it lay there before: the archive's own file is no directory to the kernel
/// either.
fn open_or_make(
    ledger: &Ledger,
    wishes: Wishes,
    above: &OwnedFd,
    step: &Step<'_>,
    passed: &[Step<'_>],
) -> Result<OwnedFd, Stop> {
    let failed = PlaceFault::system("enter its directory");
    match calls::enter(above, step.name) {
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let at = path_of(passed)?;
            if ledger.has(step.id) {
                return Err(PlaceFault::UnderFile { at }.into());
            }
            let found = calls::found(above, step.name)?;
            if wishes.links && found == Found::Symlink {
                return Err(Stop::Link(lain_link(above, step.name, at, step.id)?));
            }
            if !wishes.force {
                return Err(PlaceFault::Through { at, found }.into());
            }
            calls::remove(above, step.name)?;
        }
        entered => return entered.map_err(failed).map_err(Stop::Fault),
    }
    calls::make_parent(above, step.name).map_err(PlaceFault::system("make its directory"))?;
    Ok(calls::enter(above, step.name).map_err(failed)?)
}
