//! What a package says of itself.

use std::fmt;

use crate::arch::PackageArch;

/// The kinds of packages that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Debian's, `.deb`.
    Deb,
    /// Red Hat's, `.rpm`.
    Rpm,
    /// Arch's, `.pkg.tar`.
    Pacman,
    /// Alpine's, `.apk`.
    Apk,
    /// A tar archive of files, which says nothing of itself.
    Tar,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Deb => "deb",
            Format::Rpm => "rpm",
            Format::Pacman => "pacman",
            Format::Apk => "apk",
            Format::Tar => "tar",
        })
    }
}

/// What a package says of itself; nothing where it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its kind.
    pub format: Format,
    /// Its name: `linux-image-6.1.0-43-amd64`.
    pub name: Option<String>,
    /// Its version, the release in it: `6.1.162-1`.
    pub version: Option<String>,
    /// The architecture it is for, in the words of its distribution.
    pub arch: Option<String>,
    /// The names of packages that it needs, those that would do instead among them; of some formats alone.
    pub needs: Vec<String>,
}

/// The most names of needed packages that are kept: a kernel's have some dozens.
const NEEDS_LIMIT: usize = 1000;
/// What the names of packages with parts of a kernel begin with, by Debian and by Fedora.
const PARTS: [&str; 6] = [
    "linux-base-",
    "linux-image-",
    "linux-binary-",
    "linux-modules-",
    "kernel-core",
    "kernel-modules",
];

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "unknown".to_owned();
        let [name, version, arch] = [&self.name, &self.version, &self.arch]
            .map(|said| said.clone().unwrap_or_else(unknown));
        match self.name {
            Some(_) => write!(f, "{name} {version} ({arch})"),
            None => write!(f, "a {} archive", self.format),
        }
    }
}

impl Facts {
    /// Those of a package that says nothing.
    #[must_use]
    pub const fn none(format: Format) -> Facts {
        Facts {
            format,
            name: None,
            version: None,
            arch: None,
            needs: Vec::new(),
        }
    }

    /// Which packages with parts of a kernel go with this one: those that it needs; and with Debian's kernel itself
    /// its modules, which that does not need.
    pub fn parts_of_kernel(&self) -> impl Iterator<Item = String> {
        let is_part = |name: &&String| PARTS.iter().any(|part| name.starts_with(part));
        let binary = self.name.as_deref().unwrap_or_default();
        let modules = ["linux-binary-", "linux-base-"]
            .iter()
            .find_map(|start| binary.strip_prefix(start));
        let modules = modules.map(|kernel| format!("linux-modules-{kernel}"));
        let needs = self.needs.iter().filter(is_part).cloned();
        needs.chain(modules)
    }

    /// Keeps the names of packages that are needed.
    pub(super) fn take_needs<'n>(&mut self, names: impl Iterator<Item = &'n [u8]>) {
        let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
        self.needs.extend(names.take(NEEDS_LIMIT));
    }

    /// The architecture, as this program has it; `None` where the package says none.
    #[must_use]
    pub fn package_arch(&self) -> Option<PackageArch> {
        self.arch.as_deref().map(PackageArch::of)
    }

    /// Reads fields of `lines`, each `KEY`, `separator`, value: the first of each key counts.
    pub(super) fn take_fields(&mut self, text: &[u8], separator: u8, keys: [&[u8]; 3]) {
        let [name, version, arch] = keys;
        for line in text.split(|&byte| byte == b'\n') {
            let mut parts = line.splitn(2, |&byte| byte == separator);
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            let field = match key.trim_ascii() {
                key if key == name => &mut self.name,
                key if key == version => &mut self.version,
                key if key == arch => &mut self.arch,
                _ => continue,
            };
            let value = || String::from_utf8_lossy(value.trim_ascii()).into_owned();
            field.get_or_insert_with(value);
        }
    }
}
