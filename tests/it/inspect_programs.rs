//! What the inits of known builders cannot do without: programs, and the indexes that modules are found by. Real
//! images of initramfs-tools and dracut, with files called otherwise, of which tests/boot boots some; mkinitcpio's is
//! made up, in the words of its scripts.

use std::fs;
use std::slice;

use memchr::memmem;
use xinitrd::init::busybox;
use xinitrd::inspect::Guest;
use xinitrd::inspect::finding::Rule;
use xinitrd::inspect::rules::{empty, index, init};

use crate::guest::{GZIP, Guest as Source};
use crate::judged::{
    Made, applets, archive, directory, file, found, judged, link, made_by_others, program,
};
use crate::support::{fetched, kernel_of};

/// The bytes of a header of a cpio archive (newc).
const HEADER: usize = 110;

/// An archive in which the entry at `path` is called otherwise.
fn without(archive: &mut [u8], path: &str) {
    let name = format!("{path}\0").into_bytes();
    let is_name = |at: &usize| *at >= HEADER && archive[at - HEADER..].starts_with(b"070701");
    let at = memmem::find_iter(archive, &name).find(is_name);
    let at = at.unwrap_or_else(|| panic!("no {path}"));
    archive[at + path.len() - 1] ^= 1;
}

fn rules() -> Vec<&'static Rule> {
    [index::RULES, init::RULES].concat()
}

fn found_without(image: &[u8], paths: &[&str]) -> Vec<String> {
    let mut image = image.to_vec();
    paths.iter().for_each(|path| without(&mut image, path));
    found(&judged(image, &Guest::default()), &rules())
}

fn missing(at: &str, calls: &[&str]) -> Vec<String> {
    let line = |call: &&str| format!("error init-program-missing {at}: {call}, which is not there");
    calls.iter().map(line).collect()
}

fn plain(name: &str) -> Vec<u8> {
    GZIP.run(&["-dc"], &made_by_others(name))
}

#[test]
fn the_programs_of_initramfs_tools_are_missed() {
    let image = plain("initramfs-tools-list-gzip");
    assert_eq!(found_without(&image, &[]), [""; 0]);
    let paths = [
        "usr/sbin/modprobe",
        "usr/bin/udevadm",
        "usr/lib/systemd/systemd-udevd",
        "usr/sbin/run-init",
        "usr/bin/mount",
        "usr/bin/mkdir",
        "usr/bin/cat",
    ];
    let script = "scripts/init-top/udev";
    let without_order = "error init-source-missing scripts/init-bottom: /scripts/functions reads \
                         /scripts/init-bottom/ORDER, which is not there";
    let order = "scripts/init-bottom/ORDER";
    assert_eq!(found_without(&image, &[order]), [without_order]);
    let without_script = missing("init", &["/scripts/init-top/ORDER calls udev"]);
    assert_eq!(found_without(&image, &[script]), without_script);
    let calls = [
        "/init calls mkdir",
        "/init calls mount",
        "/init calls cat",
        "/scripts/functions calls modprobe",
        "/scripts/init-top/udev calls systemd-udevd",
        "/scripts/init-top/udev calls udevadm",
        "/init calls run-init",
    ];
    assert_eq!(found_without(&image, &paths), missing("init", &calls));
    // The script says where its udevd is.
    let other = archive(&[program("usr/sbin/udevd", "")]);
    let image = [image, other].concat();
    let paths = ["usr/lib/systemd/systemd-udevd"];
    let call = ["/scripts/init-top/udev calls systemd-udevd"];
    assert_eq!(found_without(&image, &paths), missing("init", &call));
}

#[test]
fn the_programs_of_dracut_are_missed_whichever_init_it_has() {
    let image = plain("dracut-list-gzip");
    assert_eq!(found_without(&image, &[]), [""; 0]);
    let paths = [
        "usr/bin/mount",
        "usr/bin/udevadm",
        "usr/lib/systemd/systemd-udevd",
        "usr/sbin/switch_root",
        "usr/sbin/modprobe",
    ];
    let calls = [
        "/init calls mount",
        "/init calls systemd-udevd",
        "/init calls udevadm",
        "/init calls switch_root",
        "the kernel calls modprobe",
    ];
    assert_eq!(found_without(&image, &paths), missing("init", &calls));
    let image = plain("dracut-gzip");
    let paths = [
        "usr/bin/udevadm",
        "usr/lib/systemd/systemd-udevd",
        "usr/bin/systemctl",
        "usr/sbin/modprobe",
    ];
    let calls = [
        "systemd-udevd.service calls systemd-udevd",
        "systemd-udev-trigger.service calls udevadm",
        "initrd-cleanup.service calls systemctl",
        "the kernel calls modprobe",
    ];
    let at = "usr/lib/systemd/systemd";
    assert_eq!(found_without(&image, &paths), missing(at, &calls));
    let units = ["initrd.target", "initrd-switch-root.service"];
    let paths = units.map(|unit| format!("usr/lib/systemd/system/{unit}"));
    let lines = units.map(|unit| format!("error init-source-missing {at}: {unit} is not there"));
    assert_eq!(
        found_without(&image, &paths.each_ref().map(String::as_str)),
        lines
    );
}

#[test]
fn the_programs_of_mkinitcpio_are_missed() {
    let kernel = fetched("kernel-6.1-amd64");
    let release = kernel_of(&kernel);
    let driver = format!("lib/modules/{release}/kernel/drivers/block/xen-blkfront.ko");
    let module = file(&driver, fs::read(kernel.join(&driver)).unwrap());
    let entries = [
        file("buildconfig", ""),
        file("config", "MODULES=\"\"\n"),
        program(
            "init",
            "#!/usr/bin/ash\nexport PATH='/usr/local/sbin:/usr/local/bin:/usr/bin'\n. /init_functions\nmodprobe -qab a\nexec /usr/bin/switch_root /new_root\n",
        ),
        file(
            "init_functions",
            "mount_setup() {\n    mount -t proc proc /proc\n}\n",
        ),
        program(
            "hooks/udev",
            "#!/usr/bin/ash\nsystemd-udevd --daemon\nudevadm trigger\n",
        ),
        program("usr/bin/ash", ""),
        file(
            "usr/lib/udev/rules.d/80-drivers.rules",
            "ENV{MODALIAS}==\"?*\", RUN{builtin}+=\"kmod load\"\n",
        ),
    ];
    let programs = ["usr/bin/mount", "usr/bin/modprobe", "usr/bin/systemd-udevd"]
        .into_iter()
        .chain(["usr/bin/udevadm", "usr/bin/switch_root"]);
    let programs: Vec<Made> = programs.map(|path| program(path, "")).collect();
    let said = |more: &[Made]| {
        let image = archive(&[&entries[..], more].concat());
        found(&judged(image, &Guest::default()), init::RULES)
    };
    let calls = [
        "/init_functions calls mount",
        "/init calls modprobe",
        "/hooks/udev calls systemd-udevd",
        "/hooks/udev calls udevadm",
        "/init calls switch_root",
    ];
    assert_eq!(
        said(&[&programs[..], slice::from_ref(&module)].concat()),
        [""; 0]
    );
    // Not in the init's PATH.
    let elsewhere = program("usr/sbin/mount", "");
    assert_eq!(said(&[module.clone(), elsewhere]), missing("init", &calls));
    let weighed = |more: &[Made]| {
        let modprobe = program("usr/bin/modprobe", "");
        let image = archive(&[&entries[..], slice::from_ref(&modprobe), more].concat());
        let lines = found(&judged(image, &Guest::default()), empty::RULES);
        let mut lines = lines.into_iter();
        lines.find(|line| line.contains("usr/bin/modprobe"))
    };
    let line = |severity: &str| {
        let line = format!("{severity} empty-program usr/bin/modprobe: an empty file");
        Some(line)
    };
    assert_eq!(weighed(slice::from_ref(&module)), line("error"));
    assert_eq!(weighed(&[]), line("warning"));
    // Without modules nobody misses what loads them.
    let calls = calls.into_iter().filter(|call| !call.contains("modprobe"));
    assert_eq!(said(&[]), missing("init", &calls.collect::<Vec<_>>()));
}

#[test]
fn an_empty_program_is_an_error_where_the_init_needs_it() {
    let image = plain("initramfs-tools-list-gzip");
    let with = |path: &str| {
        let image = [&image[..], &archive(&[program(path, "")])].concat();
        found(&judged(image, &Guest::default()), empty::RULES)
    };
    let empty =
        |severity: &str, path: &str| [format!("{severity} empty-program {path}: an empty file")];
    assert_eq!(
        with("usr/sbin/run-init"),
        empty("error", "usr/sbin/run-init")
    );
    assert_eq!(with("usr/bin/less"), empty("warning", "usr/bin/less"));
}

#[test]
fn the_indexes_that_kmod_finds_modules_by_are_missed() {
    let release = kernel_of(&fetched("kernel-6.1-amd64"));
    let index = |name: &str| format!("usr/lib/modules/{release}/{name}");
    let (dep, alias) = (index("modules.dep.bin"), index("modules.alias.bin"));
    let said = |names: &str| {
        [format!(
            "error modules-index-missing -: /lib/modules/{release} has no {names}"
        )]
    };
    for image in ["initramfs-tools-list-gzip", "dracut-list-gzip"] {
        let image = plain(image);
        assert_eq!(found_without(&image, &[&alias]), said("modules.alias.bin"));
        assert_eq!(found_without(&image, &[&dep]), said("modules.dep.bin"));
        let both = said("modules.dep.bin and modules.alias.bin");
        assert_eq!(found_without(&image, &[&dep, &alias]), both);
        // The texts kmod does not read.
        let texts = [index("modules.alias"), index("modules.symbols")];
        assert_eq!(
            found_without(&image, &texts.each_ref().map(String::as_str)),
            [""; 0]
        );
    }
}

#[test]
fn a_udev_without_a_rule_that_loads_modules_loads_none() {
    let said =
        |image: &str| found_without(&plain(image), &["usr/lib/udev/rules.d/80-drivers.rules"]);
    let why = "and no rule of udev's has one loaded";
    // dracut has no list of its own.
    let error = format!("error init-loads-nothing init: 16 modules, {why}");
    assert_eq!(said("dracut-list-gzip"), slice::from_ref(&error));
    let with = |path: &str, rule: &str| {
        let image = [plain("dracut-list-gzip"), archive(&[file(path, rule)])].concat();
        found_without(&image, &["usr/lib/udev/rules.d/80-drivers.rules"])
    };
    let driver = "ENV{MODALIAS}==\"?*\", \\\n RUN+=\"/sbin/modprobe -b $env{MODALIAS}\"\n";
    let rules = "usr/lib/udev/rules.d/90-x.rules";
    let (other, comment) = ("RUN+=\"/sbin/modprobe fuse\"\n", "# kmod, MODALIAS\n");
    assert_eq!(with(rules, driver), [""; 0]);
    assert_eq!(with(rules, other), slice::from_ref(&error));
    assert_eq!(with(rules, comment), slice::from_ref(&error));
    assert_eq!(with("usr/lib/udev/90-x.rules", driver), [error]);
    let warning = format!("warning init-loads-nothing init: 17 modules, {why}");
    assert_eq!(said("initramfs-tools-list-gzip"), [warning]);
}

#[test]
fn a_static_busybox_may_run_its_own_programs_once_proc_is_mounted() {
    let image = Source::of_debian().archive();
    let said = |path: &str| found_without(&image, &[path]);
    let line = |severity: &str, program: &str| {
        [format!(
            "{severity} init-program-missing init: /init calls {program}, which is not there"
        )]
    };
    assert_eq!(said("bin/mount"), line("error", "mount"));
    for program in ["cat", "insmod", "readlink"] {
        assert_eq!(said(&format!("bin/{program}")), line("warning", program));
    }
    // Called as a word of busybox; and for nobody's root.
    for program in ["switch_root", "poweroff"] {
        assert_eq!(said(&format!("bin/{program}")), [""; 0]);
    }
    let list = said("etc/xinitrd/modules");
    let rules: Vec<&str> = list
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(rules, ["error init-loads-nothing init"]);
}

#[test]
fn a_directory_that_an_init_mounts_on_and_does_not_make_is_missed() {
    let own = Source::of_debian().archive();
    for (image, directories) in [
        (own, &["proc", "sysroot"][..]),
        (plain("initramfs-tools-list-gzip"), &["run"]),
        (plain("dracut-list-gzip"), &["proc", "sys", "tmp"]),
        (plain("tiny-gzip"), &["proc"]),
    ] {
        let line = |name: &&str| format!("no directory /{name}");
        let expected: Vec<String> = directories.iter().map(line).collect();
        let found = found_without(&image, directories);
        let told = found.iter().map(|line| {
            line.strip_prefix("error init-directory-missing init: ")
                .unwrap()
        });
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_program_that_is_there_and_cannot_be_started_is_told_what_it_is() {
    let with = |mount: Made| {
        let mut entries = applets(0o100_755);
        entries.retain(|entry| !entry.is_called("bin/mount"));
        let init = program("init", busybox::INIT);
        entries.extend([mount, init, directory("etc"), directory("etc/xinitrd")]);
        entries.push(file("etc/xinitrd/modules", ""));
        found(&judged(archive(&entries), &Guest::default()), &rules())
    };
    let told = |what: &str| {
        [format!(
            "error init-program-missing init: /init calls mount, {what}"
        )]
    };
    assert_eq!(with(program("bin/mount", "")), [""; 0]);
    assert_eq!(with(program("sbin/mount", "")), [""; 0]);
    assert_eq!(
        with(program("usr/bin/mount", "")),
        told("which is not there")
    );
    assert_eq!(with(file("bin/mount", "")), told("which has mode 0644"));
    assert_eq!(with(directory("bin/mount")), told("which is a directory"));
    let dangling = "but the symbolic link /bin/mount -> bysybox leads nowhere inside the root";
    assert_eq!(with(link("bin/mount", "bysybox")), told(dangling));
}
