//! Writers of `/init`: from what is to be loaded and mounted, to the script or the texts that have it done,
//! and what that needs in its image.
//!
//! Pure text: nothing here looks at a root or an image.

pub mod busybox;
pub mod nash;
pub mod native;
pub mod texts;

use std::fmt;

use crate::image_path::{ImagePath, Shown};

/// One module that `/init` loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLoad {
    /// Where it lies in the image.
    pub path: ImagePath,
    /// Its parameters, joined by single spaces; empty for none.
    pub options: String,
}

/// What `/init` does, whoever writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// The modules to load, in load order.
    pub modules: Vec<ModuleLoad>,
    /// The root device as `--root-device` has it; `None` leaves it to the kernel command line.
    pub root_device: Option<String>,
    /// The root file system's type, `ext3` say.
    pub rootfs: String,
    /// Mount options; `None` is the writer's default.
    pub root_options: Option<String>,
    /// The volume group to be activated, where the root is a logical volume.
    pub volume_group: Option<String>,
    /// The md device to be started, as `/dev/md0`, where the root is on one.
    pub raid_device: Option<String>,
}

/// What an image must have for its `/init` to do its work. Paths are absolute, without the leading
/// slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A directory, to mount on or to write to.
    Directory(&'static str),
    /// A program that is run by this path.
    Program(&'static str),
    /// A program that is run by its name.
    Command {
        /// The name.
        name: &'static str,
        /// The directories it is looked for in.
        directories: &'static [&'static str],
    },
    /// A character device, by path, major and minor number.
    CharDevice(&'static str, u32, u32),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Directory(path) => write!(f, "directory /{path}"),
            Need::Program(path) => write!(f, "program /{path}"),
            Need::Command { name, .. } => write!(f, "program {name}"),
            Need::CharDevice(path, major, minor) => {
                write!(f, "character device /{path} ({major}, {minor})")
            }
        }
    }
}

/// The console that the kernel opens for process 1 (`console_on_rootfs` in its `init/main.c`):
/// without it no word of `/init` is seen.
const CONSOLE: Need = Need::CharDevice("dev/console", 5, 1);

/// Why a script cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitFault {
    /// A word holds what the script's language cannot carry.
    #[error(
        "{what} `{}` holds a {character}, which {language} cannot carry",
        Shown(.text.as_bytes())
    )]
    Unspeakable {
        /// What the word is: `module option`, `root device`.
        what: &'static str,
        /// The word.
        text: String,
        /// What stands in the way: `newline`, `quote`.
        character: &'static str,
        /// The language: `a nash script`.
        language: &'static str,
    },
    /// The root needs a device to be activated first, and this init has no means to.
    #[error("{what} `{text}` is nothing that {init} can activate")]
    Inactive {
        /// What the device is: `volume group`.
        what: &'static str,
        /// Its name.
        text: String,
        /// Which init: `the image's init`.
        init: &'static str,
    },
    /// The script has come out longer than its interpreter reads.
    #[error("the script is {length} bytes; nash reads fewer than {limit}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The first length that is too long.
        limit: usize,
    },
    /// A word that must say something is empty.
    #[error("{what} is empty")]
    Empty {
        /// What the word is.
        what: &'static str,
    },
    /// A module has more options than nash hands to a program.
    #[error("a module has {count} options; nash hands over at most {limit}")]
    TooManyOptions {
        /// How many words of options there are.
        count: usize,
        /// The most.
        limit: usize,
    },
    /// The root is where no init that reads texts can reach it.
    #[error("`{}` {why}", Shown(.text.as_bytes()))]
    Unreachable {
        /// The option that asks for it: `--root-device`, `--rootfs`.
        option: &'static str,
        /// What it says.
        text: String,
        /// Why.
        why: Unreachable,
    },
    /// A text is longer than what the init keeps of it.
    #[error("{what} has {length} bytes; the native init reads {limit} at most")]
    BeyondLimit {
        /// What it is: `the path of module ext4.ko`.
        what: String,
        /// Its length in bytes.
        length: usize,
        /// The most.
        limit: usize,
    },
    /// The root device is named in a way the interpreter cannot look up.
    #[error(
        "root device `{}` is of no form that {interpreter} looks up: {}",
        Shown(.text.as_bytes()),
        .known.join(", ")
    )]
    UnknownDevice {
        /// The device as given.
        text: String,
        /// The interpreter: `nash 4.2`.
        interpreter: &'static str,
        /// The forms it looks up.
        known: &'static [&'static str],
    },
}

/// Why a root is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// It is another machine's.
    NoDisk,
    /// It is a name that udev gives, and what it stands for is not in the name.
    UdevName,
}

impl Unreachable {
    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Unreachable::NoDisk => {
                "give a root on a disk: no manifest that comes with xinitrd has one on a network"
            }
            Unreachable::UdevName => {
                "name it by its node, or by UUID=, LABEL=, PARTUUID= or PARTLABEL="
            }
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unreachable::NoDisk => "is on no disk of the guest",
            Unreachable::UdevName => "is a name that udev gives, and the image has no udev",
        })
    }
}

impl InitFault {
    /// What it is said of: the option that asks for what cannot be, or the init.
    #[must_use]
    pub const fn place(&self) -> &'static str {
        match self {
            InitFault::UnknownDevice { .. } => "--root-device",
            InitFault::Unreachable { option, .. } => option,
            _ => "/init",
        }
    }
}
