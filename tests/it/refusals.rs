//! What stands in the command's way: all of it at once, in one form, as text and as a document.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::layers;
use crate::scene::{KERNEL, Refusal, Scene, XENBLK, assert_refused, run, under_shell, words};
use crate::support::{XINITRD, utf8};

/// The problems of a text in the house's form, as a document has them.
fn problems(text: &str) -> Value {
    let text = text.strip_prefix("xinitrd: ").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (count, blocks) = lines.split_last().unwrap();
    let problem = |block: &[&str]| {
        let part = |n: usize, label: &str| {
            let line: &str = block[n];
            line.strip_prefix(label)
                .unwrap_or_else(|| panic!("no `{label}` in {text}"))
                .to_owned()
        };
        json!({
            "place": part(0, ""),
            "found": part(1, "    found:    "),
            "expected": part(2, "    expected: "),
            "do": part(3, "    do:       "),
        })
    };
    let problems: Vec<Value> = blocks.chunks(4).map(problem).collect();
    let (number, _) = count.split_once(" problem").unwrap();
    assert_eq!(number, problems.len().to_string(), "{text}");
    Value::from(problems)
}

/// A word that would colour a terminal, and forge a line of the house's form.
const FORGED: &str = r"x\x1b[31m\n    do:       rm -rf /\r";

#[test]
fn a_files_own_words_forge_no_line_and_reach_no_terminal_as_they_are() {
    let program = "m.executable('nash', interpreter='/lib64/ld.so'";
    let dep = "put(DEP, open(DEP).read() + f'kernel/fs/x.ko:\\n')";
    let recipes = [
        (
            1,
            format!("put(MODULE, m.module('xenblk', f'{{V}}{FORGED}'))"),
        ),
        (
            1,
            format!("put(MODULE, m.module('xenblk', V, ['{FORGED}'])); os.remove(DEP)"),
        ),
        (1, format!("put(NASH, {program}, needed=['{FORGED}']))")),
        (
            1,
            format!("put(NASH, m.executable('nash', interpreter='/{FORGED}'))"),
        ),
        (
            1,
            format!(
                "put('root/etc/modprobe.conf', 'options xenblk {}\\n')",
                FORGED.replace("\\n", "")
            ),
        ),
        (
            0,
            format!(
                "{dep}; put(f'{{D}}/modules.softdep', 'softdep xenblk pre: {}\\n')",
                FORGED.replace("\\n", "")
            ),
        ),
    ];
    for (code, recipe) in recipes {
        let scene = Scene::new(&recipe);
        for more in [&[][..], &["--json"]] {
            let output = run(&mut scene.build(&[more, &["--dry-run"]].concat()));
            assert_eq!(
                output.status.code(),
                Some(code),
                "{recipe}: {}",
                words(&output)
            );
            let said = utf8([output.stdout.clone(), output.stderr.clone()].concat());
            assert!(said.contains("\\x1b[31m"), "{recipe}: {said}");
            let raw = |c: char| c.is_control() && c != '\n';
            assert!(!said.contains(raw), "{recipe}: {said:?}");
            assert!(!said.contains("\n    do:       rm"), "{recipe}: {said}");
        }
    }
}

/// What `xinitrd build` and its likes say of bad arguments, word for word.
fn assert_said(command: &mut Command, code: i32, text: &str) {
    let output = run(command);
    assert_eq!(words(&output), text, "{command:?}");
    assert_eq!(output.status.code(), Some(code), "{command:?}: {text}");
    assert_eq!(output.stdout, b"", "{command:?}");
}

const USAGE: [Refusal<'_>; 18] = [
    (
        "",
        &["--root", "nowhere"],
        2,
        &["xinitrd: --root nowhere
    found:    No such file or directory (os error 2)
    expected: a directory: the guest's root
    do:       check the path
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--root", "root/bins/nash"],
        2,
        &["xinitrd: --root root/bins/nash
    found:    not a directory
    expected: a directory: the guest's root
    do:       check the path; a part of it is no directory
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--root", "out"],
        2,
        &["xinitrd: out/lib/modules
    found:    no kernel
    expected: a directory called as the kernel's release, here or in usr/lib/modules
    do:       unpack the kernel's package there, or check --root
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--kernel", "2.6.9-67.0.1.ELxenU"],
        2,
        &["xinitrd: root/lib/modules/2.6.9-67.0.1.ELxenU
    found:    no kernel of that name
    expected: one of 2.6.9-67.0.1.ELxenU-x86_64
    do:       did you mean 2.6.9-67.0.1.ELxenU-x86_64?
1 problem; nothing was written
"],
    ),
    (
        "os.mkdir('root/lib/modules/6.1.0')",
        &["--kernel", "../modules"],
        2,
        &["xinitrd: root/lib/modules/../modules
    found:    no kernel of that name
    expected: one of 2.6.9-67.0.1.ELxenU-x86_64, 6.1.0
    do:       take one of these, or check --root
1 problem; nothing was written
"],
    ),
    (
        "os.mkdir('root/lib/modules/6.1.0')",
        &[],
        2,
        &["xinitrd: root/lib/modules
    found:    several kernels
    expected: one of 2.6.9-67.0.1.ELxenU-x86_64, 6.1.0
    do:       say which with --kernel
1 problem; nothing was written
"],
    ),
    (
        "os.rename(D, 'root/lib/modules/xen')",
        &[],
        2,
        &["xinitrd: kernel xen
    found:    `xen` does not begin with a kernel version such as 2.6.9 or 6.1
    expected: a version first, as in 6.1.0-43-amd64
    do:       call the directory as the kernel's release, a suffix after it
1 problem; nothing was written
"],
    ),
    (
        "os.rename(D, 'root/lib/modules/2.4.21')",
        &[],
        2,
        &["xinitrd: --manifest auto
    found:    no manifest for kernel 2.4.21
    expected: a kernel of el4: 2.6.9 up to but not including 2.6.18; \
el5: 2.6.18 up to but not including 2.6.24; native: 2.6.24 and later; busybox: 2.6.24 and later
    do:       name one with --manifest
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--manifest", "el"],
        2,
        &["xinitrd: --manifest el
    found:    no manifest of that name
    expected: one of el4, el5, native, busybox; or a file, as ./mine.toml
    do:       did you mean el4 or el5?
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--manifest", "./mine.toml"],
        2,
        &["xinitrd: --manifest ./mine.toml
    found:    No such file or directory (os error 2)
    expected: a manifest
    do:       check the path
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--manifest", "out/."],
        2,
        &["xinitrd: --manifest out/.
    found:    Is a directory (os error 21)
    expected: a manifest
    do:       name a file; this is a directory
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--manifest", "/dev/zero"],
        2,
        &["xinitrd: --manifest /dev/zero
    found:    it is larger than 1 MiB
    expected: a manifest
    do:       check that it is the file you mean
1 problem; nothing was written
"],
    ),
    (
        r"put('mine.toml', b'name = \xff')",
        &["--manifest", "./mine.toml"],
        1,
        &["xinitrd: --manifest ./mine.toml
    found:    bytes that are not UTF-8
    expected: TOML, which is UTF-8
    do:       save the file as UTF-8
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--modprobe-conf", "/dev/zero"],
        2,
        &["xinitrd: /dev/zero
    found:    it is larger than 1 MiB
    expected: a configuration of modprobe, or a directory of *.conf files
    do:       check that it is the file you mean
1 problem; nothing was written
"],
    ),
    (
        "os.mkdir('conf'); os.mkfifo('conf/a.conf'); os.mkdir('conf/b.conf'); put('conf/c', b'')",
        &["--modprobe-conf", "conf"],
        2,
        &["xinitrd: conf/a.conf
    found:    not a regular file
    expected: a configuration of modprobe, or a directory of *.conf files
    do:       check that it is the file you mean
conf/b.conf
    found:    not a regular file
    expected: a configuration of modprobe, or a directory of *.conf files
    do:       check that it is the file you mean
2 problems; nothing was written
"],
    ),
    (
        "os.mkdir('root/etc/modprobe.d'); os.mkfifo('root/etc/modprobe.d/x.conf')",
        &[],
        1,
        &["xinitrd: root/etc/modprobe.d/x.conf
    found:    a device, socket or pipe, not a regular file
    expected: a regular file in the root
    do:       take it away, and unpack the package it should come from again
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--level", "77"],
        2,
        &["xinitrd: --level 77
    found:    gzip has no level 77
    expected: a level from 1 to 12
    do:       leave --level out: the default is a good one
1 problem; nothing was written
"],
    ),
    (
        "",
        &["--with", "xenbkl"],
        1,
        &["xinitrd: module xenbkl
    found:    no module, alias or built-in driver is called xenbkl
    expected: a module of the tree, an alias of one, or a built-in driver
    do:       did you mean xenblk?
1 problem; nothing was written
"],
    ),
];

#[test]
fn what_is_asked_for_wrongly_is_told_with_what_to_ask_for() {
    assert_refused(&USAGE);
}

#[test]
fn an_output_that_cannot_be_is_told_with_what_to_do() {
    let refusal = |output: &str, found: &str, expected: &str, advice: &str| {
        let scene = Scene::new("");
        let text = format!(
            "xinitrd: {output}
    found:    {found}
    expected: {expected}
    do:       {advice}
1 problem; nothing was written
"
        );
        assert_said(&mut scene.build(&["-o", output]), 2, &text);
        assert_eq!(scene.left(), [""; 0]);
    };
    let place = "a place where a file can be made, and written whole";
    let gone = "No such file or directory (os error 2)";
    let make = "make its directory first, or name another place with -o";
    refusal(
        "out",
        "a directory",
        "a file's name",
        "add the file's name to it, as DIR/initrd.img",
    );
    refusal(
        "root/bins/nash",
        "it is there already",
        "a name that nothing has yet",
        "say -f to replace it, or name another file with -o",
    );
    refusal("gone/initrd.img", gone, place, make);
    refusal(
        "root/bins/nash/x",
        "Not a directory (os error 20)",
        place,
        "write to another place",
    );
    // Nobody, root included, makes a file in /proc.
    refusal("/proc/initrd.img", gone, place, make);
    assert_refused(&[
        ("", &["-o", "out", "--force"], 2, &["found:    a directory"]),
        (
            "",
            &["-o", "/sys/initrd.img"],
            2,
            &["xinitrd: /sys/initrd.img"],
        ),
    ]);
}

#[test]
fn only_a_regular_file_is_replaced_even_by_force() {
    let said = "
    found:    a device, socket or pipe
    expected: a regular file, or a name that nothing has yet
    do:       name a file; or say -o - and lead standard output there
1 problem; nothing was written
";
    let recipe = "os.mkfifo('fifo'); os.symlink('fifo', 'to-fifo'); os.symlink('/dev/null', 'to-null'); os.symlink('out', 'to-out'); \
                  put('old', 'old'); os.symlink('old', 'to-old'); os.symlink('gone', 'to-gone')";
    let scene = Scene::new(recipe);
    for special in ["fifo", "to-fifo", "to-null"] {
        for more in [&[][..], &["--force"], &["--force", "--dry-run"]] {
            let args = [&["-o", special], more].concat();
            let dry = more.contains(&"--dry-run");
            let output = run(&mut scene.build(&args));
            let (code, text) = match dry {
                true => (0, String::new()),
                false => (2, format!("xinitrd: {special}{said}")),
            };
            assert_eq!(words(&output), text, "{args:?}");
            assert_eq!(output.status.code(), Some(code), "{args:?}");
            let kind = fs::metadata(scene.path(special)).unwrap().file_type();
            assert!(!kind.is_file(), "{args:?}");
        }
    }
    let directory = run(&mut scene.build(&["-o", "to-out", "--force"]));
    assert!(words(&directory).contains("found:    a directory"));
    for link in ["to-old", "to-gone"] {
        let there = run(&mut scene.build(&["-o", link]));
        assert!(words(&there).contains("found:    it is there already"));
        let built = run(&mut scene.build(&["-o", link, "--force"]));
        assert_eq!(built.status.code(), Some(0), "{}", words(&built));
        assert!(fs::symlink_metadata(scene.path(link)).unwrap().is_file());
    }
    assert_eq!(fs::read(scene.path("old")).unwrap(), b"old");
    assert!(!scene.path("gone").exists());
}

#[test]
fn an_image_may_be_read_by_whom_the_umask_lets() {
    let scene = Scene::new("");
    for (umask, mode) in [("022", 0o644), ("077", 0o600), ("000", 0o666)] {
        let command = scene.build(&["--force"]);
        let built = run(&mut under_shell(
            &format!("umask {umask}"),
            &command,
            &scene,
        ));
        assert_eq!(built.status.code(), Some(0), "{}", words(&built));
        let image = fs::metadata(scene.path("out/initrd.img")).unwrap();
        assert_eq!(image.permissions().mode() & 0o7777, mode, "umask {umask}");
    }
}

#[test]
fn every_fault_of_a_manifest_is_told_with_its_place() {
    let recipe = r##"put("mine.toml", """name = "x y"
sumary = ""
init = "bsybox"
[modules]
layout = "flat"
rootfs = 3
include = ["["]
[[directories]]
path = "../x"
mode = 755
[[nodes]]
path = "dev/null"
kind = "char"
major = 1
minor = -3
""")"##;
    let scene = Scene::new(recipe);
    let text = "xinitrd: ./mine.toml:1:1
    found:    the key `summary` is missing
    expected: `summary`, which must be said
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
./mine.toml:1:8
    found:    `x y` is no manifest's name
    expected: a manifest's name: letters, digits, `-`, `_`, `.`
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
./mine.toml:2:1
    found:    unknown key `sumary`
    expected: a key that manifests have
    do:       did you mean `summary`?
./mine.toml:3:8
    found:    `init` is `bsybox`
    expected: one of nash-4.2, nash-5.1, busybox, native
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
./mine.toml:6:10
    found:    `rootfs` is a whole number
    expected: a string
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
./mine.toml:7:12
    found:    `include` has a pattern that cannot be read: unclosed character class; missing ']'
    expected: a glob pattern, as `dm-*`
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
./mine.toml:9:8
    found:    `path` is no path of an image: it climbs with `..`
    expected: a path inside the image, without `..`
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
./mine.toml:10:8
    found:    `mode` is 755
    expected: a mode in octal, as 0o755
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
./mine.toml:15:9
    found:    `minor` is -3
    expected: a number from 0 to 1048575
    do:       change it; `xinitrd manifests busybox` prints a manifest that is right
9 problems; nothing was written
";
    assert_said(&mut scene.build(&["--manifest", "./mine.toml"]), 1, text);
}

#[test]
fn everything_in_the_way_is_told_at_once() {
    let scene = Scene::new("put('out/initrd.img', 'old'); put('mine.toml', 'name = 1')");
    let arguments = [
        &["--bins", "bins", "--manifest", "el", "--level", "0"][..],
        &["--modprobe-conf", "gone.conf", "--kernel", "2.6"],
    ]
    .concat();
    let mut command = scene.build(&arguments);
    let text = "xinitrd: root/lib/modules/2.6
    found:    no kernel of that name
    expected: one of 2.6.9-67.0.1.ELxenU-x86_64
    do:       take one of these, or check --root
gone.conf
    found:    No such file or directory (os error 2)
    expected: a configuration of modprobe, or a directory of *.conf files
    do:       check the path
--bins bins
    found:    No such file or directory (os error 2)
    expected: a directory: the guest's programs
    do:       check the path
--level 0
    found:    gzip has no level 0
    expected: a level from 1 to 12
    do:       leave --level out: the default is a good one
out/initrd.img
    found:    it is there already
    expected: a name that nothing has yet
    do:       say -f to replace it, or name another file with -o
SOURCE_DATE_EPOCH
    found:    `now`
    expected: seconds since 1970, below 2^32
    do:       unset it, or set it to such a number
--manifest el
    found:    no manifest of that name
    expected: one of el4, el5, native, busybox; or a file, as ./mine.toml
    do:       did you mean el4 or el5?
7 problems; nothing was written
";
    assert_said(command.env("SOURCE_DATE_EPOCH", "now"), 2, text);
    assert_eq!(fs::read(scene.path("out/initrd.img")).unwrap(), b"old");
    assert_eq!(scene.left(), ["initrd.img"]);
}

#[test]
fn what_can_still_be_judged_is_judged() {
    let i386 = "put(NASH, m.executable('nash', arch='i386'))";
    let spoilt = format!("put(MODULE, b''); {i386}");
    let no_index = format!("os.remove(DEP); os.mkdir(DEP); {i386}");
    assert_refused(&[
        (
            &spoilt,
            &[],
            1,
            &[XENBLK, "root/bins/nash", "2 problems; nothing was written"],
        ),
        // A module that is nowhere, and a binary for what the others are.
        (
            i386,
            &["--with", "gone", "-o", "out"],
            1,
            &[
                "module gone",
                "root/bins/nash",
                "xinitrd: out\n",
                "3 problems",
            ],
        ),
        // No module can be told, and the architecture is said.
        (
            &no_index,
            &["--arch", "x86_64", "-o", "out"],
            1,
            &[
                "modules.dep\n    found:    a directory",
                "root/bins/nash",
                "3 problems",
            ],
        ),
        // What `--arch` says wrongly is held against no binary.
        (
            "",
            &["--arch", "i386"],
            1,
            &["as --arch i386 says", "1 problem;"],
        ),
        // A binary may be in the very directory that cannot be had.
        (
            "os.remove(NASH)",
            &["--bins", "gone", "--with", "xenbkl"],
            1,
            &["--bins gone", "module xenbkl", "2 problems"],
        ),
    ]);
}

#[test]
fn a_file_that_is_there_is_as_it_was_after_a_refusal() {
    let scene = Scene::new("put('out/initrd.img', 'old'); put(MODULE, b'')");
    for args in [&[][..], &["--force"]] {
        assert_ne!(run(&mut scene.build(args)).status.code(), Some(0));
        assert_eq!(fs::read(scene.path("out/initrd.img")).unwrap(), b"old");
        assert_eq!(scene.left(), ["initrd.img"]);
    }
}

#[test]
fn a_load_order_that_cannot_be_is_told_in_the_same_form() {
    let needed_said = format!(
        "xinitrd: root/lib/modules/{KERNEL}/kernel/fs/ext3/ext3.ko
    found:    it needs jbd, which is neither in the tree nor built in
    expected: everything a module needs
    do:       unpack the rest of the kernel's packages; if it is built in, say --builtin jbd
1 problem
"
    );
    let several_said = "xinitrd: gone.conf
    found:    No such file or directory (os error 2)
    expected: a configuration of modprobe, or a directory of *.conf files
    do:       check the path
module etx3
    found:    no module, alias or built-in driver is called etx3
    expected: a module of the tree, an alias of one, or a built-in driver
    do:       did you mean ext3?
module zzz
    found:    no module, alias or built-in driver is called zzz
    expected: a module of the tree, an alias of one, or a built-in driver
    do:       check the name; if the kernel has it built in, say --builtin zzz
3 problems
";
    let dep_said = format!(
        "xinitrd: root/lib/modules/{KERNEL}/modules.dep
    found:    a device, socket or pipe, not a regular file
    expected: a regular file in the root
    do:       take it away, and unpack the package it should come from again
1 problem
"
    );
    let several = ["--modprobe-conf", "gone.conf", "etx3", "zzz"];
    for (recipe, args, said) in [
        (
            "os.remove(DEP); os.remove(f'{D}/kernel/fs/jbd/jbd.ko')",
            &["ext3"][..],
            needed_said.as_str(),
        ),
        ("", &several, several_said),
        ("os.remove(DEP); os.mkfifo(DEP)", &["ext3"], &dep_said),
    ] {
        assert_said(&mut Scene::new(recipe).resolve(args), 1, said);
    }
}

#[test]
fn a_manifest_without_what_its_init_needs_is_told_all_of_it() {
    const VIEWS: &str = "no directory /proc, no directory /sys, no directory /dev, no directory /sysroot, \
         no character device /dev/console (5, 1)";
    let udev = r#"[{path = "bin/udev", file-name = "udev.static", package = "udev"}]"#;
    let hidden = r#"[{path = "bin/nash", file-name = "nash", package = "p", when = "lvm-root"}]"#;
    let volume = &["--root-device", "/dev/vg/root", "--builtin", "dm-mod"][..];
    for (init, binaries, args, lacking) in [
        (
            "nash-4.2",
            "[]",
            &[][..],
            format!("no program /bin/nash, {VIEWS}, no program insmod"),
        ),
        (
            "nash-4.2",
            udev,
            volume,
            format!(
                "no program /bin/nash, {VIEWS}, no program insmod, no program lvm, \
                 no program /sbin/udevstart, no program /sbin/hotplug"
            ),
        ),
        (
            "nash-5.1",
            hidden,
            &[],
            format!("no program /bin/nash, {VIEWS}, no program insmod, no directory /etc"),
        ),
        (
            "nash-5.1",
            hidden,
            volume,
            format!("{VIEWS}, no program insmod, no program lvm, no directory /etc"),
        ),
        (
            "busybox",
            "[]",
            &[],
            format!("no program /bin/busybox, {VIEWS}, no character device /dev/null (1, 3)"),
        ),
    ] {
        let recipe = format!(
            r#"put("mine.toml", """name = "mine"
summary = "nothing but modules"
init = "{init}"
binaries = {binaries}
modules = {{ layout = "flat", rootfs = "ext3" }}
""")"#
        );
        let text = format!(
            "xinitrd: manifest mine
    found:    {lacking}
    expected: everything its init runs, mounts on and writes to
    do:       add it to the manifest; `xinitrd manifests NAME` prints one that has it
1 problem; nothing was written
"
        );
        let args = [&["--manifest", "./mine.toml"], args].concat();
        assert_said(&mut Scene::new(&recipe).build(&args), 1, &text);
    }
}

#[test]
fn a_manifest_that_is_not_shipped_is_answered_with_the_nearest() {
    let text = "xinitrd: manifest busybux
    found:    no manifest of that name
    expected: one of el4, el5, native, busybox; or a file, as ./mine.toml
    do:       did you mean busybox?
1 problem
";
    let mut command = Command::new(XINITRD);
    assert_said(command.args(["manifests", "busybux"]), 2, text);
}

/// The document a refusal must be, by its text.
fn document(text: &str) -> Value {
    json!({
        "schema_version": 1,
        "generator": concat!("xinitrd ", env!("CARGO_PKG_VERSION")),
        "refused": true,
        "problems": problems(text),
    })
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Runs a command that must be refused twice, plain and with more arguments, with one exit code.
fn with_and_without(command: Command, more: &[&str]) -> (String, Output) {
    let mut command = command;
    let plain = run(&mut command);
    let other = run(command.args(more));
    assert_eq!(plain.status.code(), other.status.code(), "{command:?}");
    assert_ne!(plain.status.code(), Some(0), "{command:?}");
    (words(&plain), other)
}

#[test]
fn a_document_says_all_that_the_text_says() {
    let scene = Scene::new("put(MODULE, b''); put(NASH, m.executable('nash', arch='i386'))");
    let commands = || {
        [
            scene.build(&[]),
            scene.build(&["--bins", "gone", "--manifest", "el", "-o", "out"]),
            scene.build(&["--root", "nowhere"]),
            scene.resolve(&["etx3", "zzz"]),
            scene.resolve(&["--kernel", "2.6", "ext3"]),
        ]
    };
    for command in commands() {
        let (text, other) = with_and_without(command, &["--json"]);
        assert_eq!(parsed(&other.stdout), document(&text));
        assert_eq!(words(&other), text, "people are told as well");
    }
    for command in commands().into_iter().take(3) {
        let (text, other) = with_and_without(command, &["--json", "-q"]);
        assert_eq!(parsed(&other.stdout), document(&text));
        assert_eq!(words(&other), "");
    }
    for command in commands().into_iter().take(3) {
        let (text, other) = with_and_without(command, &["-q"]);
        assert_eq!((words(&other), other.stdout), (text, vec![]));
    }
}

#[test]
fn a_document_does_not_go_where_the_image_should_have_gone() {
    let scene = Scene::new("put(MODULE, b'')");
    let (text, other) = with_and_without(scene.build(&["-o", "-"]), &["--json"]);
    assert_eq!(parsed(&other.stderr), document(&text));
    assert_eq!(other.stdout, b"");
    let (text, other) = with_and_without(scene.build(&["-o", "-", "--dry-run"]), &["--json"]);
    assert_eq!(parsed(&other.stdout), document(&text));
}

#[test]
fn arguments_that_are_none_have_a_document_too() {
    let scene = Scene::new("");
    for wrong in [&["--josn"][..], &["--level", "x"], &["--arch", "vax"]] {
        let (text, other) = with_and_without(scene.build(wrong), &["--json"]);
        assert_eq!(other.status.code(), Some(2));
        let said = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix("error: ")
            .unwrap();
        let problem = json!({
            "place": "the command line",
            "found": said,
            "expected": "arguments as --help has them",
            "do": "see xinitrd --help, and xinitrd COMMAND --help",
        });
        assert_eq!(parsed(&other.stdout)["problems"], json!([problem]));
        assert!(words(&other).starts_with(&format!("error: {said}")));
    }
}

/// Every key in a document, but those of `content`, which are purposes.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                if key != "content" {
                    keys(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_every_document_is_documented() {
    let scene = Scene::new(&layers::recipe("deb('all', 'root')"));
    let mut found = BTreeSet::new();
    for (mut command, code) in [
        (scene.build(&["--json", "--package", "all.deb"]), 0),
        (scene.build(&["--json", "--with", "gone", "-f"]), 1),
        (scene.resolve(&["--json", "ext3"]), 0),
    ] {
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(code), "{}", words(&output));
        keys(&parsed(&output.stdout), &mut found);
    }
    let documentation = include_str!("../../docs/report.md");
    let documented: BTreeSet<String> = documentation
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(found, documented);
}
