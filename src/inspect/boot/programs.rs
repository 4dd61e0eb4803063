//! The programs that the inits of known builders cannot do without.
//!
//! In: the files of an image, who made it, and its init. Out: which file of the image calls which program, and where
//! that may stand. A program counts where the image's own script or unit says its name: builders' versions differ.

use crate::image_path::ImagePath;
use crate::init::busybox::EVERY_BOOT;
use crate::inspect::tree::Tree;

use super::generator::Generator;
use super::init::{Init, InitKind};
use super::loads::UDEV;
use super::script;
use super::words::{base, lines, text, unquoted};

/// A program that an init, or what it starts, cannot do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The program, as it is called.
    pub program: String,
    /// What calls it: a file of the image, or the kernel.
    pub caller: String,
    /// Where it may stand, the first place first.
    pub places: Vec<ImagePath>,
    /// Whether a busybox that takes its own programs before all others (FEATURE_SH_STANDALONE) runs it without a
    /// file: it is called by its bare name, and `/proc` is mounted by then, where busybox finds itself.
    pub may_be_shells_own: bool,
    /// Whether it is of use for loading modules alone.
    pub loads_modules: bool,
}

/// A call that a builder's scripts make.
#[derive(Clone, Copy)]
struct KnownCall {
    /// Who calls.
    file: &'static str,
    program: &'static str,
    purpose: Purpose,
}

/// What a program is called for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It mounts `/proc`, before anything else can be done.
    MountsProc,
    /// Anything else that takes a boot to the root, when `/proc` is there.
    ReachesRoot,
    /// It loads modules, when `/proc` is there.
    LoadsModules,
}

const fn call(file: &'static str, program: &'static str, purpose: Purpose) -> KnownCall {
    KnownCall {
        file,
        program,
        purpose,
    }
}

/// Debian's `init`, `scripts/functions`, and the script of the package udev.
const INITRAMFS_TOOLS: &[KnownCall] = &[
    call("init", "mkdir", Purpose::MountsProc),
    call("init", "mount", Purpose::MountsProc),
    call("init", "cat", Purpose::ReachesRoot),
    call("scripts/functions", "modprobe", Purpose::LoadsModules),
    call("scripts/init-top/ORDER", "udev", Purpose::ReachesRoot),
    call("scripts/init-top/udev", UDEVD, Purpose::ReachesRoot),
    call("scripts/init-top/udev", "udevadm", Purpose::ReachesRoot),
    call("init", "run-init", Purpose::ReachesRoot),
];
/// `99base/init.sh`.
const DRACUT: &[KnownCall] = &[
    call("init", "mount", Purpose::MountsProc),
    call("init", UDEVD, Purpose::ReachesRoot),
    call("init", "udevadm", Purpose::ReachesRoot),
    call("init", "switch_root", Purpose::ReachesRoot),
];
/// `init`, `init_functions`, and the hook udev.
const MKINITCPIO: &[KnownCall] = &[
    call("init_functions", "mount", Purpose::MountsProc),
    call("init", "modprobe", Purpose::LoadsModules),
    call("hooks/udev", UDEVD, Purpose::ReachesRoot),
    call("hooks/udev", "udevadm", Purpose::ReachesRoot),
    call("init", "switch_root", Purpose::ReachesRoot),
];
/// `busybox.sh`, by what [`EVERY_BOOT`] says of it.
fn own() -> Vec<KnownCall> {
    let purpose = |applet| match applet {
        "mount" => Purpose::MountsProc,
        "insmod" => Purpose::LoadsModules,
        _ => Purpose::ReachesRoot,
    };
    let calls = EVERY_BOOT
        .iter()
        .map(|applet| call("init", applet, purpose(*applet)));
    calls.collect()
}
/// udev's daemon by the end of its name: `udevd`, `systemd-udevd`.
const UDEVD: &str = "udevd";

/// What takes a systemd from its start to the root's own (bootup(7)): devices, and the change of roots.
const UNITS: [&str; 4] = [
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "initrd-cleanup.service",
    "initrd-switch-root.service",
];
/// Where units lie, the strongest first (systemd.unit(5)).
const UNIT_DIRECTORIES: [&str; 3] = [
    "etc/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// What systemd goes by from its start in an image to the root's own (bootup(7)), since version 189.
const WAY: [&str; 4] = [
    "initrd.target",
    "initrd-cleanup.service",
    "initrd-switch-root.target",
    "initrd-switch-root.service",
];

/// The units without which a known builder's systemd never comes to the root's own, and that `tree` does not have.
/// Where none is there, it is of an age that goes another way.
#[must_use]
pub fn missing_units(tree: &Tree, generator: Generator, init: &Init) -> Vec<&'static str> {
    let is_known = matches!(generator, Generator::Dracut | Generator::Mkinitcpio);
    let is_there = |unit: &&str| {
        let mut directories = UNIT_DIRECTORIES.iter();
        directories.any(|directory| tree.has(&format!("{directory}/{unit}")))
    };
    let (found, missing): (Vec<&str>, Vec<&str>) = WAY.iter().copied().partition(is_there);
    match is_known && init.kind == InitKind::Systemd && !found.is_empty() {
        true => missing,
        false => Vec::new(),
    }
}

/// Where programs are looked for by who does not say where.
const DIRECTORIES: [&[u8]; 6] = [
    b"/usr/local/sbin",
    b"/usr/local/bin",
    b"/usr/sbin",
    b"/usr/bin",
    b"/sbin",
    b"/bin",
];
/// The most directories of a `PATH`, and the most words of a script that are one program's.
const LIMIT: usize = 32;

/// The programs that the init of an image cannot do without.
pub(super) fn needed(tree: &Tree, generator: Generator, init: Option<&Init>) -> Vec<Needed> {
    let calls = match (generator, init.map(|init| &init.kind)) {
        _ if init.is_some_and(Init::is_nash) => return Vec::new(),
        (Generator::Dracut | Generator::Mkinitcpio, Some(InitKind::Systemd)) => {
            return by_units(tree).chain([by_kernel()]).collect();
        }
        (Generator::InitramfsTools, Some(InitKind::Script(_))) => INITRAMFS_TOOLS.to_vec(),
        (Generator::Dracut, Some(InitKind::Script(_))) => DRACUT.to_vec(),
        (Generator::Mkinitcpio, Some(InitKind::Script(_))) => MKINITCPIO.to_vec(),
        (Generator::Xinitrd, Some(InitKind::Script(_))) => own(),
        _ => return Vec::new(),
    };
    let directories = path_of(init);
    let needed = calls
        .iter()
        .filter_map(|call| call.needed(tree, &directories));
    let kernel = (generator == Generator::Dracut).then(by_kernel);
    needed.chain(kernel).collect()
}

/// Where the kernel looks for modprobe, and nowhere else: its CONFIG_MODPROBE_PATH, which is the first but where a
/// distribution says the second.
pub fn kernels_modprobe() -> impl Iterator<Item = ImagePath> {
    let places = ["sbin/modprobe", "usr/sbin/modprobe"].into_iter();
    places.filter_map(|path| ImagePath::new(path).ok())
}

/// What the kernel starts for a file system that it lacks (`__request_module` in its kernel/module/kmod.c).
fn by_kernel() -> Needed {
    Needed {
        program: "modprobe".to_owned(),
        caller: "the kernel".to_owned(),
        places: kernels_modprobe().collect(),
        may_be_shells_own: false,
        loads_modules: true,
    }
}

impl KnownCall {
    /// The program as the script calls it, if it does.
    fn needed(&self, tree: &Tree, directories: &[&[u8]]) -> Option<Needed> {
        let words = words_of(tree.text(self.file)?);
        let calls: Vec<Vec<u8>> = words
            .filter(|word| self.is_meant(word))
            .take(LIMIT)
            .collect();
        let first = calls.first()?;
        let bare = calls.iter().find(|word| !word.contains(&b'/'));
        let whole = calls.iter().filter(|word| word.starts_with(b"/"));
        let mut places: Vec<ImagePath> =
            whole.filter_map(|word| ImagePath::new(word).ok()).collect();
        places.extend(
            bare.into_iter()
                .flat_map(|word| in_directories(directories, word)),
        );
        // By a variable, whose values may lie anywhere.
        if places.is_empty() && self.program == UDEVD {
            places.extend(UDEV.iter().filter_map(|path| ImagePath::new(path).ok()));
        }
        (!places.is_empty()).then(|| Needed {
            program: text(base(first)),
            caller: format!("/{}", self.file),
            places,
            may_be_shells_own: bare.is_some() && self.purpose != Purpose::MountsProc,
            loads_modules: self.purpose == Purpose::LoadsModules,
        })
    }

    fn is_meant(&self, word: &[u8]) -> bool {
        let name = base(word);
        name == self.program.as_bytes() || self.program == UDEVD && name == b"systemd-udevd"
    }
}

/// The words of a script, those in `$(...)` too.
fn words_of(script: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let words = script::commands(script).flat_map(|command| command.words);
    words.flat_map(|word| {
        let parts = word.split(|&byte| byte.is_ascii_whitespace() || b"()`".contains(&byte));
        parts.map(<[u8]>::to_vec).collect::<Vec<_>>()
    })
}

/// The directories of the init's `PATH`, where it sets one in plain words.
fn path_of(init: Option<&Init>) -> Vec<&[u8]> {
    let script = init
        .and_then(|init| init.script.as_deref())
        .unwrap_or_default();
    let set = lines(script).find_map(|line| {
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        line.strip_prefix(b"PATH=")
            .map(unquoted)
            .filter(|path| path.starts_with(b"/"))
    });
    match set.filter(|path| !path.iter().any(|byte| b"$ ;\"'".contains(byte))) {
        Some(path) => path.split(|&byte| byte == b':').take(LIMIT).collect(),
        None => DIRECTORIES.to_vec(),
    }
}

fn in_directories(directories: &[&[u8]], name: &[u8]) -> impl Iterator<Item = ImagePath> {
    let paths = directories
        .iter()
        .map(|directory| [directory, &b"/"[..], name].concat());
    paths.filter_map(|path| ImagePath::new(path).ok())
}

/// What the units call.
fn by_units(tree: &Tree) -> impl Iterator<Item = Needed> {
    UNITS.into_iter().filter_map(|unit| {
        let mut texts = UNIT_DIRECTORIES
            .iter()
            .filter_map(|directory| tree.text(&format!("{directory}/{unit}")));
        let program = lines(texts.next()?).find_map(started)?;
        let places = match program.starts_with(b"/") {
            true => ImagePath::new(program).into_iter().collect(),
            false => in_directories(&DIRECTORIES, program).collect(),
        };
        Some(Needed {
            program: text(base(program)),
            caller: unit.to_owned(),
            places,
            may_be_shells_own: false,
            loads_modules: false,
        })
    })
}

/// What a line of a unit starts; what stands before its name says how (systemd.service(5)).
fn started(line: &[u8]) -> Option<&[u8]> {
    let command = line.strip_prefix(b"ExecStart=")?;
    let start = command.iter().position(|byte| !b"-@:+!|".contains(byte))?;
    let program = command
        .get(start..)?
        .split(u8::is_ascii_whitespace)
        .next()?;
    let is_plain = !program.is_empty() && !program.iter().any(|byte| b"%$\"'\\".contains(byte));
    is_plain.then_some(program)
}
