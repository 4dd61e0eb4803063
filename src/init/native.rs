//! The `/init` of the `native` manifest: a static program of the guest's architecture, which needs no other.
//! What to load and where the root is it reads from the texts of [`super::texts`].
//!
//! The programs are made by `native/make.sh` out of `native/init`, and lie in `native/prebuilt`. What a text
//! means to them is decided by `native/logic`, which is asked here too.

use xinitrd_native_logic::modules::{self, Module, PARAMETERS_LIMIT, PATH_LIMIT};
use xinitrd_native_logic::root::{Root, RootFault};
use xinitrd_native_logic::settings::{LINE_LIMIT, Settings};
use xinitrd_native_logic::text::LIMIT;

use super::texts::{Texts, unknown_device};
use super::{Boot, CONSOLE, InitFault, Need, Unreachable};
use crate::arch::Arch;
use crate::elf::ElfFault;
use crate::elf::program::{ProgramFacts, Role};
use crate::image_path::Shown;

/// The program, an `/init` of mode 0755.
#[must_use]
pub const fn program(arch: Arch) -> &'static [u8] {
    match arch {
        Arch::X86_64 => include_bytes!("../../native/prebuilt/x86_64"),
        Arch::I386 => include_bytes!("../../native/prebuilt/i386"),
        Arch::Aarch64 => include_bytes!("../../native/prebuilt/aarch64"),
    }
}

/// Proves that a program is one for this architecture that needs no other file.
///
/// # Errors
/// As for every program of an image; and that it needs a loader or libraries.
pub fn judge(program: &[u8], arch: Arch) -> Result<(), ElfFault> {
    let facts = ProgramFacts::parse(program)?;
    facts.judge(arch.elf(), Role::Executable)?;
    match facts.is_dynamic() {
        true => Err(ElfFault::NotStatic),
        false => Ok(()),
    }
}

/// What the program needs in its image: directories it makes itself, but a console it must have from the
/// beginning.
pub const NEEDS: [Need; 1] = [CONSOLE];

/// Bytes of a text that the program keeps: a node, mount options. A NUL ends it.
const TEXT_LIMIT: usize = LIMIT - 1;

/// The texts that the program reads.
///
/// # Errors
/// As of [`Texts::of`]; a root device that the program does not look up; and what is longer than what it keeps.
pub fn texts(boot: &Boot) -> Result<Texts, InitFault> {
    let texts = Texts::of(boot)?;
    boot.root_device.as_deref().map_or(Ok(()), check_root)?;
    for module in modules::modules(texts.modules.as_bytes()) {
        check_module(&module)?;
    }
    let line = texts.cmdline.as_bytes();
    let flags = Settings::of(line, &[]).flags;
    within("the text of the mount options", flags.len(), TEXT_LIMIT)?;
    within("the text of root= and the others", line.len(), LINE_LIMIT)?;
    Ok(texts)
}

/// Whether the root device is on a network, which no init of ours reaches.
#[must_use]
pub fn on_network(boot: &Boot) -> Option<InitFault> {
    let device = boot.root_device.as_deref()?;
    let read = Root::read(device.as_bytes(), false);
    (read == Err(RootFault::Network)).then(|| unreachable(device, Unreachable::NoDisk))
}

fn unreachable(device: &str, why: Unreachable) -> InitFault {
    InitFault::Unreachable {
        option: "--root-device",
        text: device.to_owned(),
        why,
    }
}

/// Holds the root device against the program's own reading of it.
fn check_root(device: &str) -> Result<(), InitFault> {
    match Root::read(device.as_bytes(), false) {
        Ok(Root::Node(path)) => within("the root device's name", path.len(), TEXT_LIMIT),
        Ok(_) => Ok(()),
        Err(RootFault::Network) => Err(unreachable(device, Unreachable::NoDisk)),
        Err(RootFault::Udev) => Err(unreachable(device, Unreachable::UdevName)),
        Err(RootFault::Missing | RootFault::Unknown) => Err(unknown_device(device)),
    }
}

fn check_module(module: &Module<'_>) -> Result<(), InitFault> {
    let name = Shown(module.name());
    let (path, parameters) = (module.path.len(), module.parameters.len());
    within(format!("the path of module {name}"), path, PATH_LIMIT)?;
    within(
        format!("the text of module {name}'s options"),
        parameters,
        PARAMETERS_LIMIT,
    )
}

fn within(what: impl Into<String>, length: usize, limit: usize) -> Result<(), InitFault> {
    match length > limit {
        true => Err(InitFault::BeyondLimit {
            what: what.into(),
            length,
            limit,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_path::ImagePath;
    use crate::init::ModuleLoad;

    fn root(device: &str) -> Boot {
        Boot {
            root_device: Some(device.to_owned()),
            ..Boot::default()
        }
    }

    fn module(path: &str, options: &str) -> Boot {
        let load = ModuleLoad {
            path: ImagePath::new(path).unwrap(),
            options: options.to_owned(),
        };
        Boot {
            modules: vec![load],
            ..Boot::default()
        }
    }

    /// What is said, up to what is known of root devices.
    fn refused(boot: &Boot) -> Option<String> {
        let said = texts(boot).err()?.to_string();
        said.split(" that ").next().map(str::to_owned)
    }

    #[test]
    fn a_program_is_for_its_own_architecture_alone_and_needs_no_other_file() {
        for guest in Arch::ALL {
            for arch in Arch::ALL {
                let judged = judge(program(arch), guest);
                assert_eq!(judged.is_ok(), arch == guest, "{arch} in {guest}");
            }
        }
        let cut = program(Arch::X86_64).get(..5000).unwrap();
        assert!(judge(cut, Arch::X86_64).is_err());
    }

    #[test]
    fn a_root_that_the_program_does_not_reach_is_refused_with_the_reason() {
        let udev = "is a name";
        let elsewhere = "is on no disk of the guest";
        let unknown = "is of no form";
        for (device, why) in [
            ("/dev/xvda1", None),
            ("/dev/disk/by-uuid/1-2", None),
            ("/dev/disk/by-label/a\\x20b", None),
            ("PARTUUID=0badcafe-01", None),
            ("202:1", None),
            ("ca01", None),
            ("/dev/disk/by-id/virtio-1", Some(udev)),
            ("/dev/disk/by-path/xen-vbd-51712", Some(udev)),
            ("/dev/nfs", Some(elsewhere)),
            ("nfs:192.0.2.1:/srv", Some(elsewhere)),
            ("PARTUUID=a/b", Some(unknown)),
            ("xvda1", Some(unknown)),
            ("", Some(unknown)),
        ] {
            let said = refused(&root(device));
            let ends = said
                .as_deref()
                .map(|said| why.is_some_and(|why| said.ends_with(why)));
            assert_eq!(ends, why.map(|_| true), "{device}: {said:?}");
        }
    }

    #[test]
    fn what_is_longer_than_what_the_program_keeps_is_refused() {
        let long = |length: usize| "x".repeat(length);
        let path =
            |length: usize| module(&format!("{}x.ko", &"a/".repeat(length)[..length - 4]), "");
        let options = |length: usize| module("lib/a.ko", &long(length));
        let flags = |length: usize| Boot {
            root_options: Some(format!("ro,{}", long(length))),
            ..Boot::default()
        };
        let node = |length: usize| root(&format!("/dev/{}", long(length - 5)));
        let line = |length: usize| root(&format!("LABEL={}", long(length - "root=LABEL=\n".len())));
        for (boot, limit) in [
            (&path as &dyn Fn(usize) -> Boot, PATH_LIMIT),
            (&options, TEXT_LIMIT),
            (&flags, TEXT_LIMIT),
            (&node, TEXT_LIMIT),
            (&line, LINE_LIMIT),
        ] {
            assert_eq!(refused(&boot(limit)), None);
            let fault = texts(&boot(limit + 1)).unwrap_err();
            assert!(
                matches!(fault, InitFault::BeyondLimit { length, limit: most, .. }
                    if (length, most) == (limit + 1, limit)),
                "{fault}"
            );
        }
        let said = refused(&options(5000)).unwrap();
        assert_eq!(
            said,
            "the text of module a's options has 5000 bytes; the native init reads 1023 at most"
        );
    }
}
