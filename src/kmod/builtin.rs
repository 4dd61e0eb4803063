//! What is built into the kernel: `modules.builtin` and `modules.builtin.modinfo`.

use super::aliases::{Aliases, Cost};
use super::line_index::LineIndex;
use super::lines::lines;
use super::name::ModuleName;

/// The modules a kernel has built in, by name and by alias. It takes little more memory than the files did.
#[derive(Debug, Default)]
pub struct Builtin {
    /// Normalised, a line each.
    names: LineIndex,
    aliases: Aliases,
}

impl Builtin {
    /// Reads both files, of the first as many as there are; each may be missing, as the second is before 5.2
    /// and both before 2.6.33.
    #[must_use]
    pub fn parse<'l>(lists: impl IntoIterator<Item = &'l [u8]>, modinfo: Option<&[u8]>) -> Builtin {
        let mut names = Vec::new();
        for line in lists.into_iter().flat_map(lines) {
            let file_name = line.trim_ascii().rsplit(|&b| b == b'/').next();
            if let Some(name) = file_name.and_then(ModuleName::of_file) {
                names.extend_from_slice(name.as_bytes());
                names.push(b'\n');
            }
        }
        names.shrink_to_fit();
        let mut aliases = Aliases::default();
        for field in modinfo.unwrap_or_default().split(|&b| b == 0) {
            if let Some((pattern, module)) = alias(field) {
                aliases.push(pattern, &module);
            }
        }
        Builtin {
            names: LineIndex::new(names, b'\n'),
            aliases,
        }
    }

    /// Whether a built-in module is called `name`.
    #[must_use]
    pub fn has(&self, name: &ModuleName) -> bool {
        self.names.find(name.as_bytes()).is_some()
    }

    /// The built-in module called `name`, or that `name` is an alias of; aliases are looked through as far
    /// as `cost` allows.
    #[must_use]
    pub fn find(&self, name: &[u8], cost: &Cost) -> Option<ModuleName> {
        let as_name = ModuleName::new(name);
        match self.has(&as_name) {
            true => Some(as_name),
            false => self.aliases.matching(name, cost).next(),
        }
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = ModuleName> {
        self.names.keys().map(ModuleName::new)
    }
}

/// Reads `MODULE.alias=PATTERN`.
fn alias(field: &[u8]) -> Option<(&[u8], ModuleName)> {
    let equals = memchr::memchr(b'=', field)?;
    let (tag, pattern) = field.split_at_checked(equals)?;
    let module = tag.strip_suffix(b".alias")?;
    Some((pattern.get(1..)?, ModuleName::new(module)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_of_built_in_modules_are_found() {
        let builtin = Builtin::parse(
            [
                &b"kernel/drivers/block/xen-blkfront.ko\n\nnoise\n"[..],
                b"kernel/fs/ext4/ext4.ko",
            ],
            Some(b"ext4.license=GPL\0ext4.alias=fs-ext4\0xen_blkfront.alias=xen:vbd\0=\0"),
        );
        for (name, want) in [
            ("xen_blkfront", Some("xen_blkfront")),
            ("xen:vbd", Some("xen_blkfront")),
            ("fs-ext4", Some("ext4")),
            ("noise", None),
        ] {
            assert_eq!(
                builtin.find(name.as_bytes(), &Cost::default()),
                want.map(ModuleName::new),
                "{name}"
            );
        }
    }
}
