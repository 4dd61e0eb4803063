//! Guests to build images for: what they are made of, and how the command is told.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::{Tool, fetched, kernel_of, testdata, text, xinitrd_prints};

pub const GZIP: Tool = Tool::of("gzip", "gzip");
pub const PYTHON: Tool = Tool::of("python3", "python3");

/// For other constants to be made of.
macro_rules! el4_kernel {
    () => {
        "2.6.9-67.0.1.ELxenU-x86_64"
    };
}
pub(crate) use el4_kernel;

pub const EL4_KERNEL: &str = el4_kernel!();
pub const EL5_KERNEL: &str = "2.6.18-398.el5xen-x86_64";

/// A guest to build for, the place of its image, and the arguments that build it there.
pub struct Guest {
    directory: TempDir,
    pub root: PathBuf,
    pub bins: PathBuf,
    arguments: Vec<String>,
}

impl Guest {
    pub fn new(
        directory: TempDir,
        root: PathBuf,
        bins: PathBuf,
        kernel: &str,
        more: &[&str],
    ) -> Guest {
        let [root_text, bins_text] = [&root, &bins].map(|path| text(path));
        let given = ["build", "--kernel", kernel, "--root", root_text];
        let loads = ["--bins", bins_text, "--preload", "xenblk"];
        let arguments = [&given[..], &loads, &["--preload", "xennet"], more].concat();
        Guest {
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            directory,
            root,
            bins,
        }
    }

    /// The situation of 2008, in a tree of make-tree.py's own.
    pub fn of_2008(generation: &str, kernel: &str, variant: &[&str]) -> Guest {
        let directory = scratch();
        let root = directory.path().canonicalize().unwrap().join("guest");
        let script = tree_maker();
        let arguments = [text(&script), text(&root), "--generation", generation];
        PYTHON.run(&[&arguments[..], variant].concat(), b"");
        let bins = root.join("bins");
        Guest::new(directory, root, bins, kernel, &["--omit-scsi-modules"])
    }

    /// Debian 12 with busybox.
    pub fn of_debian() -> Guest {
        let (root, busybox) = (fetched("kernel-6.1-amd64"), fetched("busybox-amd64"));
        let kernel = kernel_of(&root);
        let more = ["--manifest", "busybox"];
        Guest::new(scratch(), root, busybox.join("bin"), &kernel, &more)
    }

    /// A file for an image, in a directory that holds nothing else.
    pub fn output(&self) -> PathBuf {
        let directory = self.directory.path().canonicalize().unwrap().join("out");
        fs::create_dir_all(&directory).unwrap();
        directory.join("initrd.img")
    }

    pub fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = self.arguments.iter().map(String::as_str);
        own.chain(more.iter().copied()).collect()
    }

    /// Builds the image, and gives it unpacked.
    pub fn archive(&self) -> Vec<u8> {
        let output = self.output();
        xinitrd_prints(&self.arguments(&["-o", text(&output)]));
        GZIP.run(&["-dc"], &fs::read(output).unwrap())
    }
}

/// The script that makes the trees of 2008, as a program and, for a [`crate::scene::Scene`], as a
/// module.
pub fn tree_maker() -> PathBuf {
    testdata("el/make-tree.py")
}

pub fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}
