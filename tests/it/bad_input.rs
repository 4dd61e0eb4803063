//! Bad input through the command itself: the exit code, what is said of it, and that nothing new is
//! left beside the output.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::scene::{KERNEL, XENBLK, assert_built, assert_refused};

#[test]
fn a_module_that_is_not_whole_or_not_the_kernels_is_named() {
    assert_refused(&[
        (
            "put(MODULE, b'')",
            &[],
            1,
            &[XENBLK, "an empty file", "whole kernel module"],
        ),
        ("cut(MODULE)", &[], 1, &[XENBLK, "ends"]),
        (
            "put(MODULE, m.module('xenblk', V, arch='i386'))",
            &[],
            1,
            &[
                XENBLK,
                "found:    a module for 32-bit i386",
                "expected: a module for 64-bit x86_64",
            ],
        ),
        (
            "put(MODULE, m.module('xenblk', V, arch='aarch64'))",
            &[],
            1,
            &[
                XENBLK,
                "found:    a module for 64-bit aarch64",
                "expected: a module for 64-bit x86_64",
            ],
        ),
        (
            "put(MODULE, m.module('xenblk', V, little=False))",
            &[],
            1,
            &[XENBLK, "big-endian", "expected: a module for 64-bit x86_64"],
        ),
        (
            "put(MODULE, m.module('xenblk', '2.6.18-398.el5xen SMP gcc-4.1'))",
            &[],
            1,
            &[
                XENBLK,
                "`2.6.18-398.el5xen SMP gcc-4.1`",
                "`2.6.9-67.0.1.ELxenU SMP gcc-3.4`",
            ],
        ),
        (
            "put(MODULE, m.module('xenblk', None))",
            &[],
            1,
            &[XENBLK, "without a vermagic"],
        ),
        (
            "",
            &["--arch", "i386"],
            1,
            &["64-bit x86_64", "--arch i386"],
        ),
        (
            "os.truncate(MODULE, 4 << 30)",
            &[],
            1,
            &[XENBLK, "4294967296 bytes", "expected:"],
        ),
        (
            "os.remove(MODULE); os.mkfifo(MODULE)",
            &[],
            1,
            &[XENBLK, "a device, socket or pipe"],
        ),
        (
            "os.remove(MODULE); os.mkdir(MODULE)",
            &[],
            1,
            &[XENBLK, "a directory"],
        ),
    ]);
}

#[test]
fn a_binary_that_the_guest_cannot_run_is_named() {
    let nash = "root/bins/nash";
    assert_refused(&[
        (
            "put(NASH, m.executable('nash', arch='i386'))",
            &[],
            1,
            &[
                nash,
                "32-bit i386",
                "expected: 64-bit x86_64",
                "package mkinitrd, x86_64",
            ],
        ),
        (
            "cut(NASH)",
            &[],
            1,
            &[nash, "ends", "expected: 64-bit x86_64"],
        ),
        ("put(NASH, b'')", &[], 1, &[nash, "expected: 64-bit x86_64"]),
        (
            "put(NASH, '#!/bin/sh\\nexit 0\\n')",
            &[],
            1,
            &[nash, "ELF", "expected: 64-bit x86_64"],
        ),
        (
            "put(NASH, m.module('nash', V))",
            &[],
            1,
            &[nash, "ET_REL", "expected: an executable"],
        ),
        (
            "os.remove(NASH); os.mkdir(NASH)",
            &[],
            1,
            &[nash, "a directory, not a regular file"],
        ),
        (
            "os.remove(NASH); os.mkfifo(NASH)",
            &[],
            1,
            &[nash, "a device, socket or pipe, not"],
        ),
        (
            "os.remove(NASH)",
            &[],
            1,
            &["nash", "not there", "package mkinitrd"],
        ),
        (
            "put(NASH, m.executable('nash', interpreter='/lib64/ld.so', needed=['libfoo.so.1']))",
            &[],
            1,
            &[nash, "libfoo.so.1 is nowhere", "/lib64/ld.so"],
        ),
    ]);
}

#[test]
fn a_dynamic_binary_brings_its_interpreter_and_its_libraries() {
    let scene = assert_built(
        r#"
put(NASH, m.executable("nash", interpreter="/lib64/ld.so", needed=["libfoo.so.1"]))
for name in "ld.so", "libfoo.so.1":
    put("root/lib64/" + name, m.executable(name, elf_type=3))
"#,
        &[],
    );
    let expected: Vec<(Vec<u8>, Vec<u8>)> = ["lib64/ld.so", "lib64/libfoo.so.1"]
        .map(|path| {
            (
                path.into(),
                fs::read(scene.path("root").join(path)).unwrap(),
            )
        })
        .into();
    assert_eq!(scene.unpacked("lib64/*"), expected);
}

#[test]
fn a_link_that_leads_nowhere_in_the_root_is_named_with_its_target() {
    let outside = "put('outside.ko', m.module('xenblk', V));";
    let absolute = format!("{outside} link(MODULE, os.path.abspath('outside.ko'))");
    let climbing = format!("{outside} link(MODULE, '../' * 30 + os.path.abspath('outside.ko'))");
    assert_refused(&[
        (
            "link(MODULE, 'gone.ko')",
            &[],
            1,
            &[XENBLK, "xenblk.ko -> gone.ko leads nowhere"],
        ),
        (
            "link(MODULE, 'xenblk.ko')",
            &[],
            1,
            &[XENBLK, "xenblk.ko -> xenblk.ko is part of a loop"],
        ),
        (
            &absolute,
            &[],
            1,
            &[XENBLK, "outside.ko leads nowhere inside the root"],
        ),
        (
            &climbing,
            &[],
            1,
            &[XENBLK, "outside.ko leads nowhere inside the root"],
        ),
        (
            "link(NASH, 'gone')",
            &[],
            1,
            &["root/bins/nash", "nash -> gone leads nowhere"],
        ),
        (
            "link(NASH, 'nash')",
            &[],
            1,
            &["root/bins/nash", "nash -> nash is part of a loop"],
        ),
    ]);
}

#[test]
fn an_absolute_link_starts_again_at_the_root() {
    let scene = assert_built(
        "os.rename(MODULE, 'root/elsewhere.ko'); os.symlink('/elsewhere.ko', MODULE)",
        &[],
    );
    let bytes = fs::read(scene.path("root/elsewhere.ko")).unwrap();
    assert_eq!(
        scene.unpacked("lib/xenblk.ko"),
        [(b"lib/xenblk.ko".to_vec(), bytes)]
    );
}

#[test]
fn names_of_any_bytes_go_in_as_they_are() {
    let names: [&[u8]; 4] = [
        b"a name.ko",
        b"new\nline.ko",
        b"\xff\xfe.ko",
        "é.ko".as_bytes(),
    ];
    let recipe = format!(
        r#"
for name in {}:
    with open(os.path.join(os.fsencode(D), name), "wb") as file:
        file.write(m.module("odd", V) + name)
"#,
        python_bytes(&names)
    );
    assert_built(&recipe, &[]);
    let scene = assert_built(
        &format!(
            r#"{recipe}
os.remove(DEP)
text = open({:?}).read()
put("all.toml", text.replace("[modules]\n", '[modules]\ninclude = ["*"]\n'))
"#,
            Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/el4.toml")
        ),
        &["--manifest", "./all.toml"],
    );
    let directory = scene.path("root/lib/modules").join(KERNEL);
    let unpacked = scene.unpacked("lib/*");
    for name in names {
        let bytes = fs::read(directory.join(OsStr::from_bytes(name))).unwrap();
        let entry = ([b"lib/", name].concat(), bytes);
        assert!(unpacked.contains(&entry), "{}", name.escape_ascii());
    }
    assert_eq!(unpacked.len(), 4 + names.len());
}

fn python_bytes(names: &[&[u8]]) -> String {
    let quoted = names
        .iter()
        .map(|name| format!("b'{}'", name.escape_ascii()));
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

#[test]
fn a_modules_dep_that_cannot_be_is_named() {
    assert_refused(&[
        (
            "p = '/' + D[5:] + '/kernel/fs/'; put(DEP, f'{p}ext3/ext3.ko: {p}jbd/jbd.ko\\n{p}jbd/jbd.ko: {p}ext3/ext3.ko\\n'); \
             put(f'{D}/kernel/fs/jbd/jbd.ko', m.module('jbd', V, ['ext3']))",
            &[],
            1,
            &["ext3", "jbd", "modules.dep"],
        ),
        (
            "put(DEP, open(DEP).read() + f'/{D[5:]}/kernel/gone.ko:\\n')",
            &["--with", "gone"],
            1,
            &["kernel/gone.ko", "no such file"],
        ),
        (
            "os.remove(DEP); os.mkfifo(DEP)",
            &[],
            1,
            &["modules.dep\n    found:    a device, socket or pipe"],
        ),
    ]);
    assert_built("put(DEP, random.Random(1).randbytes(100000))", &[]);
    assert_built(
        "put(DEP, b': : :\\n\\0\\0: x\\n/../../y.ko: ../z.ko\\n')",
        &[],
    );
}
