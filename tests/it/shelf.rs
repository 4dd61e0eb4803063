//! A directory of images, and the command let loose on them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::guest::{EL4_KERNEL, Guest, scratch};
use crate::judged::{Made, archive};
use crate::support::{XINITRD, fed, text, utf8, xinitrd_prints};

pub struct Shelf(TempDir);

impl Shelf {
    /// With each of the images.
    pub fn of(images: &[(&str, &[u8])]) -> Shelf {
        let shelf = Shelf(scratch());
        for (name, bytes) in images {
            fs::write(shelf.path(name), bytes).unwrap();
        }
        shelf
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, in the directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(XINITRD);
        command.args(arguments).current_dir(&self.0);
        command
    }

    /// What it says there: exit code, standard output, standard error.
    pub fn says(&self, arguments: &[&str]) -> (i32, String, String) {
        self.says_of(arguments, b"")
    }

    /// The same, with `input` on standard input.
    pub fn says_of(&self, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
        told(fed(&mut self.command(arguments), input))
    }

    /// What it prints; it must succeed without a word beside.
    pub fn prints(&self, arguments: &[&str]) -> String {
        let (code, out, said) = self.says(arguments);
        assert_eq!((code, said.as_str()), (0, ""), "{arguments:?}: {out}");
        out
    }
}

fn told(output: Output) -> (i32, String, String) {
    let code = output.status.code().unwrap();
    (code, utf8(output.stdout), utf8(output.stderr))
}

/// The documents of a text that has one a line.
pub fn documents(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// An image of 2008 that nothing is to be said of, not compressed; `more` stands in an archive
/// behind it.
pub fn sound(more: &[Made]) -> Vec<u8> {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &[]);
    let output = guest.output();
    xinitrd_prints(&guest.arguments(&["-q", "--compress", "none", "-o", text(&output)]));
    let image = fs::read(output).unwrap();
    match more {
        [] => image,
        more => [image, archive(more)].concat(),
    }
}
