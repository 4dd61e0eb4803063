//! From the initramfs to the root: its init is found, the initramfs freed, and the init run.

use xinitrd_native_logic::text::Text;

use crate::devices::names;
use crate::root::{Fault, NEW_ROOT};
use crate::sys::{self, Errno, File, Open, Start};

/// What the kernel itself would try; here the first that is there is run (`kernel_init` in its `init/main.c`).
const USUAL: [&[u8]; 4] = [b"/sbin/init", b"/etc/init", b"/bin/init", b"/bin/sh"];

/// What `init=` names and nothing else, or the kernel's own list.
pub fn candidates<'s, 'a>(named: &'s Option<&'a [u8]>) -> &'s [&'a [u8]] {
    match named {
        Some(_) => named.as_slice(),
        None => &USUAL,
    }
}

/// The first of the programs that the root has. Nothing is left of the initramfs by the time that it runs,
/// so that it is missing must be known before.
pub fn find<'a>(programs: &[&'a [u8]]) -> Option<&'a [u8]> {
    let outside = File::open(c"/", Open::Directory).ok()?;
    sys::change_directory(NEW_ROOT).ok()?;
    sys::change_root(c".").ok()?;
    let mut programs = programs.iter();
    let there = programs.find(|path| {
        let path = Text::of(path);
        !path.is_cut() && sys::is_executable(path.as_c_str())
    });
    outside.enter().ok()?;
    sys::change_root(c".").ok()?;
    there.copied()
}

/// Enters the root and runs its init; returns where that does not run.
pub fn enter<'a>(program: &'a [u8], own_nodes: bool, start: &Start) -> Fault<'a> {
    for view in [c"/dev", c"/sys", c"/proc"] {
        let mut place = Text::of(NEW_ROOT.to_bytes());
        place.push(view.to_bytes());
        // A root that has no place for one does without; and where there is no devtmpfs, it has nodes of its own.
        let is_kept = !(own_nodes && view == c"/dev");
        if !is_kept || sys::move_mount(view, place.as_c_str()).is_err() {
            sys::detach(view);
        }
    }
    free_initramfs();
    match switch() {
        Ok(()) => Fault::NotRun(program, start.run(Text::of(program).as_c_str())),
        Err(error) => Fault::NotRun(NEW_ROOT.to_bytes(), error),
    }
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
fn free_initramfs() {
    let root = File::open(c"/", Open::Directory);
    let device = root.and_then(|root| root.device());
    if let Ok(device) = device
        && sys::is_in_memory(c"/")
    {
        let mut path = Text::default();
        remove_all(&mut path, device, 0);
    }
}

/// Removes what lies in a directory, `path` without the slash at its end, and on this device.
fn remove_all(path: &mut Text, device: u64, depth: u32) {
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
