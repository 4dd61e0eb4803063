//! The image's list of modules, and what the command line says of them.
//!
//! The list has a module a line, in load order: its path without a leading slash, and, behind a space, its
//! parameters, as the kernel takes them.

use crate::text::{LIMIT, Parts, Text, split_once};
use crate::words::{Word, Words};

/// Where the list lies in the image.
pub const LIST: &str = "etc/xinitrd/modules";

/// Bytes of a module's path, which gets a slash.
pub const PATH_LIMIT: usize = LIMIT - 2;

/// Bytes of a module's parameters, those of the command line among them.
pub const PARAMETERS_LIMIT: usize = LIMIT - 1;

/// A line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module<'a> {
    /// The module's file, without a leading slash.
    pub path: &'a [u8],
    /// Its parameters.
    pub parameters: &'a [u8],
}

/// The modules of a list, in its order.
pub fn modules(list: &[u8]) -> impl Iterator<Item = Module<'_>> {
    let lines = Parts::of(list, b'\n');
    lines.filter(|line| !line.is_empty()).map(|line| {
        let (path, parameters) = split_once(line, b' ').unwrap_or((line, &[]));
        Module { path, parameters }
    })
}

impl<'a> Module<'a> {
    /// The name: the file's, without `.ko` and what follows it.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        let file = self.path.rsplit(|byte| *byte == b'/').next();
        let file = file.unwrap_or_default();
        let end = file.windows(3).position(|end| end == b".ko");
        end.and_then(|end| file.get(..end)).unwrap_or(file)
    }

    /// Whether the file is compressed, which the kernel then has to undo.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        !self.path.ends_with(b".ko")
    }

    /// The list's parameters, and then those of command lines, `MODULE.NAME=VALUE`, in their order: of one that
    /// comes twice the kernel heeds the last.
    #[must_use]
    pub fn all_parameters(&self, lines: &[&[u8]]) -> Text {
        let mut all = Text::of(self.parameters);
        for line in lines {
            for word in Words::of(line) {
                if let Some((module, name)) = word.of_module()
                    && is_same(module, self.name())
                {
                    append(&mut all, name, word);
                }
            }
        }
        all
    }

    /// Whether a command line has the module left out: `modprobe.blacklist=`, as kmod reads it.
    #[must_use]
    pub fn is_unwanted(&self, lines: &[&[u8]]) -> bool {
        lines.iter().any(|line| {
            Words::of(line).any(|word| {
                word.name == b"modprobe.blacklist"
                    && Parts::of(word.value.unwrap_or_default(), b',')
                        .any(|name| is_same(name, self.name()))
            })
        })
    }
}

/// The kernel takes quotes around a value with spaces.
fn append(all: &mut Text, name: &[u8], word: Word<'_>) {
    if !all.is_empty() {
        all.push_byte(b' ');
    }
    all.push(name);
    let Some(value) = word.value else { return };
    let quote: &[u8] = match value.iter().any(u8::is_ascii_whitespace) {
        true => b"\"",
        false => b"",
    };
    all.push_byte(b'=').push(quote).push(value).push(quote);
}

/// `-` and `_` are the same in a module's name.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let normal = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    one.iter().map(normal).eq(other.iter().map(normal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn module(path: &str) -> Module<'_> {
        Module {
            path: path.as_bytes(),
            parameters: b"",
        }
    }

    #[test]
    fn a_line_is_a_path_and_parameters() {
        let list = b"lib/jbd2.ko\n\nlib/a.ko x=1 y=\"2 3\"\n";
        let read: Vec<_> = modules(list).collect();
        let want = Module {
            path: b"lib/a.ko",
            parameters: b"x=1 y=\"2 3\"",
        };
        assert_eq!(read, [module("lib/jbd2.ko"), want]);
    }

    #[test]
    fn a_name_ends_before_its_ending() {
        for (path, name, compressed) in [
            ("lib/xen-blkfront.ko", "xen-blkfront", false),
            ("a.ko.xz", "a", true),
            ("lib.d/a", "a", true),
        ] {
            let module = module(path);
            assert_eq!(
                (module.name(), module.is_compressed()),
                (name.as_bytes(), compressed)
            );
        }
    }

    #[test]
    fn the_command_line_has_the_last_word_on_parameters() {
        let line = b"root=/dev/vda xen_blkfront.max=4 other.max=5 xen-blkfront.name=\"a b\" xen_blkfront.flag";
        let module = Module {
            path: b"lib/xen-blkfront.ko",
            parameters: b"max=1",
        };
        let all = module.all_parameters(&[b"xen_blkfront.max=2", line]);
        assert_eq!(all.as_bytes(), b"max=1 max=2 max=4 name=\"a b\" flag");
    }

    #[test]
    fn a_module_may_be_unwanted() {
        let line = b"modprobe.blacklist=a,xen_netfront modprobe.blacklist=b";
        assert!(module("lib/xen-netfront.ko").is_unwanted(&[b"", line]));
        assert!(module("b.ko").is_unwanted(&[b"", line]));
        assert!(!module("xen.ko").is_unwanted(&[b"", line]));
    }
}
