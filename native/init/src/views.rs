//! The kernel's own file systems: `/proc`, `/sys` and `/dev`.

use crate::read;
use crate::sys::{self, File, Open};

/// Mounts `/proc`. Returns whether this is a kernel's first file system, which its list of mounts begins with, and
/// no container whose files are somebody's.
pub fn is_in_rootfs() -> bool {
    const ROOTFS: &[u8] = b" / rootfs ";
    let _ = sys::make_directory(c"/proc");
    let _ = sys::mount(c"proc", c"/proc", c"proc", 0, c"");
    let mut mounts = [0; 64];
    let mounts = read(c"/proc/mounts", &mut mounts);
    mounts.windows(ROOTFS.len()).any(|words| words == ROOTFS)
}

/// Mounts the others. Returns whether `/dev` is a plain one in memory, because the kernel has no devtmpfs (before
/// 2.6.32, or without `CONFIG_DEVTMPFS`): then all nodes are still to be made.
pub fn mount() -> bool {
    for path in [c"/sys", c"/dev", c"/sysroot"] {
        let _ = sys::make_directory(path);
    }
    let _ = sys::mount(c"sysfs", c"/sys", c"sysfs", 0, c"");
    let devtmpfs = sys::mount(c"devtmpfs", c"/dev", c"devtmpfs", 0, c"mode=0755");
    let own_nodes = devtmpfs.is_err();
    if own_nodes {
        let _ = sys::mount(c"tmpfs", c"/dev", c"tmpfs", 0, c"mode=0755");
        let _ = sys::make_character_node(c"/dev/console", 5, 1);
        let _ = sys::make_character_node(c"/dev/null", 1, 3);
    }
    open_console();
    own_nodes
}

/// Where the image had no `/dev/console`, the kernel has given this process no standard error.
fn open_console() {
    if sys::is_open(2) {
        return;
    }
    if let Ok(console) = File::open(c"/dev/console", Open::ReadWrite) {
        console.become_console();
        // What was opened as one of the three must stay.
        core::mem::forget(console);
    }
}
