//! The `/init` of the `busybox` manifest: a script that is the same in every image. What to load and where
//! the root is it reads from the texts of [`super::texts`].

use super::texts::{ROOTS, Texts, unknown_device};
use super::{Boot, CONSOLE, InitFault, Need};

/// The script, an `/init` of mode 0755; its interpreter is `/bin/busybox`.
pub const INIT: &str = include_str!("busybox.sh");

/// What the script needs in its image, apart from what is made for it: [`APPLETS`], and the files
/// it reads. `/dev/null` takes messages from before devtmpfs is mounted.
pub const NEEDS: [Need; 7] = [
    Need::Program(BUSYBOX),
    Need::Directory("proc"),
    Need::Directory("sys"),
    Need::Directory("dev"),
    Need::Directory("sysroot"),
    CONSOLE,
    Need::CharDevice("dev/null", 1, 3),
];

/// Where the script has its interpreter; the links of [`APPLETS`] go beside it.
pub const BUSYBOX: &str = "bin/busybox";

/// The applets the script calls, for which links are made.
///
/// `sh` is the shell it offers when there is no root; the script itself is run by name.
pub const APPLETS: &[&str] = &[
    "cat",
    "cttyhack",
    "dd",
    "hexdump",
    "insmod",
    "mkdir",
    "mknod",
    "mount",
    "poweroff",
    "readlink",
    "reboot",
    "setsid",
    "sh",
    "sleep",
    "switch_root",
    "tr",
    "umount",
    "usleep",
];

/// Those of [`APPLETS`] that every boot with modules takes; `switch_root` it calls as a word of busybox.
pub const EVERY_BOOT: &[&str] = &["cat", "insmod", "mount", "readlink"];

/// The texts that the script reads.
///
/// # Errors
/// As of [`Texts::of`], and a root device of a form that the script does not know.
pub fn texts(boot: &Boot) -> Result<Texts, InitFault> {
    boot.root_device.as_deref().map_or(Ok(()), check_root)?;
    Texts::of(boot)
}

/// Proves that the script will understand the root device: its `understand_root`, said once more.
fn check_root(device: &str) -> Result<(), InitFault> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_tag = |tag: &&&str| tag.ends_with('=') && device.starts_with(**tag);
    let known = match device.split_once(':') {
        _ if device == "/dev/nfs" => false,
        _ if device.starts_with("/dev/") => device.len() > "/dev/".len(),
        _ if device.contains('=') => {
            let tag = ROOTS.iter().find(is_tag);
            tag.is_some_and(|tag| device.len() > tag.len())
        }
        Some((major, minor)) => digits(major) && digits(minor),
        None => !device.is_empty() && device.bytes().all(|b| b.is_ascii_hexdigit()),
    };
    known.then_some(()).ok_or_else(|| unknown_device(device))
}
