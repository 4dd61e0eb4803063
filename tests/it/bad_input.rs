//! Bad input through the command itself: the exit code, what is said of it, and that nothing new is
//! left beside the output. The trees are made by `testdata/el/make-tree.py`, then spoilt.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What every recipe finds: the maker as `m`, a sound EL4-like tree in `root`, its kernel `K` with
/// the vermagic `V`, its module directory `D`, one of its modules and one of its programs.
const PRELUDE: &str = r#"
import importlib.util, os, random, sys
spec = importlib.util.spec_from_file_location("make_tree", sys.argv[1])
m = importlib.util.module_from_spec(spec)
spec.loader.exec_module(m)
K = m.make_tree("root")
V = "2.6.9-67.0.1.ELxenU SMP gcc-3.4"
D = f"root/lib/modules/{K}"
MODULE, EXT3 = f"{D}/kernel/drivers/xen/blkfront/xenblk.ko", f"{D}/kernel/fs/ext3/ext3.ko"
NASH, DEP = "root/bins/nash", f"{D}/modules.dep"
os.mkdir("out")
def put(path, data):
    m.write(".", path, data)
def link(path, target):
    os.remove(path)
    os.symlink(target, path)
def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)
"#;

/// A file of 24 MiB that no encoder makes smaller: what writes it can be met at work.
const LARGE: &str = r#"
put(f"{D}/kernel/large.ko", m.module("large", V) + random.Random(1).randbytes(24 << 20))
os.remove(DEP)
"#;

const KERNEL: &str = "2.6.9-67.0.1.ELxenU-x86_64";
const XENBLK: &str =
    "root/lib/modules/2.6.9-67.0.1.ELxenU-x86_64/kernel/drivers/xen/blkfront/xenblk.ko";
/// Far more than any of these takes, far less than for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with a tree in it, as a recipe in Python makes it.
struct Scene(TempDir);

impl Scene {
    fn new(recipe: &str) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/el/make-tree.py");
        let made = Command::new("python3")
            .arg("-c")
            .arg(format!("{PRELUDE}\n{recipe}"))
            .arg(maker)
            .current_dir(&directory)
            .output()
            .expect("python3 is missing: install the Debian package python3");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{recipe}: {said}");
        Scene(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `xinitrd build` of the tree, with more arguments.
    fn build(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xinitrd"));
        command
            .args(["build", "--omit-scsi-modules"])
            .args(args)
            .current_dir(&self.0);
        for (option, value) in [
            ("--root", "root"),
            ("--bins", "root/bins"),
            ("-o", "out/initrd.img"),
        ] {
            if !args.contains(&option) {
                command.args([option, value]);
            }
        }
        command
    }

    /// The names in the output's directory.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("out")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The image's files whose names match `pattern`, as GNU cpio unpacks them: paths and bytes.
    fn unpacked(&self, pattern: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        fs::create_dir(self.path("unpacked")).unwrap();
        let script = "gzip -dc out/initrd.img | (cd unpacked && cpio -id --quiet \"$1\")";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", pattern]);
        let done = command.current_dir(&self.0).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.success() && said.is_empty(),
            "{said} (the Debian packages cpio and gzip are needed)"
        );
        let mut found = Vec::new();
        files_under(&self.path("unpacked"), b"", &mut found);
        found.sort();
        found
    }
}

fn files_under(directory: &Path, above: &[u8], found: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = [above, &entry.file_name().into_vec()].concat();
        if entry.file_type().unwrap().is_dir() {
            files_under(&entry.path(), &[&name, &b"/"[..]].concat(), found);
        } else {
            found.push((name, fs::read(entry.path()).unwrap()));
        }
    }
}

/// Runs a command that must end by itself.
fn run(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let exited = wait(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(exited, "it hangs: {command:?}");
    output
}

/// Whether the child ends in time; it is ended if not.
fn wait(child: &mut Child) -> bool {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn words(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// One bad input: the recipe, the arguments, the exit code, and what must be said.
type Refusal<'a> = (&'a str, &'a [&'a str], i32, &'a [&'a str]);

fn assert_refused(refusals: &[Refusal<'_>]) {
    for (recipe, args, code, says) in refusals {
        let scene = Scene::new(recipe);
        let output = run(&mut scene.build(args));
        let said = words(&output);
        assert_eq!(
            output.status.code(),
            Some(*code),
            "{recipe} {args:?}: {said}"
        );
        for text in *says {
            assert!(
                said.contains(text),
                "{recipe} {args:?}: no `{text}` in\n{said}"
            );
        }
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(output.stdout, b"", "{recipe} {args:?}");
        assert_eq!(scene.left(), [""; 0], "{recipe} {args:?}");
    }
}

fn assert_built(recipe: &str, args: &[&str]) -> Scene {
    let scene = Scene::new(recipe);
    let output = run(&mut scene.build(args));
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{recipe} {args:?}: {said}");
    assert_eq!(scene.left(), ["initrd.img"], "{recipe} {args:?}");
    scene
}

#[test]
fn a_name_that_is_not_there_is_answered_with_the_nearest() {
    assert_refused(&[
        (
            "",
            &["--root", "nowhere"],
            2,
            &["cannot read nowhere: No such file"],
        ),
        (
            "",
            &["--root", "root/bins/nash"],
            2,
            &["cannot read root/bins/nash"],
        ),
        (
            "",
            &["--bins", "nowhere"],
            2,
            &["cannot read nowhere: No such file"],
        ),
        (
            "",
            &["--kernel", "2.6.9-67.0.1.ELxenU"],
            2,
            &["no kernel 2.6.9-67.0.1.ELxenU in root/lib/modules", KERNEL],
        ),
        (
            "",
            &["--kernel", "../modules"],
            2,
            &["no kernel ../modules", KERNEL],
        ),
        ("", &["--manifest", "el"], 2, &["no manifest el", "el4"]),
        (
            "",
            &["--manifest", "./mine.toml"],
            2,
            &["cannot read ./mine.toml: No such file"],
        ),
        (
            "",
            &["--manifest", "out/."],
            2,
            &["cannot read out/.", "directory"],
        ),
        (
            "",
            &["--modprobe-conf", "/dev/zero"],
            2,
            &["cannot read /dev/zero", "1 MiB"],
        ),
        (
            "",
            &["--manifest", "/dev/zero"],
            2,
            &["cannot read /dev/zero", "1 MiB"],
        ),
        (
            "put('mine.toml', b'name = \\xff')",
            &["--manifest", "./mine.toml"],
            2,
            &["./mine.toml"],
        ),
        (
            "",
            &["--with", "xenbkl"],
            1,
            &["module xenbkl", "did you mean xenblk"],
        ),
    ]);
}

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
fn a_dynamic_binary_brings_its_interpreter_and_its_libraries_to_where_its_loader_looks() {
    // Found by DT_RUNPATH, by DT_RPATH with a token, by a DT_RPATH that is inherited, by default.
    let scene = assert_built(
        r#"
LD = "/lib64/ld.so"
put(NASH, m.executable("nash", interpreter=LD, needed=["libfoo.so.1"], runpath="/nowhere:/opt/foo"))
def library(path, needed=(), **paths):
    put("root/" + path, m.executable(path, elf_type=3, interpreter=LD, needed=needed, **paths))
library("lib64/ld.so")
library("opt/foo/libfoo.so.1", ["libbar.so.1"], rpath="$ORIGIN/../bar")
library("opt/bar/libbar.so.1", ["libbaz.so.1", "libc.so.6"])
library("opt/bar/libbaz.so.1")
library("lib64/libc.so.6")
library("lib64/libfoo.so.1")
library("lib64/libbaz.so.1")
"#,
        &[],
    );
    let expected = [
        "lib64/ld.so",
        "lib64/libc.so.6",
        "opt/bar/libbar.so.1",
        "opt/bar/libbaz.so.1",
        "opt/foo/libfoo.so.1",
    ];
    let expected: Vec<(Vec<u8>, Vec<u8>)> = expected
        .map(|path| {
            let bytes = fs::read(scene.path("root").join(path)).unwrap();
            (path.into(), bytes)
        })
        .into();
    assert_eq!(scene.unpacked("*/*.so*"), expected);
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
            2,
            &["modules.dep: a device, socket or pipe"],
        ),
        (
            "os.mkdir('root/etc/modprobe.d'); os.mkfifo('root/etc/modprobe.d/x.conf')",
            &[],
            2,
            &["cannot read root/etc/modprobe.d/x.conf: a device, socket or pipe"],
        ),
    ]);
    assert_built("put(DEP, random.Random(1).randbytes(100000))", &[]);
    assert_built(
        "put(DEP, b': : :\\n\\0\\0: x\\n/../../y.ko: ../z.ko\\n')",
        &[],
    );
}

#[test]
fn two_problems_at_once_are_both_told() {
    assert_refused(&[(
        "put(MODULE, b''); put(NASH, m.executable('nash', arch='i386'))",
        &[],
        1,
        &[XENBLK, "root/bins/nash", "2 problems; nothing was written"],
    )]);
}

#[test]
fn an_output_that_cannot_be_is_named() {
    assert_refused(&[
        ("", &["-o", "out"], 2, &["cannot write out: is a directory"]),
        (
            "",
            &["-o", "out", "--force"],
            2,
            &["cannot write out: is a directory"],
        ),
        (
            "",
            &["-o", "gone/initrd.img"],
            2,
            &["cannot write gone/initrd.img: No such file"],
        ),
        (
            "",
            &["-o", "root/bins/nash"],
            2,
            &["cannot write root/bins/nash", "-f replaces it"],
        ),
        (
            "",
            &["-o", "root/bins/nash/x"],
            2,
            &["cannot write root/bins/nash/x: Not a directory"],
        ),
        // Nobody, root included, makes a file in these two.
        (
            "",
            &["-o", "/proc/initrd.img"],
            2,
            &["cannot write /proc/initrd.img"],
        ),
        (
            "",
            &["-o", "/sys/initrd.img"],
            2,
            &["cannot write /sys/initrd.img"],
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

/// The command under `sh`, which sets something up first.
fn under_shell(setup: &str, command: &Command, scene: &Scene) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{setup}; exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(&scene.0);
    shell
}

const LARGE_ARGS: [&str; 6] = ["--with", "large", "--level", "12", "--threads", "1"];

#[test]
fn a_file_that_may_not_grow_is_taken_away() {
    let scene = Scene::new(LARGE);
    let output = run(&mut under_shell(
        "ulimit -f 2048",
        &scene.build(&LARGE_ARGS),
        &scene,
    ));
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let expected = "cannot write out/initrd.img: File too large";
    assert!(words(&output).contains(expected), "{}", words(&output));
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn a_full_medium_is_told() {
    let scene = Scene::new("");
    let command = scene.build(&["-o", "-"]);
    let output = run(&mut under_shell("exec >/dev/full", &command, &scene));
    assert_eq!(output.status.code(), Some(2));
    let expected = "cannot write standard output: No space left";
    assert!(words(&output).contains(expected), "{}", words(&output));
}

#[test]
fn words_that_nobody_hears_leave_the_exit_code_as_it_is() {
    let scene = Scene::new("put(MODULE, b'')");
    let output = run(&mut under_shell(
        "exec 2>/dev/full",
        &scene.build(&[]),
        &scene,
    ));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reader_that_goes_early_ends_it_without_a_word() {
    let scene = Scene::new(LARGE);
    let args = [&LARGE_ARGS[..], &["-o", "-"]].concat();
    let mut child = scene
        .build(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = child.stdout.take().unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    drop(reader);
    let ended = wait(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(ended, "it hangs");
    assert_eq!(
        (output.status.code(), words(&output).as_str()),
        (Some(2), "")
    );
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn a_signal_while_writing_leaves_nothing_and_is_told_by_the_exit_code() {
    let scene = Scene::new(LARGE);
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)] {
        let mut child = scene
            .build(&LARGE_ARGS)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !is_writing(&scene) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = format!("kill -{signal} {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let ended = wait(&mut child);
        let output = child.wait_with_output().unwrap();
        assert!(ended, "it goes on after {signal}");
        let code = output.status.code();
        assert_eq!(code, Some(128 + number), "{signal}: {}", words(&output));
        assert!(words(&output).contains("interrupted; nothing was written"));
        assert_eq!(scene.left(), [""; 0], "{signal}");
    }
}

/// Whether something of the image stands in the output's directory already.
fn is_writing(scene: &Scene) -> bool {
    let mut entries = fs::read_dir(scene.path("out")).unwrap();
    entries.any(|entry| entry.unwrap().metadata().is_ok_and(|file| file.len() > 0))
}
