//! From the settings to a mounted root with an init, or to what stands in the way.

use core::ffi::CStr;
use core::ops::ControlFlow;

use xinitrd_native_logic::mount::{Options, READ_ONLY, SILENT};
use xinitrd_native_logic::root::{Root, RootFault};
use xinitrd_native_logic::settings::Patience;
use xinitrd_native_logic::superblock::Kind;
use xinitrd_native_logic::text::Text;

use crate::console::{note, push_error};
use crate::devices::{self, Block};
use crate::handover::Programs;
use crate::sys::{self, Errno, File, Open};
use crate::{Boot, read};

/// Where the root is mounted before it becomes the root.
pub const NEW_ROOT: &CStr = c"/sysroot";

/// Bytes of a node's path, and a NUL.
pub type Node = Text<256>;

/// Bytes of what the file systems say that are kept.
pub type Reasons = Text<512>;

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
    #[inline(never)]
    pub fn reach_root(&mut self) -> Result<Programs<'a>, Fault<'a>> {
        let settings = &self.settings;
        let root = Root::read(settings.root, settings.nfsroot).map_err(Fault::Asked)?;
        sys::sleep(settings.delay * 1000);
        self.wait_for(&root)?;
        self.mount()?;
        let programs = Programs::find(self.settings.init).ok_or(Fault::NoInit)?;
        note(&[
            b"root is ",
            self.node.as_bytes(),
            b", init is ",
            programs.first(),
        ]);
        Ok(programs)
    }

    /// Goes on looking for the root, for as long as it takes: `xinitrd.onfail=wait`.
    pub fn wait(&mut self) {
        crate::say(&[b"waiting on: xinitrd.onfail=wait"]);
        self.settings.patience = Patience::Forever;
        self.settings.delay = 0;
        sys::sleep(1000);
    }

    /// Drivers find their disks long after they have been loaded.
    #[inline(never)]
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
        loop {
            if let Some(node) = self.find(root, &mut seen) {
                self.node = node;
                return Ok(());
            }
            self.waited = sys::now() - started;
            if let Patience::Seconds(seconds) = self.settings.patience
                && self.waited / 1000 >= seconds
            {
                return Err(Fault::Absent);
            }
            if self.waited >= SILENCE && !told {
                told = true;
                note(&[b"waiting for ", self.settings.root]);
            }
            sys::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The root's node, where it is there.
    #[inline(never)]
    fn find(&self, root: &Root<'_>, seen: &mut Seen) -> Option<Node> {
        if let Root::Node(path) = root {
            if self.own_nodes {
                let _ = devices::each(true, &mut |_| ControlFlow::Continue(()));
            }
            let node = Node::of(path);
            return (!node.is_cut() && sys::exists(node.as_c_str())).then_some(node);
        }
        let mut found = None;
        let _ = devices::each(
            self.own_nodes,
            &mut |block| match self.matching(root, block, seen) {
                Some(node) => {
                    found = Some(node);
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            },
        );
        found
    }

    /// The node of the root, where this block device is what names it.
    #[inline(never)]
    fn matching(&self, root: &Root<'_>, block: &Block, seen: &mut Seen) -> Option<Node> {
        if let Root::Number { major, minor } = root {
            let is_it = (block.major, block.minor) == (*major, *minor);
            return is_it.then(|| Node::of(block.node().to_bytes()));
        }
        if seen.has(block) {
            return None;
        }
        let is_it = match root {
            Root::Uuid(uuid) => block.superblock()?.has_uuid(uuid),
            Root::Label(name) => {
                let superblock = block.superblock()?;
                superblock.kind.is_file_system() && name.is(superblock.label.as_bytes())
            }
            Root::PartLabel(name) => name.is(block.identity()?.label.as_bytes()),
            Root::PartUuid { uuid, offset } => {
                let identity = block.identity()?;
                if !identity.uuid.as_bytes().eq_ignore_ascii_case(uuid) {
                    return None;
                }
                return self.neighbour(block, *offset);
            }
            Root::Node(_) | Root::Number { .. } => false,
        };
        is_it.then(|| Node::of(block.node().to_bytes()))
    }

    /// The node of the partition so many further on the same disk.
    #[inline(never)]
    fn neighbour(&self, block: &Block, offset: i32) -> Option<Node> {
        let wanted = block.partition?.checked_add_signed(offset);
        let disk = block.disk();
        let mut found = None;
        let _ = devices::each(self.own_nodes, &mut |other| {
            if other.partition == wanted && other.disk().as_bytes() == disk.as_bytes() {
                found = Some(Node::of(other.node().to_bytes()));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// Mounts the root: by the types that the command line says, or else the likely ones and then every
    /// one that the kernel knows by now.
    #[inline(never)]
    fn mount(&mut self) -> Result<(), Fault<'a>> {
        self.reasons.truncate(0);
        let options = Options::of(self.settings.flags, self.settings.writable);
        let mut known = [0; 4096];
        let (first, then) = match self.settings.types {
            [] => (self.settings.likely, read(c"/proc/filesystems", &mut known)),
            types => (types, &[][..]),
        };
        register_btrfs(self.own_nodes);
        let mut types = commas(first).chain(with_devices(then));
        let mounted = types.any(|kind| self.mount_as(kind, &options));
        mounted.then_some(()).ok_or(Fault::Unmountable)
    }

    /// Whether the root is mounted as this type.
    #[inline(never)]
    fn mount_as(&mut self, kind: &[u8], options: &Options) -> bool {
        let name = Text::<64>::of(kind);
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
            push_error(reasons.push(kind).push(b": "), error);
        }
        mounted.is_ok()
    }
}

/// The file systems of a list that lie on devices.
fn with_devices(known: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = known.split(|byte| *byte == b'\n');
    let types = lines.filter_map(|line| line.strip_prefix(b"\t"));
    types.filter(|kind| !kind.is_empty())
}

fn commas(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let types = list.split(|byte| *byte == b',');
    types.filter(|kind| !kind.is_empty())
}

/// A file system of btrfs may lie on several devices, and the kernel has to know all of them.
#[inline(never)]
fn register_btrfs(own_nodes: bool) {
    let Ok(control) = File::open(c"/dev/btrfs-control", Open::Read) else {
        return;
    };
    let _ = devices::each(own_nodes, &mut |block| {
        let superblock = block.superblock();
        if superblock.is_some_and(|superblock| superblock.kind == Kind::Btrfs) {
            control.register_btrfs(block.node());
        }
        ControlFlow::Continue(())
    });
}
