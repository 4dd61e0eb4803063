//! Mount options: those that are flags of the system call, and those that the file system reads itself.

use crate::text::Text;

/// Bytes of options that a file system may be handed; the kernel takes no more than a page.
pub const OPTIONS_LIMIT: usize = 4096;

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
    pub data: Text<OPTIONS_LIMIT>,
}

impl Options {
    /// Takes options apart, which begin as `ro` or `rw`.
    #[must_use]
    pub fn of(options: &[u8], writable: bool) -> Options {
        let mut taken = Options {
            flags: if writable { 0 } else { READ_ONLY },
            data: Text::default(),
        };
        for word in options.split(|byte| *byte == b',') {
            taken.take(word);
        }
        taken
    }

    fn take(&mut self, word: &[u8]) {
        if let Some(flag) = flag(word) {
            self.flags |= flag;
        } else if let Some(flag) = cleared(word) {
            self.flags &= !flag;
        } else if !word.is_empty() && word != b"defaults" {
            if !self.data.is_empty() {
                self.data.push_byte(b',');
            }
            self.data.push(word);
        }
    }
}

/// The words that set a flag, each in the place of its bit.
const FLAGS: &[u8] =
    b"ro,nosuid,nodev,noexec,sync,,mand,dirsync,,,noatime,nodiratime,,,,silent,,,,,,\
    relatime,,iversion,strictatime,lazytime";

/// The flag that a word sets.
fn flag(word: &[u8]) -> Option<usize> {
    let mut flags = FLAGS.split(|byte| *byte == b',');
    let bit = flags.position(|flag| flag == word)?;
    (!word.is_empty()).then(|| 1 << bit)
}

/// The flag that a word clears: one that sets it with `no` before, or without it.
fn cleared(word: &[u8]) -> Option<usize> {
    match word {
        b"rw" => Some(READ_ONLY),
        b"async" => flag(b"sync"),
        b"loud" => Some(SILENT),
        _ => {
            let with_no = Text::<16>::of(b"no").push(word).clone();
            flag(with_no.as_bytes()).or_else(|| flag(word.strip_prefix(b"no")?))
        }
    }
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
            ("norelatime,nolazytime,nobarrier", true, 0, "nobarrier"),
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
