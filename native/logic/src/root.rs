//! `root=` in all its forms.
//!
//! The kernel's own are those of `block/early-lookup.c` (`init/do_mounts.c` in old kernels); `UUID=` and
//! `LABEL=`, and udev's links of the same meaning below `/dev/disk`, are what every initramfs takes.

use crate::text::{Parts, decimal, hexadecimal, is_same_but_for_case, named, split_once};

/// The device that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root<'a> {
    /// By its node's path.
    Node(&'a [u8]),
    /// By its number.
    Number {
        /// The major one.
        major: u32,
        /// The minor one.
        minor: u32,
    },
    /// By the file system's UUID, in capitals or not.
    Uuid(&'a [u8]),
    /// By the file system's label.
    Label(Name<'a>),
    /// By the partition's UUID, in capitals or not.
    PartUuid(&'a [u8]),
    /// By the partition's name in a GPT.
    PartLabel(Name<'a>),
}

/// A name, as people or as udev write it.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    text: &'a [u8],
    /// Whether `\x20` stands for a space, as in the names of udev's links.
    escaped: bool,
}

/// Why no device is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootFault {
    /// There is no `root=`.
    Missing,
    /// It is on NFS or another network file system.
    Network,
    /// It is a name that udev would give, and udev is not here.
    Udev,
    /// It is of no form that is known.
    Unknown,
}

impl<'a> Root<'a> {
    /// Reads what `root=` says.
    ///
    /// # Errors
    /// Where that names no device.
    pub fn read(text: &'a [u8], nfsroot: bool) -> Result<Root<'a>, RootFault> {
        if text.is_empty() {
            return Err(if nfsroot {
                RootFault::Network
            } else {
                RootFault::Missing
            });
        }
        if is_network(text) {
            return Err(RootFault::Network);
        }
        if text.starts_with(b"/dev/") {
            return of_path(text);
        }
        let root = match split_once(text, b'=') {
            Some((tag, value)) => named(tag, &TAGS).and_then(|tag| of_tag(tag, value, false)),
            None => of_number(text),
        };
        root.ok_or(RootFault::Unknown)
    }
}

/// The devices and kinds of network file systems, before the first colon.
const NETWORK: &[u8] = b"/dev/nfs,/dev/cifs,nfs,nfs4,cifs";

fn is_network(text: &[u8]) -> bool {
    let kind = Parts::of(text, b':').next();
    Parts::of(NETWORK, b',').any(|network| kind == Some(network))
}

/// What a device is named by.
#[derive(Clone, Copy)]
enum Tag {
    Uuid,
    Label,
    PartUuid,
    PartLabel,
}

/// What stands before the `=` in `root=TAG=NAME`; and in small letters in `/dev/disk/by-TAG/NAME`.
const TAGS: [(&[u8], Tag); 4] = [
    (b"UUID", Tag::Uuid),
    (b"LABEL", Tag::Label),
    (b"PARTUUID", Tag::PartUuid),
    (b"PARTLABEL", Tag::PartLabel),
];

/// A node; or one of udev's links, whose meaning is in its name.
fn of_path(path: &[u8]) -> Result<Root<'_>, RootFault> {
    let Some(link) = path.strip_prefix(b"/dev/disk/by-") else {
        let is_named = path.len() > b"/dev/".len();
        return is_named
            .then_some(Root::Node(path))
            .ok_or(RootFault::Unknown);
    };
    let (kind, name) = split_once(link, b'/').ok_or(RootFault::Unknown)?;
    let mut tags = TAGS.iter();
    match tags.find(|(tag, _)| is_same_but_for_case(tag, kind)) {
        Some((_, tag)) => of_tag(*tag, name, true).ok_or(RootFault::Unknown),
        None => Err(RootFault::Udev),
    }
}

fn of_tag(tag: Tag, value: &[u8], escaped: bool) -> Option<Root<'_>> {
    if value.is_empty() {
        return None;
    }
    let name = Name {
        text: value,
        escaped,
    };
    match tag {
        Tag::Uuid => Some(Root::Uuid(value)),
        Tag::Label => Some(Root::Label(name)),
        // With `/PARTNROFF=` the kernel would count on from a partition.
        Tag::PartUuid if value.contains(&b'/') => None,
        Tag::PartUuid => Some(Root::PartUuid(value)),
        Tag::PartLabel => Some(Root::PartLabel(name)),
    }
}

/// `MAJOR:MINOR`, or both in hexadecimal digits as `new_decode_dev` has them (`linux/kdev_t.h`).
fn of_number(text: &[u8]) -> Option<Root<'_>> {
    if let Some((major, minor)) = split_once(text, b':') {
        return Some(Root::Number {
            major: u32::try_from(decimal(major)?).ok()?,
            minor: u32::try_from(decimal(minor)?).ok()?,
        });
    }
    let number = u32::try_from(hexadecimal(text.strip_prefix(b"0x").unwrap_or(text))?).ok()?;
    Some(Root::Number {
        major: number >> 8 & 0xfff,
        minor: number & 0xff | number >> 12 & 0xf_ff00,
    })
}

impl Name<'_> {
    /// Whether this is how `actual` is written.
    #[must_use]
    pub fn is(&self, actual: &[u8]) -> bool {
        if !self.escaped {
            return self.text == actual;
        }
        let mut rest = self.text;
        for byte in actual {
            match unescaped(rest) {
                Some((found, behind)) if found == *byte => rest = behind,
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.text, self.escaped) == (other.text, other.escaped)
    }
}

impl Eq for Name<'_> {}

/// The first byte, and what follows it.
fn unescaped(text: &[u8]) -> Option<(u8, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"\\x") {
        let (digits, behind) = rest.split_at_checked(2)?;
        return Some((u8::try_from(hexadecimal(digits)?).ok()?, behind));
    }
    let (first, rest) = text.split_first()?;
    Some((*first, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Root<'_>, RootFault> {
        Root::read(text.as_bytes(), false)
    }

    fn name(text: &str, escaped: bool) -> Name<'_> {
        Name {
            text: text.as_bytes(),
            escaped,
        }
    }

    #[test]
    fn a_device_is_named_in_many_ways() {
        let part = Root::PartUuid(b"0badcafe-01");
        for (text, want) in [
            ("/dev/xvda1", Root::Node(b"/dev/xvda1")),
            (
                "254:1",
                Root::Number {
                    major: 254,
                    minor: 1,
                },
            ),
            (
                "ca01",
                Root::Number {
                    major: 202,
                    minor: 1,
                },
            ),
            (
                "0x10fd02",
                Root::Number {
                    major: 253,
                    minor: 258,
                },
            ),
            ("UUID=aB-c", Root::Uuid(b"aB-c")),
            ("/dev/disk/by-uuid/aB-c", Root::Uuid(b"aB-c")),
            ("LABEL=a b", Root::Label(name("a b", false))),
            (
                "/dev/disk/by-label/a\\x20b",
                Root::Label(name("a\\x20b", true)),
            ),
            ("PARTUUID=0badcafe-01", part),
            ("/dev/disk/by-partuuid/0badcafe-01", part),
            ("PARTLABEL=r", Root::PartLabel(name("r", false))),
            ("/dev/disk/by-partlabel/r", Root::PartLabel(name("r", true))),
        ] {
            assert_eq!(read(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_names_no_device_says_why() {
        for (text, want) in [
            ("", RootFault::Missing),
            ("/dev/nfs", RootFault::Network),
            ("nfs:192.0.2.1:/srv", RootFault::Network),
            ("/dev/disk/by-path/pci-0", RootFault::Udev),
            ("/dev/", RootFault::Unknown),
            ("UUID=", RootFault::Unknown),
            ("NAME=a", RootFault::Unknown),
            ("vda1", RootFault::Unknown),
            ("1:", RootFault::Unknown),
            ("4294967296:1", RootFault::Unknown),
            ("PARTUUID=a/PARTNROFF=1", RootFault::Unknown),
        ] {
            assert_eq!(read(text), Err(want), "{text}");
        }
        assert_eq!(Root::read(b"", true), Err(RootFault::Network));
    }

    #[test]
    fn a_name_of_udev_has_bytes_in_hexadecimal() {
        for (escaped, actual, same) in [
            ("a\\x20b", "a b", true),
            ("a\\x2fb", "a/b", true),
            ("a", "ab", false),
            ("ab", "a", false),
            ("a\\x2", "a\\x2", false),
            ("\\xzz", "\\xzz", false),
        ] {
            assert_eq!(name(escaped, true).is(actual.as_bytes()), same, "{escaped}");
        }
        assert!(name("a\\x20b", false).is(b"a\\x20b"));
    }
}
