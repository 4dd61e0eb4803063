//! From the settings to a mounted root with an init, or to what stands in the way.

use core::ffi::CStr;

use xinitrd_native_logic::errno;
use xinitrd_native_logic::mount::{Options, READ_ONLY, SILENT};
use xinitrd_native_logic::root::{Root, RootFault};
use xinitrd_native_logic::settings::{PATIENCE, Patience};
use xinitrd_native_logic::superblock::Kind;
use xinitrd_native_logic::text::{Parts, Text, is_same_but_for_case};

use crate::devices::{self, Block};
use crate::handover::{candidates, find};
use crate::report::report;
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

impl<'a> Boot<'a> {
    /// Mounts the root, and finds the program to hand over to.
    pub fn reach_root(&mut self) -> Result<&'a [u8], Fault<'a>> {
        let settings = &self.settings;
        let root = Root::read(settings.root, settings.nfsroot).map_err(Fault::Asked)?;
        sys::sleep(settings.delay.saturating_mul(1000));
        self.wait_for(&root)?;
        let Some(program) = find(candidates(&self.settings.init)) else {
            sys::detach(NEW_ROOT);
            return Err(Fault::NoInit);
        };
        self.note(&[b"root is ", self.node.as_bytes(), b", init is ", program]);
        Ok(program)
    }

    /// Waits for the root's device and mounts it. Drivers find their disks long after they have been loaded, and
    /// what btrfs has on several devices is there when the last one is.
    fn wait_for(&mut self, root: &Root<'_>) -> Result<(), Fault<'a>> {
        const FIRST_PAUSE: u64 = 1;
        const LONGEST_PAUSE: u64 = 50;
        let started = sys::now();
        let mut pause = FIRST_PAUSE;
        let mut told = 0;
        loop {
            let fault = match self.is_there(root) {
                false => Fault::Absent,
                true if self.mount() => return Ok(()),
                true => Fault::Unmountable,
            };
            self.waited = sys::now() - started;
            let is_final = matches!(fault, Fault::Unmountable)
                && devices::kind_of(&self.node) != Some(Kind::Btrfs);
            if is_final || self.patience_ends() {
                return Err(fault);
            }
            if told == 0 && self.waited >= 2000 {
                told = 1;
                self.note(&[b"waiting for ", self.settings.root]);
            }
            // Longer than who says nothing of waiting has patience: this is for who said `rootwait`.
            if told == 1 && self.waited >= PATIENCE * 1000 + 500 {
                told = 2;
                report(self, &fault);
            }
            sys::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn patience_ends(&self) -> bool {
        match self.settings.patience {
            Patience::Seconds(seconds) => self.waited / 1000 >= seconds,
            Patience::Forever => false,
        }
    }

    /// Whether the root's device is there, and can be opened; then its node is known.
    fn is_there(&mut self, root: &Root<'_>) -> bool {
        if self.own_nodes {
            devices::make_nodes();
        }
        if let Root::Node(path) = root {
            self.node = Text::of(path);
        } else if !self.is_found(root) {
            return false;
        }
        devices::can_be_read(&self.node)
    }

    /// Whether a block device is what names the root; then its node is known.
    fn is_found(&mut self, root: &Root<'_>) -> bool {
        devices::each(&mut |block| {
            let is_it = is_named_by(block, root);
            if is_it {
                self.node = block.node.clone();
            }
            is_it
        })
    }

    /// Whether the root is mounted: by the types that the command line says, or else by the likely one and then
    /// by every one that the kernel knows by now.
    fn mount(&mut self) -> bool {
        self.reasons.truncate(0);
        let options = Options::of(self.settings.flags, self.settings.writable);
        register_btrfs();
        let mut known = [0; 2048];
        match self.settings.types {
            [] => {
                let known = read(c"/proc/filesystems", &mut known);
                self.mount_as_one_of(self.settings.likely, b',', b"", &options)
                    || self.mount_as_one_of(known, b'\n', b"\t", &options)
            }
            types => self.mount_as_one_of(types, b',', b"", &options),
        }
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
            match options.data.is_cut() {
                true => Err(Errno::E2BIG),
                false => sys::mount(node, NEW_ROOT, name.as_c_str(), flags | SILENT, data),
            }
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
fn is_named_by(block: &Block, root: &Root<'_>) -> bool {
    match root {
        Root::Number { major, minor } => (block.major, block.minor) == (*major, *minor),
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
