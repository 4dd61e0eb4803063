//! Inits that somebody wrote by hand: what they load by plain words, held against what the image has.

use std::fs;

use xinitrd::inspect::Guest;
use xinitrd::inspect::guest_kernel::GuestKernel;
use xinitrd::inspect::rules::{init, modules};
use xinitrd::root::Root;

use crate::judged::{Made, applets, archive, file, found, judged, program};
use crate::readers::Tree;
use crate::support::{Tool, fetched, kernel_of};

const XZ: Tool = Tool::of("xz", "xz-utils");

/// A real module's file.
fn module(path: &str) -> Vec<u8> {
    let root = fetched("kernel-6.1-amd64");
    let directory = root.join("lib/modules").join(kernel_of(&root));
    fs::read(directory.join("kernel").join(path)).unwrap()
}

/// What is found in an image with this init, without the console that all of these lack.
fn said_of(init: Made, files: &[Made], guest: &Guest) -> Vec<String> {
    let entries = [&[init], files].concat();
    let lines = found(
        &judged(archive(&entries), guest),
        &[init::RULES, modules::RULES].concat(),
    );
    let lines = lines.into_iter();
    lines
        .filter(|line| !line.contains("no-console-node"))
        .collect()
}

fn script(lines: &str) -> Made {
    program("init", format!("#!/bin/sh\nset -x\n{lines}\n"))
}

#[test]
fn what_a_script_loads_in_plain_words_is_there_or_built_in() {
    let driver = module("drivers/block/xen-blkfront.ko");
    let files = [
        file("lib/xen-blkfront.ko", &driver),
        file("lib/virtio_blk.ko.xz", XZ.run(&["-c"], &driver)),
    ];
    let list = "==> lib/modules/1/modules.builtin <==\nkernel/fs/ext4/ext4.ko\n";
    let root = Root::new(Box::new(Tree::read(list.as_bytes())));
    let guest = Guest {
        root: Some(GuestKernel::read(&root, "1").unwrap()),
        ..Guest::default()
    };
    let missing = |what: &str| vec![format!("warning init-module-missing init: no {what}")];
    let loose = |name: &str| {
        let why = "and no module lies in a /lib/modules/RELEASE";
        vec![format!(
            "warning modules-dep-missing -: modprobe is asked for {name}, {why}"
        )]
    };
    let both = |name: &str| [loose(name), missing(&format!("module {name}"))].concat();
    let cases = [
        ("insmod /lib/xen-blkfront.ko", vec![]),
        (
            "insmod /lib/virtio_blk.ko",
            missing("/lib/virtio_blk.ko, but lib/virtio_blk.ko.xz"),
        ),
        (
            "insmod /lib/xen_blkfront.ko",
            missing("/lib/xen_blkfront.ko, but lib/xen-blkfront.ko"),
        ),
        (
            "insmod /lib/virtoi_blk.ko",
            missing("/lib/virtoi_blk.ko, but lib/virtio_blk.ko.xz"),
        ),
        (
            "insmod /lib/nonesuch.ko || true",
            missing("/lib/nonesuch.ko"),
        ),
        (
            "for m in /lib/a.ko /lib/xen-blkfront.ko; do insmod $m; done",
            missing("/lib/a.ko"),
        ),
        (
            "insmod /lib/$name.ko\ninsmod /mnt/a.ko\ninsmod a.ko\n# insmod /lib/b.ko",
            vec![],
        ),
        ("insmod /lib/ext4.ko", vec![]),
        ("modprobe xen-blkfront", loose("xen-blkfront")),
        ("modprobe xen:vbd", loose("xen:vbd")),
        ("modprobe ext4", loose("ext4")),
        ("modprobe -q nonesuch 2>/dev/null", both("nonesuch")),
        (
            "for m in nonesuch; do\n  modprobe $m\ndone",
            both("nonesuch"),
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(said_of(script(lines), &files, &guest), expected, "{lines}");
    }
}

#[test]
fn a_file_that_is_asked_for_first_may_be_missing() {
    let missing = "warning init-module-missing init: no /lib/x.ko";
    let cases: [(&str, &[&str]); 5] = [
        ("[ -e /lib/x.ko ] && insmod /lib/x.ko", &[]),
        ("if [ -f /lib/x.ko ]; then\n  insmod /lib/x.ko\nfi", &[]),
        (
            "for m in /lib/x.ko; do\n  test -r $m &&\n    insmod $m\ndone",
            &[],
        ),
        ("[ -e /lib/y.ko ] && insmod /lib/x.ko", &[missing]),
        ("[ -e /lib/x.ko ] && :\ninsmod /lib/x.ko", &[missing]),
    ];
    for (lines, expected) in cases {
        assert_eq!(
            said_of(script(lines), &[], &Guest::default()),
            expected,
            "{lines}"
        );
    }
}

#[test]
fn a_name_that_the_images_modprobe_configuration_has_is_not_told_as_missing() {
    let files = [
        file("etc/modprobe.conf", "alias old-net ext4\n"),
        file(
            "etc/modprobe.d/own.conf",
            "# comment\nalias my-net* \\\n ext4\n",
        ),
        file("lib/modprobe.d/own.conf", "install own_thing /bin/true\n"),
        file("etc/modprobe.d/unread", "alias unread ext4\n"),
    ];
    for (name, is_named) in [
        ("old_net", true),
        ("mynet", false),
        ("my_net0", true),
        ("own-thing", true),
        ("unread", false),
    ] {
        let said = said_of(
            script(&format!("modprobe {name}")),
            &files,
            &Guest::default(),
        );
        let missing = format!("warning init-module-missing init: no module {name}");
        assert_eq!(!said.contains(&missing), is_named, "{name}: {said:?}");
    }
}

#[test]
fn a_module_that_a_condition_loads_is_loaded_where_it_stands() {
    let files = [
        "fs/mbcache.ko",
        "fs/jbd2/jbd2.ko",
        "lib/crc16.ko",
        "fs/ext4/ext4.ko",
    ];
    let files = files.map(|path| {
        file(
            format!("lib/{}", path.rsplit('/').next().unwrap()),
            module(path),
        )
    });
    let lines = "if insmod /lib/mbcache.ko; then insmod /lib/jbd2.ko; fi\n\
        while ! insmod /lib/crc16.ko; do :; done\ninsmod /lib/ext4.ko";
    assert_eq!(said_of(script(lines), &files, &Guest::default()), [""; 0]);
}

#[test]
fn a_list_that_lacks_an_ending_is_told_what_is_there() {
    let driver = XZ.run(&["-c"], &module("drivers/block/xen-blkfront.ko"));
    let files = [
        file("lib/xen-blkfront.ko.xz", driver),
        file("etc/xinitrd/modules", "lib/xen-blkfront.ko\n"),
    ];
    let files = [applets(0o100_755), files.to_vec()].concat();
    let init = program("init", xinitrd::init::busybox::INIT);
    let expected =
        "error init-module-missing init: no lib/xen-blkfront.ko, but lib/xen-blkfront.ko.xz";
    assert_eq!(said_of(init, &files, &Guest::default()), [expected]);
}

#[test]
fn a_loop_through_files_loads_them_in_the_order_of_their_names() {
    let paths = [
        "lib/crc16.ko",
        "fs/mbcache.ko",
        "fs/jbd2/jbd2.ko",
        "fs/ext4/ext4.ko",
    ];
    let modules = paths.map(|path| (path.rsplit('/').next().unwrap(), module(path)));
    let flat = modules
        .clone()
        .map(|(name, bytes)| file(format!("lib/{name}"), bytes));
    let apart: Vec<Made> = modules
        .into_iter()
        .zip(1..)
        .map(|((name, bytes), place)| file(format!("lib/{place}/{name}"), bytes))
        .collect();
    let lines = "for m in /lib/*.ko /lib/1/*.ko /lib/2/* /lib/3/j*2.ko /lib/4/*.ko; do\n  insmod \"$m\"\ndone";
    let early =
        "warning module-loaded-before-its-need lib/ext4.ko: it is loaded before jbd2, mbcache";
    let guest = Guest::default();
    assert_eq!(said_of(script(lines), &flat, &guest), [early]);
    assert_eq!(said_of(script(lines), &apart, &guest), [""; 0]);
}
