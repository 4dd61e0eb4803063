//! A module's name: how files, index files and people spell it, made one.

use std::fmt;

use crate::image_path::Shown;

/// A module's name with every `-` turned into `_`, as the kernel lists it (`modprobe(8)`: the two
/// are equal).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(Vec<u8>);

/// What may follow a module's name in its file's name.
const SUFFIXES: [&[u8]; 4] = [b".ko", b".ko.gz", b".ko.xz", b".ko.zst"];

impl ModuleName {
    /// The name spelt `text`: a bare name; what looks like a file's name loses its suffix.
    #[must_use]
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        ModuleName(underscored(stem(text).unwrap_or(text)))
    }

    /// The name of the module in a file called `file_name`; `None` where that is no module's.
    #[must_use]
    pub fn of_file(file_name: &[u8]) -> Option<Self> {
        stem(file_name)
            .filter(|stem| !stem.is_empty())
            .map(|stem| ModuleName(underscored(stem)))
    }

    /// The normalised bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether a file's name is that of a module.
#[must_use]
pub fn is_module_file(file_name: &[u8]) -> bool {
    stem(file_name).is_some_and(|stem| !stem.is_empty())
}

/// A module file's name without what compression adds: `ext4.ko` of `ext4.ko.xz`.
#[must_use]
pub fn unpacked_file_name(file_name: &[u8]) -> &[u8] {
    match stem(file_name) {
        Some(stem) => file_name
            .get(..stem.len() + b".ko".len())
            .unwrap_or(file_name),
        None => file_name,
    }
}

fn stem(file_name: &[u8]) -> Option<&[u8]> {
    SUFFIXES
        .iter()
        .find_map(|suffix| file_name.strip_suffix(*suffix))
}

fn underscored(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .map(|&b| if b == b'-' { b'_' } else { b })
        .collect()
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_equal() {
        for spelling in [
            "xen-blkfront",
            "xen_blkfront",
            "xen-blkfront.ko",
            "xen_blkfront.ko.zst",
        ] {
            assert_eq!(ModuleName::new(spelling).to_string(), "xen_blkfront");
        }
    }

    #[test]
    fn only_a_modules_file_names_a_module() {
        assert_eq!(
            ModuleName::of_file(b"ext4.ko.xz"),
            Some(ModuleName::new("ext4"))
        );
        for other in ["ext4.o", "ext4.ko.bz2", ".ko", "modules.dep"] {
            assert_eq!(ModuleName::of_file(other.as_bytes()), None, "{other}");
        }
        assert_eq!(unpacked_file_name(b"ext4.ko.xz"), b"ext4.ko");
    }
}
