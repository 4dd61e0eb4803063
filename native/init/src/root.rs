//! From the settings to a mounted root with an init, or to what stands in the way.

use core::ffi::CStr;

use xinitrd_native_logic::errno;
use xinitrd_native_logic::mount::{Options, READ_ONLY, SILENT};
use xinitrd_native_logic::root::{Root, RootFault};
use xinitrd_native_logic::settings::Patience;
use xinitrd_native_logic::superblock::Kind;
use xinitrd_native_logic::text::{Parts, Text, is_same_but_for_case};

use crate::devices::{self, Block};
use crate::handover::{candidates, find};
use crate::sys::{self, Errno, File, Open};
use crate::{Boot, read};

/// Where the root is mounted before it becomes the root.
pub const NEW_ROOT: &CStr = c"/sysroot";

/// Why the root's init does not run.
pub enum Fault<'a> {
    /// No device is asked for.
    Asked(RootFault),
    /// The device did not appear.
    Absent,
    /// No file system type could be mounted; what each said is in [`Boot::reasons`].
    Unmountable,
    /// There is no program to run.
    NoInit,
    /// The program does not run.
    NotRun(&'a [u8], Errno),
}

/// What has been looked at and is not the root. The loop that waits comes by often, and a device is read
/// anew each time that it is opened.
struct Seen {
    numbers: [(u32, u32); 64],
    count: usize,
}

impl Seen {
    /// Whether a device has been looked at; from now on it has.
    fn has(&mut self, block: &Block) -> bool {
        let number = (block.major, block.minor);
        if self
            .numbers
            .iter()
            .take(self.count)
            .any(|seen| *seen == number)
        {
            return true;
        }
        if let Some(place) = self.numbers.get_mut(self.count) {
            *place = number;
            self.count += 1;
        }
        false
    }
}

impl<'a> Boot<'a> {
    /// Mounts the root, and finds the program to hand over to.
    pub fn reach_root(&mut self) -> Result<&'a [u8], Fault<'a>> {
        let settings = &self.settings;
        let root = Root::read(settings.root, settings.nfsroot).map_err(Fault::Asked)?;
        sys::sleep(settings.delay * 1000);
        self.wait_for(&root)?;
        self.mount()?;
        let program = find(candidates(&self.settings.init)).ok_or(Fault::NoInit)?;
        self.note(&[b"root is ", self.node.as_bytes(), b", init is ", program]);
        Ok(program)
    }

    /// Drivers find their disks long after they have been loaded.
    fn wait_for(&mut self, root: &Root<'_>) -> Result<(), Fault<'a>> {
        const FIRST_PAUSE: u64 = 1;
        const LONGEST_PAUSE: u64 = 50;
        const SILENCE: u64 = 2000;
        let started = sys::now();
        let mut pause = FIRST_PAUSE;
        let mut seen = Seen {
            numbers: [(0, 0); 64],
            count: 0,
        };
        let mut told = false;
        while !self.find(root, &mut seen) {
            self.waited = sys::now() - started;
            if let Patience::Seconds(seconds) = self.settings.patience
                && self.waited / 1000 >= seconds
            {
                return Err(Fault::Absent);
            }
            if self.waited >= SILENCE && !told {
                told = true;
                self.note(&[b"waiting for ", self.settings.root]);
            }
            sys::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    /// Whether the root's device is there; then its node is known.
    fn find(&mut self, root: &Root<'_>, seen: &mut Seen) -> bool {
        if self.own_nodes {
            devices::make_nodes();
        }
        if let Root::Node(path) = root {
            self.node = Text::of(path);
            return !self.node.is_cut() && sys::exists(self.node.as_c_str());
        }
        devices::each(&mut |block| {
            let is_it = is_named_by(block, root, seen);
            if is_it {
                self.node = block.node.clone();
            }
            is_it
        })
    }

    /// Mounts the root: by the types that the command line says, or else the likely ones and then every
    /// one that the kernel knows by now.
    fn mount(&mut self) -> Result<(), Fault<'a>> {
        self.reasons.truncate(0);
        let options = Options::of(self.settings.flags, self.settings.writable);
        register_btrfs();
        let mut known = [0; 2048];
        let is_mounted = match self.settings.types {
            [] => {
                let known = read(c"/proc/filesystems", &mut known);
                self.mount_as_one_of(self.settings.likely, b',', b"", &options)
                    || self.mount_as_one_of(known, b'\n', b"\t", &options)
            }
            types => self.mount_as_one_of(types, b',', b"", &options),
        };
        is_mounted.then_some(()).ok_or(Fault::Unmountable)
    }

    /// Whether the root is mounted as one of the types of a list, which stand behind `mark`. Of the kernel's
    /// list, where they do, the likely one has been tried.
    fn mount_as_one_of(
        &mut self,
        types: &[u8],
        separator: u8,
        mark: &[u8],
        options: &Options,
    ) -> bool {
        let tried = if mark.is_empty() {
            mark
        } else {
            self.settings.likely
        };
        Parts::of(types, separator).any(|entry| match entry.strip_prefix(mark) {
            Some(kind) if kind != tried => self.mount_as(kind, options),
            _ => false,
        })
    }

    /// Whether the root is mounted as this type.
    fn mount_as(&mut self, kind: &[u8], options: &Options) -> bool {
        let name = Text::of(kind);
        let mount = |flags| {
            let (node, data) = (self.node.as_c_str(), options.data.as_c_str());
            sys::mount(node, NEW_ROOT, name.as_c_str(), flags | SILENT, data)
        };
        let mounted = match mount(options.flags) {
            // What cannot be written to is mounted to be read, as the kernel does it.
            Err(Errno::EROFS | Errno::EACCES) => mount(options.flags | READ_ONLY),
            outcome => outcome,
        };
        if let Err(error) = mounted {
            let reasons = &mut self.reasons;
            if !reasons.is_empty() {
                reasons.push(b", ");
            }
            errno::push(reasons.push(kind).push(b": "), error.0);
        }
        mounted.is_ok()
    }
}

/// Whether this block device is what names the root.
fn is_named_by(block: &Block, root: &Root<'_>, seen: &mut Seen) -> bool {
    match root {
        Root::Number { major, minor } => (block.major, block.minor) == (*major, *minor),
        // sysfs knows of a device before it can be opened.
        _ if !block.can_be_read() || seen.has(block) => false,
        Root::Uuid(uuid) => block.superblock().has_uuid(uuid),
        Root::Label(label) => block.superblock().has_label(*label),
        Root::PartLabel(label) => label.is(block.identity().label.as_bytes()),
        Root::PartUuid(uuid) => is_same_but_for_case(block.identity().uuid.as_bytes(), uuid),
        Root::Node(_) => false,
    }
}

/// A file system of btrfs may lie on several devices, and the kernel has to know all of them.
fn register_btrfs() {
    let Ok(control) = File::open(c"/dev/btrfs-control", Open::Read) else {
        return;
    };
    devices::each(&mut |block| {
        if block.superblock().kind == Some(Kind::Btrfs) {
            control.register_btrfs(block.node.as_c_str());
        }
        false
    });
}
