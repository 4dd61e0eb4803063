//! Who made an image, by what each builder leaves in its images.

use std::fmt;

use crate::image_path::ImagePath;
use crate::inspect::tree::Tree;
use crate::root::FileKind;

use super::init::{Init, InitKind};
use super::words::{lines, text, unquoted};

/// Who made an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Generator {
    /// This program.
    Xinitrd,
    /// dracut.
    Dracut,
    /// Debian's initramfs-tools.
    InitramfsTools,
    /// Arch's mkinitcpio.
    Mkinitcpio,
    /// Red Hat's mkinitrd, whose init is a nash script.
    Mkinitrd,
    /// booster.
    Booster,
    /// tiny-initramfs.
    TinyInitramfs,
    /// u-root.
    URoot,
    /// Nobody known.
    #[default]
    Unknown,
}

impl Generator {
    /// Its name, as its own documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Generator::Xinitrd => "xinitrd",
            Generator::Dracut => "dracut",
            Generator::InitramfsTools => "initramfs-tools",
            Generator::Mkinitcpio => "mkinitcpio",
            Generator::Mkinitrd => "mkinitrd",
            Generator::Booster => "booster",
            Generator::TinyInitramfs => "tiny-initramfs",
            Generator::URoot => "u-root",
            Generator::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who made an image, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maker {
    /// Who.
    pub generator: Generator,
    /// Its version, where the image says it.
    pub version: Option<String>,
}

/// The longest version that is believed to be one, in bytes.
const VERSION_LIMIT: usize = 80;
/// What this program's nash scripts say, and those of Red Hat's own mkinitrd do not.
const OWN_WORDS: &[u8] = b"echo \"Mounted /proc, mounting /sys\"";

/// Where its busybox script reads its list.
const READS_LIST: &[u8] = b"done </etc/xinitrd/modules";

impl Maker {
    /// Who made the image with these files and this init.
    #[must_use]
    pub fn of(tree: &Tree, init: Option<&Init>) -> Maker {
        let seen = Seen { tree, init };
        let generator = seen.generator();
        let version = match generator {
            Generator::Dracut => seen.dracut_version(),
            Generator::Mkinitcpio => tree.text("VERSION").and_then(version),
            _ => None,
        };
        Maker { generator, version }
    }
}

/// What is looked at.
struct Seen<'t> {
    tree: &'t Tree,
    init: Option<&'t Init>,
}

impl Seen<'_> {
    fn generator(&self) -> Generator {
        let known: [(Generator, bool); 8] = [
            (Generator::Xinitrd, self.is_xinitrd()),
            (Generator::Booster, self.has("etc/booster.init.yaml")),
            (Generator::Mkinitcpio, self.is_mkinitcpio()),
            (Generator::InitramfsTools, self.is_initramfs_tools()),
            (Generator::Dracut, self.is_dracut()),
            (Generator::Mkinitrd, self.is_nash()),
            (Generator::URoot, self.is_u_root()),
            (Generator::TinyInitramfs, self.is_tiny()),
        ];
        let mut found = known.into_iter().filter(|&(_, is_it)| is_it);
        found.next().unwrap_or_default().0
    }

    /// By its program; by its list, but where that lies beside a program of somebody else, who knows nothing of
    /// it; or, where it is gone, by the words of its scripts.
    fn is_xinitrd(&self) -> bool {
        let has_list = || self.has(crate::init::texts::MODULES_PATH);
        match self.init.map(|init| &init.kind) {
            Some(InitKind::Native) => return true,
            Some(InitKind::Program { .. } | InitKind::Systemd) => return false,
            _ if has_list() => return true,
            _ => {}
        }
        let script = self.init.and_then(|init| init.script.as_deref());
        let says = |words: &[u8]| lines(script.unwrap_or_default()).any(|line| line == words);
        says(READS_LIST) || self.is_nash() && says(OWN_WORDS)
    }

    /// `parse_config` of its `functions` leaves the configuration; newer ones a version too.
    fn is_mkinitcpio(&self) -> bool {
        self.has("buildconfig") && (self.has("config") || self.has("VERSION"))
    }

    fn is_initramfs_tools(&self) -> bool {
        self.has("scripts/functions") && self.has("conf/initramfs.conf")
    }

    /// The second and third are those of the first versions, up to EL6's 004.
    fn is_dracut(&self) -> bool {
        self.is_directory("usr/lib/dracut")
            || self.has("lib/dracut-lib.sh")
            || self.has("dracut-lib.sh")
    }

    fn is_nash(&self) -> bool {
        self.init.is_some_and(Init::is_nash)
    }

    /// Its one program is `bbin/bb`, and `/init` leads there.
    fn is_u_root(&self) -> bool {
        self.init.is_some_and(|init| {
            let mut parts = init.path.components();
            matches!(parts.next(), Some(b"bbin" | b"ubin"))
        })
    }

    /// All that `mktirfs` puts in: a program, the directory the root is mounted on, a list of modules.
    fn is_tiny(&self) -> bool {
        let is_program = |init: &Init| matches!(init.kind, InitKind::Program { .. });
        self.init.is_some_and(is_program)
            && self.is_directory("target")
            && !self.is_directory("bin")
            && !self.is_directory("usr")
    }

    /// `initrd-release` says it since 2013; before, and after, a file's name does.
    fn dracut_version(&self) -> Option<String> {
        let release = self.tree.text("usr/lib/initrd-release");
        let release = release.or_else(|| self.tree.text("etc/initrd-release"));
        let said = lines(release.unwrap_or_default()).find_map(dracut_release);
        said.or_else(|| self.dracut_file("usr/lib/dracut"))
            .or_else(|| self.dracut_file("lib/dracut"))
            .or_else(|| self.dracut_file(""))
    }

    /// The version in the name of a file like `dracut-059-4` in a directory.
    fn dracut_file(&self, directory: &str) -> Option<String> {
        let directory = ImagePath::new(directory).ok()?;
        let (_, names) = self.tree.root().list(&directory).ok()?;
        names.iter().find_map(|(name, kind)| match kind {
            FileKind::Regular => version(versioned(name)?),
            _ => None,
        })
    }

    fn has(&self, path: &str) -> bool {
        self.kind(path) == Some(FileKind::Regular)
    }

    fn is_directory(&self, path: &str) -> bool {
        self.kind(path) == Some(FileKind::Directory)
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        let path = ImagePath::new(path).ok()?;
        let (_, kind) = self.tree.root().resolve(&path).ok()?;
        Some(kind)
    }
}

/// The version in a line of an `initrd-release`: `DRACUT_VERSION=`, or the end of `VERSION=`.
fn dracut_release(line: &[u8]) -> Option<String> {
    if let Some(value) = line.strip_prefix(b"DRACUT_VERSION=") {
        return version(unquoted(value));
    }
    let value = unquoted(line.strip_prefix(b"VERSION=")?);
    version(versioned(value.rsplit(|&byte| byte == b' ').next()?)?)
}

/// `059-4` of `dracut-059-4`.
fn versioned(name: &[u8]) -> Option<&[u8]> {
    let version = name.strip_prefix(b"dracut-")?;
    version.first()?.is_ascii_digit().then_some(version)
}

/// What can be a version.
fn version(said: &[u8]) -> Option<String> {
    let said = said.trim_ascii();
    let is_plain = !said.is_empty() && said.iter().all(u8::is_ascii_graphic);
    (is_plain && said.len() <= VERSION_LIMIT).then(|| text(said))
}
