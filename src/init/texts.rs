//! The two texts of an image that tell its init, the busybox script or the native program, what to load and
//! where the root is.
//!
//! In: a [`Boot`]. Out: the text of [`MODULES_PATH`] and of [`CMDLINE_PATH`]. The words are those of the kernel's
//! `admin-guide/kernel-parameters.rst`, quoted as `next_arg` in its `lib/cmdline.c` reads them.

use xinitrd_native_logic::modules::LIST;
use xinitrd_native_logic::settings::LINE;

use super::{Boot, InitFault, ModuleLoad, Unreachable};

/// Where the init looks for [`module_list`]'s text.
pub const MODULES_PATH: &str = LIST;

/// Where the init looks for [`cmdline`]'s text.
pub const CMDLINE_PATH: &str = LINE;

/// What messages call the init.
const INIT: &str = "the image's init";

/// The two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// What stands in [`MODULES_PATH`].
    pub modules: String,
    /// What stands in [`CMDLINE_PATH`].
    pub cmdline: String,
}

impl Texts {
    /// Writes both; what of it the init at hand understands is left to it.
    ///
    /// # Errors
    /// As of [`module_list`] and [`cmdline`].
    pub fn of(boot: &Boot) -> Result<Texts, InitFault> {
        Ok(Texts {
            modules: module_list(boot)?,
            cmdline: cmdline(boot)?,
        })
    }
}

/// The modules that the init loads: one a line, its path without a leading slash, then its
/// parameters as they are handed to the kernel.
///
/// # Errors
/// A path with a space, a control character or bytes that are not UTF-8; parameters with a line
/// break or a NUL.
pub fn module_list(boot: &Boot) -> Result<String, InitFault> {
    boot.modules.iter().map(module_line).collect()
}

fn module_line(module: &ModuleLoad) -> Result<String, InitFault> {
    let path = std::str::from_utf8(module.path.as_bytes())
        .map_err(|_| unspeakable("module path", module.path.to_string(), "byte beyond UTF-8"))?;
    refuse("module path", path, |c| c == ' ' || c.is_control())?;
    refuse("module option", &module.options, breaks_a_line)?;
    let options = module.options.trim_matches(' ');
    let gap = if options.is_empty() { "" } else { " " };
    Ok(format!("{path}{gap}{options}\n"))
}

/// The words that the init reads before the kernel's command line: `root=`, `rootfstype=`,
/// `rootflags=`, and `ro` or `rw`, which stand among the mount options in [`Boot::root_options`].
///
/// # Errors
/// A line break, a NUL or a double quote in one of them; a volume group, an array or another device of
/// device-mapper, which neither init could activate; a file system that is on no disk.
pub fn cmdline(boot: &Boot) -> Result<String, InitFault> {
    refuse_device("volume group", boot.volume_group.as_deref())?;
    refuse_device("md device", boot.raid_device.as_deref())?;
    let device = boot.root_device.as_deref();
    refuse_device("device-mapper device", device.and_then(mapped))?;
    refuse_shared(&boot.rootfs)?;
    let (mode, flags) = split_options(boot.root_options.as_deref().unwrap_or_default());
    let words = [
        assignment("root", "root device", device.unwrap_or_default())?,
        assignment("rootfstype", "root file system type", &boot.rootfs)?,
        assignment("rootflags", "root option", &flags)?,
        mode.map(str::to_owned),
    ];
    let line = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(line + "\n")
}

/// The types of roots that are another machine's.
const SHARED: [&str; 7] = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs"];

fn refuse_shared(rootfs: &str) -> Result<(), InitFault> {
    match SHARED.contains(&rootfs) {
        true => Err(InitFault::Unreachable {
            option: "--rootfs",
            text: rootfs.to_owned(),
            why: Unreachable::NoDisk,
        }),
        false => Ok(()),
    }
}

/// A device that has to be made by `dmsetup` or what calls it: opened, where it is an encrypted one.
fn mapped(device: &str) -> Option<&str> {
    let name = device.strip_prefix("/dev/")?;
    (name.starts_with("mapper/") || name.starts_with("dm-")).then_some(device)
}

/// The root device is of no form that the init looks up.
pub(super) fn unknown_device(device: &str) -> InitFault {
    InitFault::UnknownDevice {
        text: device.to_owned(),
        interpreter: INIT,
        known: &ROOTS,
    }
}

/// What `understand_root` in the script takes, and `root.rs` in the program's logic.
pub(super) const ROOTS: [&str; 6] = [
    "/dev/NAME",
    "UUID=",
    "LABEL=",
    "PARTUUID=",
    "PARTLABEL=",
    "MAJOR:MINOR",
];

/// `ro` or `rw`, the last of them, apart from the other options. `defaults` asks for nothing.
fn split_options(options: &str) -> (Option<&str>, String) {
    let words = || {
        options
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty() && *word != "defaults")
    };
    let is_mode = |word: &&str| matches!(*word, "ro" | "rw");
    let flags: Vec<&str> = words().filter(|word| !is_mode(word)).collect();
    (words().rfind(is_mode), flags.join(","))
}

/// `key=value`, quoted where the value has a space; `None` for an empty value.
fn assignment(key: &str, what: &'static str, value: &str) -> Result<Option<String>, InitFault> {
    refuse(what, value, |c| c == '"' || breaks_a_line(c))?;
    Ok(match value {
        "" => None,
        _ if value.contains(char::is_whitespace) => Some(format!("{key}=\"{value}\"")),
        _ => Some(format!("{key}={value}")),
    })
}

fn breaks_a_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\0')
}

fn refuse(
    what: &'static str,
    text: &str,
    unwanted: impl Fn(char) -> bool,
) -> Result<(), InitFault> {
    match text.chars().find(|c| unwanted(*c)) {
        Some(c) => Err(unspeakable(what, text.to_owned(), name_of(c))),
        None => Ok(()),
    }
}

fn name_of(c: char) -> &'static str {
    match c {
        '\n' | '\r' => "line break",
        '\0' => "NUL byte",
        '"' => "double quote",
        ' ' => "space",
        _ => "control character",
    }
}

fn unspeakable(what: &'static str, text: String, character: &'static str) -> InitFault {
    InitFault::Unspeakable {
        what,
        text,
        character,
        language: INIT,
    }
}

fn refuse_device(what: &'static str, device: Option<&str>) -> Result<(), InitFault> {
    match device {
        Some(text) => Err(InitFault::Inactive {
            what,
            text: text.to_owned(),
            init: INIT,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_path::ImagePath;

    fn module(path: &[u8], options: &str) -> Boot {
        let load = ModuleLoad {
            path: ImagePath::new(path).unwrap(),
            options: options.into(),
        };
        Boot {
            modules: vec![load],
            ..Boot::default()
        }
    }

    fn root(device: &str, fs: &str, options: &str) -> Boot {
        Boot {
            root_device: (!device.is_empty()).then(|| device.into()),
            rootfs: fs.into(),
            root_options: Some(options.into()),
            ..Boot::default()
        }
    }

    #[test]
    fn modules_stand_one_a_line_in_load_order_with_their_parameters() {
        let mut boot = module(b"/lib/jbd2.ko", "");
        boot.modules
            .extend(module(b"lib/ext4.ko", " a=1 b=\"x y\" ").modules);
        assert_eq!(
            module_list(&boot).unwrap(),
            "lib/jbd2.ko\nlib/ext4.ko a=1 b=\"x y\"\n"
        );
        assert_eq!(module_list(&Boot::default()).unwrap(), "");
    }

    #[test]
    fn the_root_becomes_words_of_the_kernel_command_line() {
        for (boot, line) in [
            (Boot::default(), "\n"),
            (
                root("/dev/xvda1", "ext4", ""),
                "root=/dev/xvda1 rootfstype=ext4\n",
            ),
            (root("LABEL=a b", "", ""), "root=\"LABEL=a b\"\n"),
            (
                root("", "xfs", "ro,noatime,rw,logbufs=8"),
                "rootfstype=xfs rootflags=noatime,logbufs=8 rw\n",
            ),
            (
                root("/dev/sda1", "ext3", "defaults"),
                "root=/dev/sda1 rootfstype=ext3\n",
            ),
        ] {
            assert_eq!(cmdline(&boot).unwrap(), line);
        }
    }

    #[test]
    fn what_an_init_could_not_read_back_is_refused_by_its_name() {
        let lvm = Boot {
            volume_group: Some("vg0".into()),
            ..Boot::default()
        };
        let md = Boot {
            raid_device: Some("/dev/md0".into()),
            ..Boot::default()
        };
        for (outcome, message) in [
            (
                module_list(&module(b"lib/a b.ko", "")),
                "module path `lib/a b.ko` holds a space",
            ),
            (
                module_list(&module(b"a\tb", "")),
                "module path `a\\tb` holds a control character",
            ),
            (
                module_list(&module(b"a\xff", "")),
                "module path `/a\\xff` holds a byte beyond UTF-8",
            ),
            (
                module_list(&module(b"a", "x\ny")),
                "module option `x\\ny` holds a line break",
            ),
            (
                cmdline(&root("a\nb", "", "")),
                "root device `a\\nb` holds a line break",
            ),
            (
                cmdline(&root("", "e\"", "")),
                "root file system type `e\"` holds a double quote",
            ),
            (
                cmdline(&root("", "", "a\0")),
                "root option `a\\x00` holds a NUL byte",
            ),
            (
                cmdline(&lvm),
                "volume group `vg0` is nothing that the image's init can activate",
            ),
            (
                cmdline(&md),
                "md device `/dev/md0` is nothing that the image's init can activate",
            ),
            (
                cmdline(&root("/dev/mapper/secret", "", "")),
                "device-mapper device `/dev/mapper/secret` is nothing that the image's init can activate",
            ),
            (
                cmdline(&root("/dev/dm-0", "", "")),
                "device-mapper device `/dev/dm-0` is nothing that the image's init can activate",
            ),
            (
                cmdline(&root("", "nfs4", "")),
                "`nfs4` is on no disk of the guest",
            ),
        ] {
            let said = outcome.unwrap_err().to_string();
            assert_eq!(said.split(", which").next().unwrap(), message);
        }
    }
}
