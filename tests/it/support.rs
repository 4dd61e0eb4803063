//! What the tests share: the program, the tools it is held against, and what testdata/ makes.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;

/// A tool of the host, and the Debian package it comes with.
pub struct Tool {
    program: &'static str,
    package: &'static str,
}

impl Tool {
    pub const fn of(program: &'static str, package: &'static str) -> Tool {
        Tool { program, package }
    }

    /// Where it is; system programs lie outside a user's PATH.
    pub fn path(&self) -> PathBuf {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        let mut files = directories.map(|directory| directory.join(self.program));
        let (program, package) = (self.program, self.package);
        files
            .find(|file| file.is_file())
            .unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
    }

    /// What it prints, given `input`; it must succeed.
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let output = fed(Command::new(self.path()).args(arguments), input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {arguments:?}: {said}",
            self.program
        );
        output.stdout
    }
}

/// Runs `command` with `input` to its end.
pub fn fed(command: &mut Command, input: &[u8]) -> Output {
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        // A program that reads only the beginning closes the pipe, and may.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

/// The program under test: the one that was built with the tests, or, where `XINITRD_PROGRAM` names one, that.
#[derive(Clone, Copy)]
pub struct Program;

pub const XINITRD: Program = Program;

impl Program {
    pub fn path(self) -> &'static str {
        static PATH: OnceLock<String> = OnceLock::new();
        let built = || env!("CARGO_BIN_EXE_xinitrd").to_owned();
        PATH.get_or_init(|| std::env::var("XINITRD_PROGRAM").unwrap_or_else(|_| built()))
    }
}

impl AsRef<OsStr> for Program {
    fn as_ref(&self) -> &OsStr {
        self.path().as_ref()
    }
}

impl AsRef<Path> for Program {
    fn as_ref(&self) -> &Path {
        self.path().as_ref()
    }
}

/// Runs the program under test.
pub fn xinitrd<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(XINITRD).args(arguments).output().unwrap()
}

/// Runs the program under test, which must succeed, and gives what it prints.
pub fn xinitrd_prints<S: AsRef<OsStr>>(arguments: &[S]) -> Vec<u8> {
    let output = xinitrd(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout
}

/// A command that runs as a user who owns nothing; as the user of the tests where that is not root.
pub fn without_rights(program: &Path) -> Command {
    const NOBODY: u32 = 65534;
    let mut command = Command::new(program);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

/// The directory of an input that `testdata/fetch.sh` fetches.
pub fn fetched(name: &str) -> PathBuf {
    let script = Command::new(testdata("fetch.sh")).arg(name).output();
    let output = script.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
        .canonicalize()
        .unwrap()
}

/// Where a root has its kernels: a usr-merged package alone has no `lib`.
pub fn modules_of(root: &Path) -> &'static str {
    match root.join("lib").exists() {
        true => "lib/modules",
        false => "usr/lib/modules",
    }
}

/// The one kernel of a root.
pub fn kernel_of(root: &Path) -> String {
    let mut kernels = root.join(modules_of(root)).read_dir().unwrap();
    let kernel = kernels.next().unwrap().unwrap().file_name();
    assert!(kernels.next().is_none(), "one kernel in {}", root.display());
    kernel.into_string().unwrap()
}

pub fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
