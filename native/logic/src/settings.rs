//! What the command line asks of the init: the kernel's own words for a root
//! (`admin-guide/kernel-parameters.rst`), and `xinitrd.onfail=`.

use crate::text::{decimal, named};
use crate::words::Words;

/// How long to wait for the root's device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Seconds.
    Seconds(u64),
    /// Until it is there.
    Forever,
}

/// What to do when the root is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// End, upon which the kernel panics: a toolstack sees a crash.
    Panic,
    /// Start the machine anew.
    Reboot,
    /// Turn the machine off.
    Poweroff,
    /// Go on looking for the root, for as long as it takes.
    Wait,
}

/// What is asked for. Of a word that is given twice the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings<'a> {
    /// `root=`, empty where nobody says it.
    pub root: &'a [u8],
    /// `rootfstype=` of the kernel's line: the file systems to try, with commas between.
    pub types: &'a [u8],
    /// `rootfstype=` of the image's own line: what to try first.
    pub likely: &'a [u8],
    /// `rootflags=`: mount options, with commas between.
    pub flags: &'a [u8],
    /// `rw`, not `ro`.
    pub writable: bool,
    /// `init=`.
    pub init: Option<&'a [u8]>,
    /// Whether there is an `nfsroot=`.
    pub nfsroot: bool,
    /// Seconds of `rootdelay=`, before anything is looked for.
    pub delay: u64,
    /// `rootwait`, with or without seconds.
    pub patience: Patience,
    /// `quiet`: nothing is said but why the root is not reached.
    pub quiet: bool,
    /// `xinitrd.onfail=`.
    pub on_fail: OnFail,
    /// A value of `xinitrd.onfail=` that is none.
    pub unknown_on_fail: Option<&'a [u8]>,
}

/// Where the image's own line lies.
pub const LINE: &str = "etc/xinitrd/cmdline";

/// Bytes of a command line that are read, of the image's or the kernel's; x86 and arm64 take half as many.
pub const LINE_LIMIT: usize = 4096;

/// Seconds to wait for the root where `rootwait` does not say.
pub const PATIENCE: u64 = 10;

impl<'a> Settings<'a> {
    /// Reads the image's own line, whose words are defaults, and then the kernel's. The image's file system
    /// type is only the one to try first: the image may be older than the root's last mkfs.
    #[must_use]
    pub fn of(image: &'a [u8], kernel: &'a [u8]) -> Self {
        let mut settings = Settings {
            root: &[],
            types: &[],
            likely: &[],
            flags: &[],
            writable: false,
            init: None,
            nfsroot: false,
            delay: 0,
            patience: Patience::Seconds(PATIENCE),
            quiet: false,
            on_fail: OnFail::Panic,
            unknown_on_fail: None,
        };
        settings.read(image);
        settings.likely = settings.types;
        settings.types = &[];
        settings.read(kernel);
        settings
    }

    fn read(&mut self, line: &'a [u8]) {
        for word in Words::of(line) {
            match word.value {
                Some(value) => self.assign(word.name, value),
                None => self.flag(word.name),
            }
        }
    }

    fn flag(&mut self, name: &[u8]) {
        match named(name, &FLAGS) {
            Some(Flag::ReadOnly) => self.writable = false,
            Some(Flag::Writable) => self.writable = true,
            Some(Flag::Wait) => self.patience = Patience::Forever,
            Some(Flag::Quiet) => self.quiet = true,
            None => {}
        }
    }

    fn assign(&mut self, name: &[u8], value: &'a [u8]) {
        match named(name, &VARIABLES) {
            Some(Variable::Root) => self.root = value,
            Some(Variable::Types) => self.types = value,
            Some(Variable::Flags) => self.flags = value,
            Some(Variable::Init) => self.init = (!value.is_empty()).then_some(value),
            Some(Variable::NfsRoot) => self.nfsroot = true,
            Some(Variable::Delay) => self.delay = decimal(value).unwrap_or(self.delay),
            Some(Variable::Wait) => {
                self.patience = decimal(value).map_or(self.patience, Patience::Seconds);
            }
            Some(Variable::OnFail) => {
                let known = named(value, &ON_FAIL);
                self.on_fail = known.unwrap_or(OnFail::Panic);
                self.unknown_on_fail = known.is_none().then_some(value);
            }
            None => {}
        }
    }
}

/// A word that stands alone.
#[derive(Clone, Copy)]
enum Flag {
    ReadOnly,
    Writable,
    Wait,
    Quiet,
}

const FLAGS: [(&[u8], Flag); 4] = [
    (b"ro", Flag::ReadOnly),
    (b"rw", Flag::Writable),
    (b"rootwait", Flag::Wait),
    (b"quiet", Flag::Quiet),
];

/// A word with a value.
#[derive(Clone, Copy)]
enum Variable {
    Root,
    Types,
    Flags,
    Init,
    NfsRoot,
    Delay,
    Wait,
    OnFail,
}

const VARIABLES: [(&[u8], Variable); 8] = [
    (b"root", Variable::Root),
    (b"rootfstype", Variable::Types),
    (b"rootflags", Variable::Flags),
    (b"init", Variable::Init),
    (b"nfsroot", Variable::NfsRoot),
    (b"rootdelay", Variable::Delay),
    (b"rootwait", Variable::Wait),
    (b"xinitrd.onfail", Variable::OnFail),
];

const ON_FAIL: [(&[u8], OnFail); 4] = [
    (b"panic", OnFail::Panic),
    (b"reboot", OnFail::Reboot),
    (b"poweroff", OnFail::Poweroff),
    (b"wait", OnFail::Wait),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kernel: &str) -> Settings<'_> {
        Settings::of(b"", kernel.as_bytes())
    }

    #[test]
    fn the_kernels_words_override_those_of_the_image() {
        let image = b"root=LABEL=a rootfstype=xfs rootflags=noatime rw\n";
        let settings = Settings::of(
            image,
            b"root=/dev/vda ro rootfstype=ext4,btrfs init=/bin/sh quiet\n",
        );
        assert_eq!(settings.root, b"/dev/vda");
        assert_eq!(
            (settings.likely, settings.types),
            (&b"xfs"[..], &b"ext4,btrfs"[..])
        );
        assert_eq!(
            (settings.flags, settings.writable),
            (&b"noatime"[..], false)
        );
        assert_eq!(
            (settings.init, settings.quiet),
            (Some(&b"/bin/sh"[..]), true)
        );
        let alone = Settings::of(image, b"");
        assert_eq!(
            (alone.root, alone.writable, alone.types),
            (&b"LABEL=a"[..], true, &b""[..])
        );
    }

    #[test]
    fn what_is_somebody_elses_changes_nothing() {
        let others = "resume=/dev/vda2 resume_offset=7 console=hvc0 systemd.unit=x BOOT_IMAGE=/vmlinuz ROOT=/dev/a";
        assert_eq!(of(others), of(""));
    }

    #[test]
    fn of_ro_and_rw_the_last_counts() {
        assert!(!of("rw ro").writable);
        assert!(of("ro rw").writable);
        assert!(!of("").writable);
    }

    #[test]
    fn waiting_takes_seconds_that_are_a_number_or_none() {
        for (line, delay, patience) in [
            ("", 0, Patience::Seconds(PATIENCE)),
            ("rootdelay=2 rootwait", 2, Patience::Forever),
            ("rootdelay=x rootwait=3", 0, Patience::Seconds(3)),
            ("rootwait rootwait=x", 0, Patience::Forever),
        ] {
            assert_eq!(
                (of(line).delay, of(line).patience),
                (delay, patience),
                "{line}"
            );
        }
    }

    #[test]
    fn what_follows_a_failure_is_asked_for_by_name() {
        for (line, on_fail, unknown) in [
            ("", OnFail::Panic, None),
            ("xinitrd.onfail=panic", OnFail::Panic, None),
            ("xinitrd.onfail=reboot", OnFail::Reboot, None),
            ("xinitrd.onfail=poweroff", OnFail::Poweroff, None),
            ("xinitrd.onfail=wait", OnFail::Wait, None),
            ("xinitrd.onfail=shell", OnFail::Panic, Some(&b"shell"[..])),
            (
                "xinitrd.onfail=shell xinitrd.onfail=wait",
                OnFail::Wait,
                None,
            ),
        ] {
            let settings = of(line);
            assert_eq!(
                (settings.on_fail, settings.unknown_on_fail),
                (on_fail, unknown),
                "{line}"
            );
        }
    }
}
