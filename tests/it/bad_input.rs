//! Bad input through the command itself: the exit code, what is said of it, and that nothing new is
//! left beside the output.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::scene::{KERNEL, Scene, XENBLK, assert_built, assert_refused, run, words};
use crate::support::{XINITRD, without_rights};

#[test]
fn a_module_that_is_not_whole_or_not_the_kernels_is_named() {
    assert_refused(&[
        (
            "put(MODULE, b'')",
            &[],
            1,
            &[XENBLK, "an empty file", "whole kernel module"],
        ),
        (
            "put(MODULE, m.module('xenblk', V, depends=[f'n{n}' for n in range(1025)]))",
            &[],
            1,
            &[XENBLK, "it depends on 1025 names, more than the 1024"],
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
        // x32: the machine of x86_64, the class of i386 (x86-64 psABI, chapter 10).
        (
            "put(MODULE, m.module('xenblk', V, bits=32))",
            &[],
            1,
            &[XENBLK, "expected: a module for 64-bit x86_64"],
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
            "put(NASH, m.executable('nash', bits=32))",
            &[],
            1,
            &[nash, "expected: 64-bit x86_64"],
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
fn a_dynamic_binary_brings_its_interpreter_and_its_libraries_to_where_its_loader_looks() {
    // Found by DT_RUNPATH, by DT_RPATH with a token, by a DT_RPATH that is inherited, by default.
    let recipe = r#"
nash(["libfoo.so.1"], runpath="/nowhere:/opt/foo")
library("opt/foo/libfoo.so.1", ["libbar.so.1"], rpath="$ORIGIN/../bar")
library("opt/bar/libbar.so.1", ["libbaz.so.1", "libc.so.6"])
library("opt/bar/libbaz.so.1")
library("lib64/libc.so.6")
library("lib64/libfoo.so.1")
library("lib64/libbaz.so.1")
"#;
    let expected = [
        ("lib64/libc.so.6", "root/lib64/libc.so.6"),
        ("opt/bar/libbar.so.1", "root/opt/bar/libbar.so.1"),
        ("opt/bar/libbaz.so.1", "root/opt/bar/libbaz.so.1"),
        ("opt/foo/libfoo.so.1", "root/opt/foo/libfoo.so.1"),
    ];
    assert_libraries(recipe, &expected);
}

#[test]
fn a_library_that_is_asked_for_by_its_path_keeps_it_in_the_image() {
    let recipe = r#"
nash(["/opt/x/libfoo.so", "/opt/x/libbar.so"])
library("opt/x/libfoo.so", ["$ORIGIN/../y/libfoo.so", "./srv/libbaz.so"])
library("opt/y/libfoo.so", ["$ORIGIN/../z/libfoo.so"])
library("opt/z/libfoo.so")
library("srv/libbaz.so")
library("lib64/libfoo.so")
library("opt/x/libbar.so")
put("root/bins/libbar.so", so("of the bins"))
"#;
    let expected = [
        ("opt/x/libbar.so", "root/bins/libbar.so"),
        ("opt/x/libfoo.so", "root/opt/x/libfoo.so"),
        ("opt/y/libfoo.so", "root/opt/y/libfoo.so"),
        ("opt/z/libfoo.so", "root/opt/z/libfoo.so"),
        ("srv/libbaz.so", "root/srv/libbaz.so"),
    ];
    assert_libraries(recipe, &expected);
    let missing = format!("{LIBRARIES}nash(['/opt/x/libfoo.so'])\nlibrary('lib64/libfoo.so')");
    let says = ["/opt/x/libfoo.so is nowhere", "it in one of root/opt/x\n"];
    assert_refused(&[(&missing, &[], 1, &says)]);
}

#[test]
fn a_runpath_voids_the_rpath_of_its_own_object_alone() {
    // As glibc has it (`_dl_map_object` in `elf/dl-load.c`): libbar is looked for by libfoo's
    // RUNPATH and by no RPATH; libbaz by the program's RPATH, for libbar has no RUNPATH.
    let recipe = r#"
nash(["libfoo.so"], rpath="/opt/r")
library("opt/r/libfoo.so", ["libbar.so"], rpath="/opt/void", runpath="$ORIGIN/../run")
library("opt/r/libbar.so")
library("opt/r/libbaz.so")
library("opt/run/libbar.so", ["libbaz.so"])
library("opt/void/libbar.so")
library("opt/void/libbaz.so")
library("lib64/libbaz.so")
"#;
    let expected = [
        ("opt/r/libbaz.so", "root/opt/r/libbaz.so"),
        ("opt/r/libfoo.so", "root/opt/r/libfoo.so"),
        ("opt/run/libbar.so", "root/opt/run/libbar.so"),
    ];
    assert_libraries(recipe, &expected);
}

#[test]
fn a_library_that_its_loader_could_not_use_is_named() {
    let place = "xinitrd: root/usr/lib64/libfoo.so.1\n";
    for (spoil, says) in [
        ("put(LIB, so('x')[:100])", "a truncated ELF file"),
        ("put(LIB, 'GROUP ( x )')", "text, not an ELF file"),
        ("put(LIB, m.executable('x'))", "an executable (ET_EXEC)"),
        ("os.mkdir(LIB)", "a directory, not a regular file"),
        ("os.symlink('gone', LIB)", "libfoo.so.1 -> gone leads"),
    ] {
        let recipe = format!(
            "{LIBRARIES}nash(['libfoo.so.1'])\nlibrary('lib/libfoo.so.1')\n\
             LIB = 'root/usr/lib64/libfoo.so.1'; os.makedirs('root/usr/lib64')\n{spoil}"
        );
        assert_refused(&[(&recipe, &[], 1, &[place, says, "1 problem;"])]);
    }
}

#[test]
fn a_library_for_another_machine_is_passed_over() {
    // And a directory that is a link to nowhere, as search paths name many that are gone.
    let recipe = r#"
nash(["libfoo.so.1"])
put("root/lib64/libfoo.so.1", m.executable("x", elf_type=3, arch="i386"))
os.makedirs("root/usr"); os.symlink("gone", "root/usr/lib64")
library("lib/libfoo.so.1")
"#;
    assert_libraries(recipe, &[("lib/libfoo.so.1", "root/lib/libfoo.so.1")]);
}

#[test]
fn the_loaders_configuration_counts_where_a_binary_is_dynamic_and_nowhere_else() {
    let conf = "put('root/etc/ld.so.conf', 'include\\tld.so.conf.d/*.conf\\n')\n";
    let dangling = "os.makedirs('root/etc/ld.so.conf.d')\n\
                    os.symlink('gone', 'root/etc/ld.so.conf.d/x.conf')\n";
    assert_built(&format!("{conf}{dangling}"), &[]);
    let dynamic = format!("{LIBRARIES}{conf}{dangling}nash([])");
    let place = "xinitrd: root/etc/ld.so.conf.d/x.conf\n";
    let says = [place, "x.conf -> gone leads nowhere", "1 problem;"];
    assert_refused(&[(&dynamic, &[], 1, &says)]);
    // The image has no cache of the loader's, so a directory that only it knows would not be found.
    let named = format!(
        "{conf}put('root/etc/ld.so.conf.d/x.conf', '/opt/foo\\n')\n\
         library('opt/foo/libfoo.so')\nnash(['libfoo.so'])"
    );
    assert_libraries(&named, &[("lib64/libfoo.so", "root/opt/foo/libfoo.so")]);
}

/// A loader in the root, and how to make a nash that needs libraries, and libraries.
const LIBRARIES: &str = r#"
LD = "/lib64/ld.so"
def so(name, needed=(), **paths):
    return m.executable(name, elf_type=3, interpreter=LD, needed=needed, **paths)
def library(path, needed=(), **paths):
    put("root/" + path, so(path, needed, **paths))
def nash(needed, **paths):
    put(NASH, m.executable("nash", interpreter=LD, needed=needed, **paths))
library("lib64/ld.so")
"#;

/// The image of the recipe has the loader and these libraries: where each lies, and which file of
/// the scene it is.
fn assert_libraries(recipe: &str, expected: &[(&str, &str)]) {
    let scene = assert_built(&format!("{LIBRARIES}{recipe}"), &[]);
    let loader = ("lib64/ld.so", "root/lib64/ld.so");
    let read = |(path, source): &(&str, &str)| {
        let bytes = fs::read(scene.path(source)).unwrap();
        (path.as_bytes().to_vec(), bytes)
    };
    let mut expected: Vec<_> = expected.iter().chain([&loader]).map(read).collect();
    expected.sort();
    assert!(scene.unpacked("*.so*") == expected, "{recipe}");
}

#[test]
fn a_compressed_module_goes_in_unpacked_unless_it_is_to_be_kept() {
    let recipe = "import gzip
MORE = m.module('more', V)
put('more.ko', MORE)
put('more.ko.gz', gzip.compress(MORE))
put(f'{D}/kernel/more.ko.gz', open('more.ko.gz', 'rb').read())
os.remove(DEP)";
    for (args, name) in [
        (&["--with", "more"][..], "more.ko"),
        (&["--with", "more", "--keep-compressed"], "more.ko.gz"),
    ] {
        let scene = assert_built(recipe, args);
        let expected = (
            format!("lib/{name}").into_bytes(),
            fs::read(scene.path(name)).unwrap(),
        );
        assert_eq!(scene.unpacked("lib/more*"), [expected], "{args:?}");
    }
}

#[test]
fn a_compression_that_the_kernel_cannot_unpack_is_refused() {
    // The kernels that brought each decoder to initramfs: Linux' own history.
    for (compression, kernel) in [("xz", "2.6.38"), ("lz4", "3.11"), ("zstd", "5.9")] {
        let says = format!("kernel {kernel} or later");
        let args = ["--compress", compression];
        assert_refused(&[("", &args, 1, &["--compress", &says])]);
    }
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
fn a_file_is_looked_for_further_on_where_a_good_link_leads_to_a_place_without_it() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/el4.toml");
    let scene = assert_built(
        &format!(
            r#"
text = open({manifest:?}).read()
put("late.toml", text.replace('["sbin/nash"]', '["sbin/nash", "usr/bin/nash-static"]'))
os.makedirs("root/usr/sbin"); os.symlink("usr/sbin", "root/sbin")
os.makedirs("root/usr/bin"); os.rename(NASH, "root/usr/bin/nash-static")
os.makedirs("root/var/usrlocal"); os.symlink("../var/usrlocal", "root/usr/local")
"#
        ),
        &["--manifest", "./late.toml"],
    );
    let nash = fs::read(scene.path("root/usr/bin/nash-static")).unwrap();
    assert_eq!(scene.unpacked("bin/nash"), [(b"bin/nash".to_vec(), nash)]);
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
            "put(DEP, b'#' * ((16 << 20) + 1))",
            &[],
            1,
            &["modules.dep\n    found:    16777217 bytes, more than the 16777216"],
        ),
        (
            "p = '/' + D[5:] + '/kernel/fs/'; put(DEP, f'{p}ext3/ext3.ko: {p}jbd/jbd.ko\\n{p}jbd/jbd.ko: {p}ext3/ext3.ko\\n'); \
             put(f'{D}/kernel/fs/jbd/jbd.ko', m.module('jbd', V, ['ext3']))",
            &[],
            1,
            &["ext3", "jbd", "modules.dep"],
        ),
        (
            "put(DEP, b'kernel/fs/ext3/ext3.ko:\\nkernel/fs/jbd/jbd.ko:\\n')",
            &[],
            1,
            &["ext3.ko\n", "needs jbd, which modules.dep does not list"],
        ),
        // Each line is right, and the first leaves out what the second leads to.
        (
            "put(DEP, b'k/a.ko: k/b.ko\\nk/b.ko: k/c.ko\\nk/c.ko:\\n'); \
             [put(f'{D}/k/{name}.ko', m.module(name, V, needs)) for name, needs in \
             (('a', ['b']), ('b', ['c']), ('c', []))]",
            &["--with", "a"],
            1,
            &["k/a.ko\n", "needs c, which modules.dep does not list"],
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

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_read_is_named_with_what_to_do() {
    let scene = Scene::new("os.remove(DEP)");
    let program = scene.path("program");
    fs::copy(XINITRD, &program).unwrap();
    allow(scene.0.path(), 0o755);
    allow(&scene.path("out"), 0o777);
    let build = || {
        let as_root = scene.build(&[]);
        let mut command = without_rights(&program);
        run(command.args(as_root.get_args()).current_dir(&scene.0))
    };
    let kernel = format!("root/lib/modules/{KERNEL}/kernel");
    let xen = format!("{kernel}/drivers/xen");
    for hidden in [
        "root/bins/insmod.static",
        XENBLK,
        &xen,
        &kernel,
        "root/lib/modules",
    ] {
        let path = scene.path(hidden);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        allow(&path, 0);
        let output = build();
        allow(&path, mode);
        let text = format!(
            "xinitrd: {hidden}
    found:    Permission denied (os error 13)
    expected: a readable file inside the root
    do:       give the user who runs this the right to read it
1 problem; nothing was written
"
        );
        assert_eq!(words(&output), text);
        assert_eq!(output.status.code(), Some(2), "{hidden}");
        assert_eq!(scene.left(), [""; 0], "{hidden}");
    }
    assert_eq!(build().status.code(), Some(0));
}
