//! What is built into the kernel: `modules.builtin` and `modules.builtin.modinfo`.

use std::collections::HashSet;

use super::aliases::{Alias, normalise};
use super::name::ModuleName;

/// The modules a kernel has built in, by name and by alias.
#[derive(Debug, Default)]
pub struct Builtin {
    names: HashSet<ModuleName>,
    aliases: Vec<Alias>,
}

impl Builtin {
    /// Reads both files; either may be missing, as the second is before 5.2 and both before 2.6.33.
    #[must_use]
    pub fn parse(builtin: Option<&[u8]>, modinfo: Option<&[u8]>) -> Builtin {
        let mut found = Builtin::default();
        for line in builtin.unwrap_or_default().split(|&b| b == b'\n') {
            let file_name = line
                .trim_ascii()
                .rsplit(|&b| b == b'/')
                .next()
                .unwrap_or_default();
            found.names.extend(ModuleName::of_file(file_name));
        }
        for field in modinfo.unwrap_or_default().split(|&b| b == 0) {
            found.aliases.extend(alias(field));
        }
        found
    }

    /// The built-in module called `name`, or that `name` is an alias of.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<ModuleName> {
        let as_name = ModuleName::new(name);
        if self.names.contains(&as_name) {
            return Some(as_name);
        }
        let normalised = normalise(name);
        self.aliases
            .iter()
            .find(|alias| alias.matches(&normalised))
            .map(|alias| alias.module.clone())
    }

    /// Every name, in no order.
    pub fn names(&self) -> impl Iterator<Item = &ModuleName> {
        self.names.iter()
    }
}

/// Reads `MODULE.alias=PATTERN`.
fn alias(field: &[u8]) -> Option<Alias> {
    let equals = field.iter().position(|&b| b == b'=')?;
    let (tag, pattern) = field.split_at_checked(equals)?;
    let module = tag.strip_suffix(b".alias")?;
    Some(Alias::new(pattern.get(1..)?, ModuleName::new(module)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_of_built_in_modules_are_found() {
        let builtin = Builtin::parse(
            Some(b"kernel/drivers/block/xen-blkfront.ko\nkernel/fs/ext4/ext4.ko\n\nnoise\n"),
            Some(b"ext4.license=GPL\0ext4.alias=fs-ext4\0xen_blkfront.alias=xen:vbd\0=\0"),
        );
        for (name, want) in [
            ("xen_blkfront", Some("xen_blkfront")),
            ("xen:vbd", Some("xen_blkfront")),
            ("fs-ext4", Some("ext4")),
            ("noise", None),
        ] {
            assert_eq!(
                builtin.find(name.as_bytes()),
                want.map(ModuleName::new),
                "{name}"
            );
        }
    }
}
