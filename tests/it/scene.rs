//! A guest's tree, sound or spoilt, and the command let loose on it. The trees are made by
//! `testdata/el/make-tree.py`, then spoilt.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::guest::{EL4_KERNEL, GZIP, PYTHON, el4_kernel, tree_maker};
use crate::support::{Tool, XINITRD, fed, text};

const CPIO: Tool = Tool::of("cpio", "cpio");

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
pub const LARGE: &str = r#"
put(f"{D}/kernel/large.ko", m.module("large", V) + random.Random(1).randbytes(24 << 20))
os.remove(DEP)
"#;

pub const KERNEL: &str = EL4_KERNEL;
pub const XENBLK: &str = concat!(
    "root/lib/modules/",
    el4_kernel!(),
    "/kernel/drivers/xen/blkfront/xenblk.ko"
);
/// Far more than any of these takes, far less than for ever.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with a tree in it, as a recipe in Python makes it.
pub struct Scene(pub TempDir);

impl Scene {
    pub fn new(recipe: &str) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let mut python = Command::new(PYTHON.path());
        python.args(["-c", &format!("{PRELUDE}\n{recipe}")]);
        python.arg(tree_maker()).current_dir(&directory);
        let made = fed(&mut python, b"");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{recipe}: {said}");
        Scene(directory)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `xinitrd build` of the tree, with more arguments.
    pub fn build(&self, args: &[&str]) -> Command {
        let mut command = Command::new(XINITRD);
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

    /// `xinitrd resolve` in the tree.
    pub fn resolve(&self, args: &[&str]) -> Command {
        let mut command = Command::new(XINITRD);
        command
            .args(["resolve", "--root", "root"])
            .args(args)
            .current_dir(&self.0);
        command
    }

    /// The names in the output's directory.
    pub fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("out")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The image's files whose names match `pattern`, as GNU cpio unpacks them: paths and bytes.
    pub fn unpacked(&self, pattern: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        fs::create_dir(self.path("unpacked")).unwrap();
        let archive = GZIP.run(&["-dc", text(&self.path("out/initrd.img"))], b"");
        let mut cpio = Command::new(CPIO.path());
        cpio.args(["-id", "--quiet", pattern]);
        let done = fed(cpio.current_dir(self.path("unpacked")), &archive);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{said}");
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
pub fn run(command: &mut Command) -> Output {
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
pub fn wait(child: &mut Child) -> bool {
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

pub fn words(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// One bad input: the recipe, the arguments, the exit code, and what must be said.
pub type Refusal<'a> = (&'a str, &'a [&'a str], i32, &'a [&'a str]);

pub fn assert_refused(refusals: &[Refusal<'_>]) {
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

pub fn assert_built(recipe: &str, args: &[&str]) -> Scene {
    let scene = Scene::new(recipe);
    let output = run(&mut scene.build(args));
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{recipe} {args:?}: {said}");
    assert_eq!(scene.left(), ["initrd.img"], "{recipe} {args:?}");
    scene
}

/// The command under `sh`, which sets something up first.
pub fn under_shell(setup: &str, command: &Command, scene: &Scene) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{setup}; exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(&scene.0);
    shell
}
