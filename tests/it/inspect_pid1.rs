//! What keeps the first program from its work although every file is there: a sound image of this
//! program's own kind, one change, and what is found then.

use std::fs;

use xinitrd::init::busybox;
use xinitrd::inspect::Guest;
use xinitrd::inspect::rules::{drivers, init, modules, scripts, unpacking};
use xinitrd::xen_version::XenVersion;

use crate::judged::{Made, archive, directory, file, found, judged, made, program};
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
    vec![
        directory("bin"),
        made("bin/busybox", interpreter, ""),
        directory("etc"),
        directory("etc/xinitrd"),
        file("etc/xinitrd/modules", list),
        directory("lib"),
        file("lib/xen-blkfront.ko", module),
        file("lib/other.ko", module),
        program("init", init),
    ]
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
