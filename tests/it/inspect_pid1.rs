//! What keeps the first program from its work although every file is there: a sound image of this
//! program's own kind, one change, and what is found then.

use std::fs;
use std::slice;

use xinitrd::init::busybox;
use xinitrd::inspect::Guest;
use xinitrd::inspect::rules::{drivers, init, modules, scripts, unpacking};
use xinitrd::xen_version::XenVersion;

use crate::judged::{Made, applets, archive, directory, file, found, judged, link, program};
use crate::support::{Tool, fetched, kernel_of};

const STRIP: Tool = Tool::of("strip", "binutils");

/// A real module without needs.
fn module() -> Vec<u8> {
    let root = fetched("kernel-6.1-amd64");
    let directory = root.join("lib/modules").join(kernel_of(&root));
    fs::read(directory.join("kernel/drivers/block/xen-blkfront.ko")).unwrap()
}

fn stripped(module: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("module.ko");
    fs::write(&path, module).unwrap();
    STRIP.run(&[path.to_str().unwrap()], &[]);
    fs::read(path).unwrap()
}

/// The files that vary: the interpreter's mode, the list, the module, the init.
fn image(interpreter: u32, list: &str, module: &[u8], init: &str) -> Vec<Made> {
    let files = [
        directory("etc"),
        directory("etc/xinitrd"),
        file("etc/xinitrd/modules", list),
        directory("lib"),
        file("lib/xen-blkfront.ko", module),
        file("lib/other.ko", module),
        program("init", init),
    ];
    [applets(interpreter), files.to_vec()].concat()
}

fn names(entries: &[Made]) -> Vec<String> {
    let guest = Guest {
        xen: Some(XenVersion::new(4, 17)),
        ..Guest::default()
    };
    let rules = [
        drivers::RULES,
        init::RULES,
        modules::RULES,
        scripts::RULES,
        unpacking::RULES,
    ];
    let lines = found(&judged(archive(entries), &guest), &rules.concat());
    let short = lines
        .iter()
        .map(|line| line.split(": ").next().unwrap().to_owned());
    short.collect()
}

#[test]
fn what_keeps_the_first_program_from_its_work_is_found() {
    let module = module();
    let list = "lib/xen-blkfront.ko\n";
    let sound = image(0o100_755, list, &module, busybox::INIT);
    let line_ends = busybox::INIT.replace('\n', "\r\n");
    let body = line_ends.replacen("\r\n", "\n", 1);
    let cases: Vec<(Vec<Made>, Vec<&str>)> = vec![
        (sound, vec![]),
        (
            image(0o100_644, list, &module, busybox::INIT),
            vec!["error script-interpreter-not-executable init"],
        ),
        (
            image(0o100_755, list, &module, &line_ends),
            vec!["error carriage-returns init"],
        ),
        (
            image(0o100_755, list, &module, &body),
            vec!["error carriage-returns init"],
        ),
        (
            image(0o100_755, "lib/xen-blkfront.ko\r\n", &module, busybox::INIT),
            vec!["error carriage-returns etc/xinitrd/modules"],
        ),
        (
            image(0o100_755, list, &module, &busybox::INIT[..6000]),
            vec!["error init-cannot-run init"],
        ),
        (
            image(0o100_755, "", &module, busybox::INIT),
            vec!["error init-loads-nothing init"],
        ),
        (
            image(0o100_755, "lib/other.ko\n", &module, busybox::INIT),
            vec!["error no-xen-block-driver lib/xen-blkfront.ko"],
        ),
        (
            image(0o100_755, list, &stripped(&module), busybox::INIT),
            vec![
                "error module-stripped lib/other.ko",
                "error module-stripped lib/xen-blkfront.ko",
            ],
        ),
    ];
    for (entries, expected) in cases {
        assert_eq!(names(&entries), expected);
    }
}

#[test]
fn carriage_returns_are_told_in_what_the_init_reads_in() {
    let told = |functions: &str, more: &str, conf: &str| {
        let image = [
            program("init", "#!/bin/sh\n. /functions\n. /conf\n"),
            file("functions", functions),
            file("more", more),
            file("conf", conf),
        ];
        let lines = found(&judged(archive(&image), &Guest::default()), init::RULES);
        let told = lines
            .iter()
            .filter(|line| line.contains("carriage-returns"));
        let short = told.map(|line| line.split(": ").next().unwrap().to_owned());
        short.collect::<Vec<String>>()
    };
    let nothing: [&str; 0] = [];
    assert_eq!(told("f() {\n}\n", "g\r\n", "A=1\n"), nothing);
    assert_eq!(
        told("f() {\r\n}\r\n", "", ""),
        ["error carriage-returns functions"]
    );
    assert_eq!(
        told(". /more\n", "g\r\n", ""),
        ["error carriage-returns more"]
    );
    assert_eq!(
        told("", "", "A=1\r\nB='x'\r\n"),
        ["warning carriage-returns conf"]
    );
    assert_eq!(
        told("", "", "A=1\r\nmount x\r\n"),
        ["error carriage-returns conf"]
    );
    let hooked = |hook: &str| {
        let hook = format!("usr/lib/dracut/hooks/{hook}");
        let image = [
            program("init", "#!/bin/sh\n"),
            directory("usr/lib/dracut"),
            file(&hook, "f() {\r\n}\r\n"),
        ];
        let lines = found(&judged(archive(&image), &Guest::default()), init::RULES);
        let mut told = lines
            .iter()
            .filter(|line| line.contains("carriage-returns"));
        told.next().is_some_and(|line| line.contains(&hook))
    };
    assert!(hooked("cmdline/95-parse.sh") && hooked("pre-mount/x.sh"));
    assert!(!hooked("emergency/x.sh") && !hooked("pre-shutdown/x.sh") && !hooked("cmdline/x"));
    // Two that read each other in.
    assert_eq!(
        told(". /more\n", ". /functions\ng\r\n", ""),
        ["error carriage-returns more"]
    );
}

#[test]
fn carriage_returns_in_a_list_matter_less_where_udev_loads_what_devices_take() {
    let told = |more: &[Made]| {
        let image = [
            program("init", "#!/bin/sh\nmount x\n"),
            file("scripts/functions", ""),
            file("conf/initramfs.conf", ""),
            file("conf/modules", "ext4\r\n# jbd2\r\n"),
        ];
        let lines = names(&[&image[..], more].concat()).into_iter();
        let lines = lines.filter(|line| line.contains("carriage-returns"));
        lines.collect::<Vec<String>>()
    };
    assert_eq!(told(&[]), ["error carriage-returns conf/modules"]);
    let udev = program("usr/lib/systemd/systemd-udevd", "");
    assert_eq!(told(&[udev]), ["warning carriage-returns conf/modules"]);
}

#[test]
fn an_image_is_this_programs_own_without_its_list_too() {
    let module = module();
    let mut entries = image(0o100_755, "", &module, busybox::INIT);
    entries.retain(|entry| !entry.is_called("etc/xinitrd/modules"));
    assert_eq!(names(&entries), ["error init-loads-nothing init"]);
}

#[test]
fn a_busybox_for_an_init_needs_to_be_told_its_work() {
    let busybox = fs::read(fetched("busybox-amd64").join("bin/busybox")).unwrap();
    let module = module();
    let with = |more: &[Made]| {
        let entries = [
            program("bin/busybox", &busybox),
            link("init", "sbin/init"),
            file("lib/modules/6.1/xen-blkfront.ko", &module),
        ];
        let entries = [&entries[..], more].concat();
        let inspection = judged(archive(&entries), &Guest::default());
        assert_eq!(inspection.boot.loads, []);
        found(&inspection, init::RULES)
    };
    let sbin = link("sbin/init", "../bin/busybox");
    let copied = program("sbin/init", &busybox);
    let idle = "init-without-work";
    let has = "busybox, and neither /etc/inittab nor /etc/init.d/rcS";
    let list = file("etc/xinitrd/modules", "lib/xen-blkfront.ko\n");
    let rc = program("etc/init.d/rcS", "#!/bin/sh\n");
    assert_eq!(
        with(slice::from_ref(&sbin)),
        [format!("warning {idle} bin/busybox: {has}")]
    );
    assert_eq!(
        with(&[copied]),
        [format!("warning {idle} sbin/init: {has}")]
    );
    assert_eq!(
        with(&[sbin.clone(), list]),
        [format!("error {idle} bin/busybox: {has}")]
    );
    assert_eq!(with(&[sbin.clone(), rc]), [""; 0]);
    assert_eq!(
        with(&[sbin, file("etc/inittab", "::sysinit:/x\n")]),
        [""; 0]
    );
}

#[test]
fn a_script_that_loads_nothing_is_told_of_the_modules_it_leaves() {
    let module = module();
    let said = |script: &str, more: &[Made]| {
        let entries = [
            program("init", format!("#!/bin/sh\n{script}")),
            program("bin/sh", ""),
            file("lib/modules/6.1/xen-blkfront.ko", &module),
        ];
        names(&[&entries[..], more].concat())
    };
    let nothing: [&str; 0] = [];
    let idle = ["warning init-loads-nothing init"];
    let mount =
        "mount -t devtmpfs dev /dev\nmount /dev/xvda1 /mnt\nexec switch_root /mnt /sbin/init\n";
    let modprobe = program("sbin/modprobe", "");
    assert_eq!(said(mount, &[]), idle);
    assert_eq!(said(mount, &[modprobe]), idle);
    assert_eq!(said(mount, &[program("sbin/hotplug", "")]), nothing);
    assert_eq!(said(mount, &[program("sbin/udevd", "")]), nothing);
    for unknown in [
        "[ -e /load ] && . /load",
        "/load",
        "sh /load",
        "mdev -s",
        "$x",
        "x=$(/load)",
    ] {
        assert_eq!(
            said(&format!("{unknown}\n{mount}"), &[]),
            nothing,
            "{unknown}"
        );
    }
}

/// btrfs has a node, `/dev/btrfs-control`, and no device: the kernel asks for it when it is mounted.
#[test]
fn a_script_may_leave_file_systems_to_the_kernels_modprobe() {
    let kernel = fetched("kernel-6.1-amd64");
    let path = format!(
        "lib/modules/{}/kernel/fs/btrfs/btrfs.ko",
        kernel_of(&kernel)
    );
    let module = fs::read(kernel.join(&path)).unwrap();
    let said = |lines: &str, modprobe: &str| {
        let entries = [
            program("init", format!("#!/bin/sh\n{lines}mount /dev/xvda1 /mnt\n")),
            program(modprobe, ""),
            file(&path, &module),
        ];
        let found = names(&entries).into_iter();
        let found = found.filter(|line| line.contains("init-loads-nothing"));
        found.collect::<Vec<String>>()
    };
    let idle = ["warning init-loads-nothing init"];
    assert_eq!(said("", "sbin/modprobe"), [""; 0]);
    assert_eq!(said("", "usr/sbin/modprobe"), [""; 0]);
    assert_eq!(said("", "usr/bin/modprobe"), idle);
    assert_eq!(said("busybox --install -s\n", "bin/x"), [""; 0]);
}

#[test]
fn a_driver_that_the_init_never_loads_serves_no_device() {
    let module = module();
    let said = |list: &str, device: &str| {
        let guest = Guest {
            devices: vec![device.to_owned()],
            ..Guest::default()
        };
        let image = archive(&image(0o100_755, list, &module, busybox::INIT));
        let lines = found(&judged(image, &guest), drivers::RULES).into_iter();
        let lines = lines.filter(|line| line.contains("no-driver-for-device"));
        lines.collect::<Vec<String>>()
    };
    let (driver, other) = ("lib/xen-blkfront.ko\n", "lib/other.ko\n");
    let never = |file: &str| {
        let why = "it is there, and the init never loads it";
        [format!("error no-driver-for-device lib/{file}.ko: {why}")]
    };
    let none = "error no-driver-for-device -: 2 modules, none of them for virtio_blk";
    assert_eq!(said(driver, "xen_blkfront"), [""; 0]);
    assert_eq!(said(driver, "xen:vbd"), [""; 0]);
    // The same driver under another name.
    assert_eq!(said(other, "xen:vbd"), [""; 0]);
    assert_eq!(said(other, "xen-blkfront"), never("xen-blkfront"));
    assert_eq!(said(driver, "other"), never("other"));
    assert_eq!(said(driver, "virtio_blk"), [none]);
}

#[test]
fn what_to_do_without_an_interpreter_is_said_of_the_one_that_is_missing() {
    let cure = |interpreter: &str, more: &[Made]| {
        let init = program("init", format!("#!{interpreter}\n"));
        let inspection = judged(archive(&[&[init], more].concat()), &Guest::default());
        let mut findings = inspection.findings.iter();
        let missing = findings.find(|finding| finding.rule.name == "script-interpreter-missing");
        missing.unwrap().cure
    };
    let sh = program("bin/sh", "");
    assert!(cure("/bin/sh", &[]).contains("for /bin/sh a link to busybox"));
    assert!(cure("/bin/bash", &[]).contains("Put bash in"));
    assert!(cure("/bin/bash", &[sh]).contains("/bin/sh, which is there"));
    assert!(cure("/bin/busybox", &[]).contains("Put a busybox in"));
    assert!(cure("/usr/bin/python3", &[]).contains("Put that program in"));
}

#[test]
fn carriage_returns_are_told_where_they_do_harm() {
    let told = |line: &str| {
        let image = [program("init", format!("#!/bin/sh\n{line}"))];
        let inspection = judged(archive(&image), &Guest::default());
        let lines = found(&inspection, init::RULES).into_iter();
        let lines = lines.filter_map(|line| {
            let (_, told) = line.split_once("error carriage-returns init: ")?;
            Some(told.to_owned())
        });
        lines.collect::<Vec<String>>().concat()
    };
    let one = "1 line that ends with a carriage return";
    let two = "2 lines that end with a carriage return";
    for (script, expected) in [
        ("mount\r\n", one),
        ("mount\r\n\r\n# words\r\n\tmount\r\n", two),
        ("# words\r\nmount\n", ""),
        ("\t# words\r\n\r\n", ""),
        ("exit\nword\r\n", ""),
        ("exit\r\nword\r\n", one),
        ("exec /sbin/init\nword\r\n", ""),
        ("exec 2>&1 </dev/null\nword\r\n", one),
        ("exec > /dev/console\nword\r\n", one),
        ("exec > /x /sbin/init # y\nword\r\n", ""),
        ("if x\n  exit\nfi\nword\r\n", one),
        ("mount\n\0word\r\n", ""),
    ] {
        assert_eq!(told(script), expected, "{script:?}");
    }
}

#[test]
fn microcode_is_first_and_plain_or_nothing() {
    let early = archive(&[
        directory("kernel"),
        directory("kernel/x86"),
        directory("kernel/x86/microcode"),
        file("kernel/x86/microcode/AuthenticAMD.bin", "x"),
    ]);
    let rest = archive(&image(
        0o100_755,
        "lib/xen-blkfront.ko\n",
        &module(),
        busybox::INIT,
    ));
    let found = |image: Vec<u8>| found(&judged(image, &Guest::default()), unpacking::RULES);
    assert_eq!(found([&early[..], &rest].concat()), Vec::<String>::new());
    let late = "warning microcode-not-first kernel/x86/microcode/AuthenticAMD.bin: microcode in segment 1, behind another";
    assert_eq!(found([&rest[..], &early].concat()), [late]);
}
