//! The nash scripts: whole, against scripts written by hand from what Red Hat's mkinitrd makes, and
//! line by line against what the nash of each generation can run.

use std::fs;
use std::path::Path;

use xinitrd::image_path::ImagePath;
use xinitrd::init::nash::{el4, el5};
use xinitrd::init::{Boot, InitFault, ModuleLoad};

/// What the nash of one generation has built in.
struct Nash {
    built_in: &'static [&'static str],
    /// Programs the image of that generation has.
    programs: &'static [&'static str],
    /// Whether a program hides the built-in of its name.
    programs_first: bool,
}

const NASH_42: Nash = Nash {
    built_in: &[
        "mount",
        "losetup",
        "echo",
        "raidautorun",
        "pivot_root",
        "switchroot",
        "mkrootdev",
        "umount",
        "exec",
        "mkdir",
        "access",
        "find",
        "findlodev",
        "showlabels",
        "mkdevices",
        "sleep",
        "stabilized",
        "mknod",
        "mkdmnod",
        "readlink",
        "setquiet",
    ],
    programs: &[
        "nash",
        "insmod",
        "udev",
        "udevstart",
        "modprobe",
        "hotplug",
        "lvm",
    ],
    programs_first: false,
};
const NASH_51: Nash = Nash {
    built_in: &[
        "access",
        "cond",
        "cp",
        "dm",
        "echo",
        "exec",
        "exit",
        "find",
        "hotplug",
        "killplug",
        "ln",
        "losetup",
        "mkblkdevs",
        "mkdir",
        "mkdmnod",
        "mknod",
        "mkrootdev",
        "mount",
        "network",
        "raidautorun",
        "readlink",
        "resolveDevice",
        "resume",
        "rmparts",
        "setquiet",
        "setuproot",
        "showlabels",
        "sleep",
        "stabilized",
        "status",
        "switchroot",
        "umount",
        "waitdev",
    ],
    programs: &["nash", "insmod", "modprobe", "lvm"],
    programs_first: true,
};

/// The words of a line, read as `getArg` reads them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '"' | '\'') {
            rest[1..].split_once(first).expect("a quote that is closed")
        } else {
            rest.split_once(' ').unwrap_or((rest, ""))
        };
        assert!(first != '$', "a variable in {line}");
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// Holds a script against what `nash` reads, and gives the words of its commands.
fn commands(nash: &Nash, script: &str) -> Vec<Vec<String>> {
    assert!(script.len() < 32767);
    let body = script
        .strip_prefix("#!/bin/nash\n")
        .expect("its interpreter first");
    let lines = body
        .strip_suffix('\n')
        .expect("a last line that is ended")
        .split('\n');
    lines.map(|line| command(nash, line)).collect()
}

fn command(nash: &Nash, line: &str) -> Vec<String> {
    let words = words(line);
    let program = words.first().unwrap_or_else(|| panic!("an empty line"));
    let name = program.strip_prefix("/sbin/").unwrap_or(program);
    let is_program = nash.programs.contains(&name);
    let is_built_in = nash.built_in.contains(&name) && name == program;
    assert!(is_program || is_built_in, "nothing runs `{line}`");
    assert!(
        !(is_program && is_built_in && nash.programs_first),
        "`{name}` is hidden"
    );
    assert!(words.len() <= 127, "too many words: {line}");
    words
}

fn module(name: &str, options: &str) -> ModuleLoad {
    ModuleLoad {
        path: ImagePath::new(format!("lib/{name}.ko")).unwrap(),
        options: options.to_owned(),
    }
}

/// The situation of 2008: `--preload xenblk --preload xennet`, an ext3 root.
fn xen_guest() -> Boot {
    Boot {
        modules: ["xenblk", "xennet", "jbd", "ext3"]
            .map(|name| module(name, ""))
            .to_vec(),
        rootfs: "ext3".to_owned(),
        ..Boot::default()
    }
}

fn lvm_guest() -> Boot {
    let options = "max_luns=255 dev_flags=\"HP:C5:0x240\"";
    Boot {
        modules: vec![module("scsi_mod", options), module("dm-mod", "")],
        root_device: Some("/dev/VolGroup00/LogVol00".to_owned()),
        root_options: Some("noatime,data=journal".to_owned()),
        volume_group: Some("VolGroup00".to_owned()),
        ..xen_guest()
    }
}

fn raid_guest(device: &str, rest: Boot) -> Boot {
    Boot {
        raid_device: Some(device.to_owned()),
        ..rest
    }
}

fn by_hand(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/nash")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_script_is_the_one_written_by_hand_and_its_nash_can_run_it() {
    let raid_only = Boot {
        modules: vec![module("raid1", "")],
        ..xen_guest()
    };
    let cases = [
        ("el4.init", &NASH_42, el4(&xen_guest(), true)),
        ("el4-lvm-options.init", &NASH_42, el4(&lvm_guest(), true)),
        (
            "el4-no-udev-raid.init",
            &NASH_42,
            el4(&raid_guest("/dev/md0", raid_only), false),
        ),
        ("el5.init", &NASH_51, el5(&xen_guest())),
        (
            "el5-lvm-raid-options.init",
            &NASH_51,
            el5(&raid_guest("/dev/md1", lvm_guest())),
        ),
    ];
    for (name, nash, script) in cases {
        let script = script.unwrap();
        assert_eq!(script, by_hand(name), "testdata/nash/{name}");
        commands(nash, &script);
    }
}

#[test]
fn the_checker_refuses_what_the_other_generation_has() {
    let el4_under_51 = std::panic::catch_unwind(|| commands(&NASH_51, &by_hand("el4.init")));
    let el5_under_42 = std::panic::catch_unwind(|| commands(&NASH_42, &by_hand("el5.init")));
    assert!(el4_under_51.is_err() && el5_under_42.is_err());
}

#[test]
fn options_reach_insmod_word_by_word() {
    let boot = Boot {
        modules: vec![module("loop", "max_loop=8 name=\"a b\" x=$y")],
        ..xen_guest()
    };
    let words = [
        "insmod",
        "/lib/loop.ko",
        "max_loop=8",
        "name=\"a",
        "b\"",
        "x=$y",
    ];
    let scripts = [(&NASH_42, el4(&boot, true)), (&NASH_51, el5(&boot))];
    for (nash, script) in scripts {
        let commands = commands(nash, &script.unwrap());
        let insmod = commands.iter().find(|words| words[0] == "insmod").unwrap();
        assert_eq!(insmod, &words);
    }
}

fn refusal(boot: &Boot) -> String {
    let (old, new) = (el4(boot, true).unwrap_err(), el5(boot).unwrap_err());
    assert_eq!(old, new, "both generations read words alike");
    old.to_string()
}

#[test]
fn a_word_that_nash_would_read_otherwise_is_refused() {
    let option = |options: &str| Boot {
        modules: vec![module("ext3", options)],
        ..xen_guest()
    };
    let device = |device: &str| Boot {
        root_device: Some(device.to_owned()),
        ..xen_guest()
    };
    let cases = [
        (option("a=1\nreboot"), "newline"),
        (option("a=1\tb=2"), "space"),
        (option("a=1 \"b=2\""), "leading quote"),
        (option("a=1 $b"), "leading dollar sign"),
        (option("a=1 > /proc/x"), "redirection"),
        (option("a=\"1  2\""), "run of spaces"),
        (option("a=\u{1b}[1m"), "control character"),
        (device("/dev/a b"), "space"),
        (device("--bind"), "leading dash"),
        (device(""), "root device is empty"),
        (
            Boot {
                modules: vec![module("a\"b", "")],
                ..xen_guest()
            },
            "quote",
        ),
        (
            Boot {
                volume_group: Some("$VG".to_owned()),
                ..xen_guest()
            },
            "leading dollar sign",
        ),
        (
            Boot {
                raid_device: Some("/dev/md0\n".to_owned()),
                ..xen_guest()
            },
            "newline",
        ),
        (
            Boot {
                root_options: Some("ro, rw".to_owned()),
                ..xen_guest()
            },
            "space",
        ),
        (
            Boot {
                rootfs: String::new(),
                ..xen_guest()
            },
            "root file system is empty",
        ),
    ];
    for (boot, why) in cases {
        let message = refusal(&boot);
        assert!(message.contains(why), "{message:?} should name the {why}");
    }
}

#[test]
fn a_root_device_is_named_as_its_nash_looks_it_up() {
    let boot = |device: &str| Boot {
        root_device: Some(device.to_owned()),
        ..xen_guest()
    };
    let cases = [
        ("/dev/sda1", true, true),
        ("LABEL=/", true, true),
        ("UUID=1234-5678", false, true),
        ("PARTUUID=1234", false, false),
        ("LABEL=", false, false),
        ("sda1", false, false),
    ];
    for (device, in_42, in_51) in cases {
        let (old, new) = (el4(&boot(device), true), el5(&boot(device)));
        assert_eq!((old.is_ok(), new.is_ok()), (in_42, in_51), "{device}");
    }
    assert_eq!(
        el4(&boot("UUID=1"), true).unwrap_err().to_string(),
        "root device `UUID=1` is of no form that nash 4.2 looks up: /DEVICE, LABEL="
    );
}

#[test]
fn a_script_at_nashs_limits_is_written_and_one_past_them_is_not() {
    let options = |count: usize| Boot {
        modules: vec![module("ext3", &vec!["a=1"; count].join(" "))],
        ..xen_guest()
    };
    commands(&NASH_42, &el4(&options(125), true).unwrap());
    let too_many = InitFault::TooManyOptions {
        count: 126,
        limit: 125,
    };
    assert_eq!(el4(&options(126), true), Err(too_many));

    let padded = |length: usize| Boot {
        modules: vec![module("ext3", &"a".repeat(length))],
        ..xen_guest()
    };
    let rest = el4(&padded(1), true).unwrap().len() - 1;
    commands(&NASH_42, &el4(&padded(32766 - rest), true).unwrap());
    let too_long = InitFault::TooLong {
        length: 32767,
        limit: 32767,
    };
    assert_eq!(el4(&padded(32767 - rest), true), Err(too_long));
}
