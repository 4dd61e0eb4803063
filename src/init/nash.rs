//! The `/init` of the `el4` and `el5` manifests: scripts for two generations of nash.
//!
//! In: a [`Boot`]. Out: one command a line, every line ended. nash is no shell: it knows no
//! conditions, goes on after a command that fails, and reads a word as follows (`getArg` in nash.c):
//! words end at white space, a quote counts only at a word's start and knows no escapes, and a word
//! that starts with `$` is a variable's name. Where the reader of a script matters, nash 4.2 is
//! meant by EL4 (mkinitrd 4.2.1), nash 5.1 by EL5 (mkinitrd 5.1.19).

use super::{Boot, CONSOLE, InitFault, ModuleLoad, Need};
use crate::image_path::ImagePath;

/// nash 4.2 reads a script into 32768 bytes, and gives up when it fills all but the last
/// (`runStartup`). 5.1 has no such bound; no script for it comes near.
const SCRIPT_LIMIT: usize = 32767;
/// Both call a program with 128 pointers of arguments: its name, these, and the final NULL
/// (`otherCommand`); more are written past the end.
const ARGUMENT_LIMIT: usize = 126;
const LANGUAGE: &str = "a nash script";
/// The node that `mkrootdev` makes of the device that `root=` names.
const ROOT: &str = "/dev/root";

/// Where both look for a program by its name.
const DIRECTORIES: &[&str] = &["usr/bin", "bin", "sbin", "usr/sbin"];
/// What each script needs in its image, whatever it does.
const NEEDS: [Need; 6] = [
    Need::Program("bin/nash"),
    Need::Directory("proc"),
    Need::Directory("sys"),
    Need::Directory("dev"),
    Need::Directory("sysroot"),
    CONSOLE,
];

/// What [`el4`]'s script needs in its image.
#[must_use]
pub fn el4_needs(boot: &Boot, udev: bool) -> Vec<Need> {
    let mut needs = needs(boot);
    if udev {
        needs.extend(["sbin/udevstart", "sbin/hotplug"].map(Need::Program));
    }
    needs
}

/// What [`el5`]'s script needs in its image; `mkrootdev` writes to `/etc/fstab`.
#[must_use]
pub fn el5_needs(boot: &Boot) -> Vec<Need> {
    let mut needs = needs(boot);
    needs.push(Need::Directory("etc"));
    needs
}

fn needs(boot: &Boot) -> Vec<Need> {
    let programs = [
        ("insmod", !boot.modules.is_empty()),
        ("lvm", boot.volume_group.is_some()),
    ];
    let called = programs.into_iter().filter(|&(_, is_called)| is_called);
    let commands = called.map(|(name, _)| Need::Command {
        name,
        directories: DIRECTORIES,
    });
    NEEDS.into_iter().chain(commands).collect()
}

/// The script for nash 4.2; `udev` where the image has `bin/udev`.
///
/// `mkrootdev` of 4.2 knows no device but that of `root=` on the kernel's command line. A device
/// given by [`Boot::root_device`] is therefore mounted directly, and `root=` not looked at.
///
/// # Errors
/// When a word cannot stand in a script, a module has too many options, or the whole is too long.
pub fn el4(boot: &Boot, udev: bool) -> Result<String, InitFault> {
    let mut script = Script::begin();
    if udev {
        el4_start_udev(&mut script);
    }
    script.load(&boot.modules)?;
    script.run(if udev {
        "/sbin/udevstart"
    } else {
        "mkdevices /dev"
    });
    if boot.volume_group.is_some() {
        script.run("mkdmnod");
    }
    script.volumes(boot)?;
    script.raid(boot)?;
    el4_mount_root(&mut script, boot)?;
    if udev {
        script.run("mount -t tmpfs --bind /dev /sysroot/dev");
    }
    script.say("Switching to the root file system");
    script.run("switchroot /sysroot");
    if udev {
        script.run("umount /initrd/dev");
    }
    script.finish()
}

fn el4_start_udev(script: &mut Script) {
    script.say("Filling /dev by udev");
    script.run("mount -o mode=0755 -t tmpfs none /dev");
    script.run("mknod /dev/console c 5 1");
    script.run("mknod /dev/null c 1 3");
    script.run("mknod /dev/zero c 1 5");
    script.run("mkdir /dev/pts");
    script.run("mkdir /dev/shm");
    script.run("/sbin/udevstart");
    // Without the newline, which the kernel would take for part of the program's name.
    script.run("echo -n /sbin/hotplug > /proc/sys/kernel/hotplug");
}

fn el4_mount_root(script: &mut Script, boot: &Boot) -> Result<(), InitFault> {
    let device = match &boot.root_device {
        Some(device) => root_device(device, "nash 4.2", &["/DEVICE", "LABEL="])?,
        None => {
            script.say("Creating the root device");
            script.run(&format!("mkrootdev {ROOT}"));
            ROOT
        }
    };
    script.run("umount /sys");
    script.say("Mounting the root file system");
    let options = word(
        "root options",
        boot.root_options.as_deref().unwrap_or("defaults"),
    )?;
    let rootfs = word("root file system", &boot.rootfs)?;
    script.run(&format!(
        "mount -o {options} --ro -t {rootfs} {device} /sysroot"
    ));
    Ok(())
}

/// The script for nash 5.1.
///
/// `mkrootdev` of 5.1 takes `root=` of the kernel's command line before the device it is given, and
/// writes what it takes to the image's fstab, by which `mount /sysroot` goes. Where
/// [`Boot::root_device`] is `None` the device given is `/dev/root`, which is nothing without
/// `root=`: a guessed disk could be the wrong one.
///
/// # Errors
/// When a word cannot stand in a script, a module has too many options, or the whole is too long.
pub fn el5(boot: &Boot) -> Result<String, InitFault> {
    let mut script = Script::begin();
    el5_fill_dev(&mut script);
    script.load(&boot.modules)?;
    if loads_scsi(&boot.modules) {
        script.say("Waiting for the disks");
        script.run("stabilized --hash --interval 250 /proc/scsi/scsi");
    }
    if boot.volume_group.is_some() {
        script.run("mkdmnod");
    }
    script.run("mkblkdevs");
    script.raid(boot)?;
    script.volumes(boot)?;
    el5_mount_root(&mut script, boot)?;
    script.say("Switching to the root file system");
    script.run("setuproot");
    script.run("switchroot");
    script.finish()
}

fn el5_fill_dev(script: &mut Script) {
    script.say("Filling /dev");
    script.run("mount -o mode=0755 -t tmpfs none /dev");
    script.run("mkdir /dev/pts");
    script.run("mount -o gid=5,mode=620 -t devpts none /dev/pts");
    script.run("mkdir /dev/shm");
    script.run("mkdir /dev/mapper");
    el5_nodes(script);
    script.run("hotplug");
    script.run("mkblkdevs");
}

/// The tmpfs hides the image's own nodes, so each character device is made again.
fn el5_nodes(script: &mut Script) {
    let single = [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("systty", 4, 0),
        ("tty", 5, 0),
        ("console", 5, 1),
        ("ptmx", 5, 2),
        ("rtc", 10, 135),
    ];
    for (name, major, minor) in single {
        script.run(&format!("mknod /dev/{name} c {major} {minor}"));
    }
    for number in 0..=12 {
        script.run(&format!("mknod /dev/tty{number} c 4 {number}"));
    }
    for number in 0..=3 {
        script.run(&format!("mknod /dev/ttyS{number} c 4 {}", 64 + number));
    }
}

/// Disks behind scsi_mod appear some time after their driver has loaded.
fn loads_scsi(modules: &[ModuleLoad]) -> bool {
    let name = |module: &ModuleLoad| module.path.file_name().starts_with(b"scsi_mod.");
    modules.iter().any(name)
}

fn el5_mount_root(script: &mut Script, boot: &Boot) -> Result<(), InitFault> {
    let options = match &boot.root_options {
        Some(options) => word("root options", options)?,
        None => "defaults",
    };
    let rootfs = word("root file system", &boot.rootfs)?;
    let device = match &boot.root_device {
        Some(device) => root_device(device, "nash 5.1", &["/DEVICE", "LABEL=", "UUID="])?,
        None => ROOT,
    };
    script.say("Creating the root device");
    script.run(&format!("mkrootdev -t {rootfs} -o {options},ro {device}"));
    script.say("Mounting the root file system");
    script.run("mount /sysroot");
    Ok(())
}

/// A script in the making.
struct Script(String);

impl Script {
    /// What both generations start with. `setquiet` looks for `quiet` in /proc/cmdline.
    fn begin() -> Self {
        let mut script = Script("#!/bin/nash\n".to_owned());
        script.run("mount -t proc none /proc");
        script.run("setquiet");
        script.say("Mounted /proc, mounting /sys");
        script.run("mount -t sysfs none /sys");
        script
    }

    fn run(&mut self, command: &str) {
        self.0.push_str(command);
        self.0.push('\n');
    }

    fn say(&mut self, text: &str) {
        self.run(&format!("echo \"{text}\""));
    }

    fn load(&mut self, modules: &[ModuleLoad]) -> Result<(), InitFault> {
        for module in modules {
            let path = module_path(&module.path)?;
            let name = path.rsplit('/').next().unwrap_or_default();
            let options = module_options(&module.options)?;
            self.say(&format!("Loading {name} module"));
            self.run(&format!("insmod {path}{options}"));
        }
        Ok(())
    }

    fn volumes(&mut self, boot: &Boot) -> Result<(), InitFault> {
        if let Some(group) = &boot.volume_group {
            let group = word("volume group", group)?;
            self.say("Activating the logical volumes");
            self.run("lvm vgscan --ignorelockingfailure");
            self.run(&format!("lvm vgchange -ay --ignorelockingfailure {group}"));
        }
        Ok(())
    }

    fn raid(&mut self, boot: &Boot) -> Result<(), InitFault> {
        if let Some(device) = &boot.raid_device {
            self.run(&format!("raidautorun {}", word("RAID device", device)?));
        }
        Ok(())
    }

    fn finish(self) -> Result<String, InitFault> {
        let length = self.0.len();
        if length >= SCRIPT_LIMIT {
            let limit = SCRIPT_LIMIT;
            return Err(InitFault::TooLong { length, limit });
        }
        Ok(self.0)
    }
}

/// `text` as it is, when nash reads it as the one word it is.
fn word<'t>(what: &'static str, text: &'t str) -> Result<&'t str, InitFault> {
    let hindrance = match text.chars().next() {
        None => return Err(InitFault::Empty { what }),
        Some('-') => Some("leading dash"),
        Some('"' | '\'') => Some("leading quote"),
        Some('$') => Some("leading dollar sign"),
        Some(_) if text == ">" => Some("redirection"),
        Some(_) => text.chars().find_map(breaks_a_word),
    };
    hindrance.map_or(Ok(text), |character| {
        Err(unspeakable(what, text, character))
    })
}

/// A device by its path, or by what `mount` (4.2) and `mkrootdev` (5.1) find in its superblock.
fn root_device<'t>(
    text: &'t str,
    interpreter: &'static str,
    known: &'static [&'static str],
) -> Result<&'t str, InitFault> {
    let text = word("root device", text)?;
    let is_known = |form: &&str| {
        let start = form.strip_suffix("DEVICE").unwrap_or(form);
        text.len() > start.len() && text.starts_with(start)
    };
    if known.iter().any(is_known) {
        return Ok(text);
    }
    Err(InitFault::UnknownDevice {
        text: text.to_owned(),
        interpreter,
        known,
    })
}

fn breaks_a_word(c: char) -> Option<&'static str> {
    match c {
        '\n' => Some("newline"),
        c if c.is_ascii_whitespace() || c == '\x0b' => Some("space"),
        c if c.is_control() => Some("control character"),
        _ => None,
    }
}

fn unspeakable(what: &'static str, text: &str, character: &'static str) -> InitFault {
    InitFault::Unspeakable {
        what,
        text: text.to_owned(),
        character,
        language: LANGUAGE,
    }
}

/// A module's path, absolute; its name stands in a quoted word as well.
fn module_path(path: &ImagePath) -> Result<String, InitFault> {
    const WHAT: &str = "module's path";
    let shown = path.to_string();
    let Ok(name) = std::str::from_utf8(path.as_bytes()) else {
        return Err(unspeakable(WHAT, &shown, "byte that is not UTF-8"));
    };
    if name.contains(['"', '\'']) {
        return Err(unspeakable(WHAT, &shown, "quote"));
    }
    let text = format!("/{name}");
    word(WHAT, &text)?;
    Ok(text)
}

/// A module's options, with a space before; empty for none.
///
/// A quote inside a word reaches the kernel as it is, since insmod joins its arguments again: what
/// stands between quotes may therefore have single spaces in it, but no more than that.
fn module_options(options: &str) -> Result<String, InitFault> {
    const WHAT: &str = "module option";
    if options.is_empty() {
        return Ok(String::new());
    }
    let words = options.split(' ');
    // One of the arguments is the module itself.
    let (count, limit) = (words.clone().count(), ARGUMENT_LIMIT - 1);
    if count > limit {
        return Err(InitFault::TooManyOptions { count, limit });
    }
    for text in words {
        if text.is_empty() {
            return Err(unspeakable(WHAT, options, "run of spaces"));
        }
        word(WHAT, text)?;
    }
    Ok(format!(" {options}"))
}
