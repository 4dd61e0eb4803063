//! From the initramfs to the root: its init is found, the initramfs freed, and the init run.

use crate::devices::names;
use crate::loading::Path;
use crate::root::{Fault, NEW_ROOT};
use crate::sys::{self, Errno, File, Open, Start};

/// What the kernel itself would try (`kernel_init` in its `init/main.c`).
const USUAL: [&[u8]; 4] = [b"/sbin/init", b"/etc/init", b"/bin/init", b"/bin/sh"];

/// The programs of the root that can be its init, by their paths there; never none.
pub struct Programs<'a> {
    paths: [Option<&'a [u8]>; USUAL.len()],
}

impl<'a> Programs<'a> {
    /// What `init=` names and nothing else, or those of the kernel's own list that are there. Nothing is
    /// left of the initramfs by the time that one runs, so what is missing must be known before.
    #[inline(never)]
    pub fn find(named: Option<&'a [u8]>) -> Option<Programs<'a>> {
        let outside = File::open(c"/", Open::Directory).ok()?;
        sys::change_directory(NEW_ROOT).ok()?;
        sys::change_root(c".").ok()?;
        let mut paths = match named {
            Some(path) => [Some(path), None, None, None],
            None => USUAL.map(Some),
        };
        for path in &mut paths {
            *path = path.filter(|path| sys::is_executable(Path::of(path).as_c_str()));
        }
        outside.enter().ok()?;
        sys::change_root(c".").ok()?;
        paths
            .iter()
            .any(Option::is_some)
            .then_some(Programs { paths })
    }

    fn each(&self) -> impl Iterator<Item = &'a [u8]> {
        self.paths.iter().flatten().copied()
    }

    /// The one that is tried first.
    pub fn first(&self) -> &'a [u8] {
        self.each().next().unwrap_or_default()
    }
}

/// Enters the root and runs the first of `programs` that can be run; returns where none can.
#[inline(never)]
pub fn enter<'a>(programs: &Programs<'a>, start: &Start) -> Fault<'a> {
    for (view, place) in [
        (c"/dev", c"/sysroot/dev"),
        (c"/sys", c"/sysroot/sys"),
        (c"/proc", c"/sysroot/proc"),
    ] {
        // A root that has no place for one does without.
        if sys::move_mount(view, place).is_err() {
            sys::detach(view);
        }
    }
    free_initramfs();
    if let Err(error) = switch() {
        return Fault::NotRun(NEW_ROOT.to_bytes(), error);
    }
    let mut fault = Fault::NoInit;
    for program in programs.each() {
        fault = Fault::NotRun(program, start.run(Path::of(program).as_c_str()));
    }
    fault
}

/// Makes the mounted root the root of all.
fn switch() -> sys::Result<()> {
    sys::change_directory(NEW_ROOT)?;
    sys::move_mount(c".", c"/")?;
    sys::change_root(c".")?;
    sys::change_directory(c"/")
}

/// Removes all files of the initramfs, which would take memory for as long as the machine runs. Only where
/// it is one: a file system in memory.
#[inline(never)]
fn free_initramfs() {
    let root = File::open(c"/", Open::Directory);
    let device = root.and_then(|root| root.device());
    if let Ok(device) = device
        && sys::is_in_memory(c"/")
    {
        let mut path = Path::default();
        remove_all(&mut path, device, 0);
    }
}

/// Removes what lies in a directory, `path` without the slash at its end, and on this device.
fn remove_all(path: &mut Path, device: u64, depth: u32) {
    const DEEPEST: u32 = 64;
    let length = path.as_bytes().len();
    let opened = File::open(path.push_byte(b'/').as_c_str(), Open::Directory);
    path.truncate(length);
    let Ok(directory) = opened else { return };
    if directory.device() != Ok(device) || depth > DEEPEST {
        return;
    }
    let mut buffer = [0; 1024];
    while let Ok(records) = directory.read_directory(&mut buffer)
        && !records.is_empty()
    {
        for name in names(records) {
            path.push_byte(b'/').push(name);
            if !path.is_cut() && sys::unlink(path.as_c_str()) == Err(Errno::EISDIR) {
                remove_all(path, device, depth + 1);
                let _ = sys::remove_directory(path.as_c_str());
            }
            path.truncate(length);
        }
    }
}
