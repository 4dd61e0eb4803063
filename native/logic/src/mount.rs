//! Mount options: those that are flags of the system call, and those that the file system reads itself.

use crate::text::{Parts, Text, named};

/// `MS_RDONLY`.
pub const READ_ONLY: usize = 1;
/// `MS_SILENT`: a file system that is not the device's says nothing of it.
pub const SILENT: usize = 1 << 15;

/// Options, taken apart.
#[derive(Debug)]
pub struct Options {
    /// The `MS_` flags (`linux/mount.h`).
    pub flags: usize,
    /// What is left for the file system, with commas between.
    pub data: Text,
}

impl Options {
    /// Takes options apart, which begin as `ro` or `rw`.
    #[must_use]
    pub fn of(options: &[u8], writable: bool) -> Options {
        let mut taken = Options {
            flags: if writable { 0 } else { READ_ONLY },
            data: Text::default(),
        };
        for word in Parts::of(options, b',') {
            taken.take(word);
        }
        taken
    }

    fn take(&mut self, word: &[u8]) {
        if let Some(flag) = flag(word) {
            self.flags |= flag;
        } else if let Some(flag) = cleared(word) {
            self.flags &= !flag;
        } else if !is_of_fstab(word) {
            if !self.data.is_empty() {
                self.data.push_byte(b',');
            }
            self.data.push(word);
        }
    }
}

/// Whether a word means nothing to a mount: an empty one, too.
fn is_of_fstab(word: &[u8]) -> bool {
    Parts::of(FSTAB, b',').any(|known| known == word) || word.starts_with(b"x-")
}

/// The words that set a flag, each in the place of its bit.
const FLAGS: &[u8] =
    b"ro,nosuid,nodev,noexec,sync,,mand,dirsync,nosymfollow,,noatime,nodiratime,,,,silent,,,,,,\
    relatime,,iversion,strictatime,lazytime";

/// The flag that a word sets.
fn flag(word: &[u8]) -> Option<usize> {
    let mut flags = Parts::of(FLAGS, b',');
    let bit = flags.position(|flag| flag == word)?;
    (!word.is_empty()).then(|| 1 << bit)
}

/// The words that clear a flag and are not made of the one that sets it.
const CLEARING: [(&[u8], usize); 2] = [(b"rw", READ_ONLY), (b"async", 1 << 4)];

/// The words of an fstab that are for mount(8) alone.
const FSTAB: &[u8] = b",defaults,auto,noauto,nofail,_netdev,user,nouser,users,owner,group";

/// The flag that a word clears: one that sets it with `no` before, or without it.
fn cleared(word: &[u8]) -> Option<usize> {
    if let Some(bare) = word.strip_prefix(b"no") {
        return flag(bare);
    }
    let mut with_no = Text::of(b"no");
    with_no.push(word);
    named(word, &CLEARING).or_else(|| flag(with_no.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_the_system_calls_and_the_rest_is_the_file_systems() {
        for (options, writable, flags, data) in [
            ("", false, 1, ""),
            ("", true, 0, ""),
            ("noatime,errors=panic", false, 1 | 1 << 10, "errors=panic"),
            (
                "defaults,subvol=@,compress=zstd",
                true,
                0,
                "subvol=@,compress=zstd",
            ),
            ("rw", false, 0, ""),
            ("noatime,atime,nosuid,nodev", true, 2 | 4, ""),
            (
                "norelatime,nolazytime,nobarrier,nofail,x-systemd.a=b,_netdev",
                true,
                0,
                "nobarrier",
            ),
            (",,ro,", true, 1, ""),
        ] {
            let taken = Options::of(options.as_bytes(), writable);
            assert_eq!(
                (taken.flags, taken.data.as_bytes()),
                (flags, data.as_bytes()),
                "{options}"
            );
        }
    }
}
