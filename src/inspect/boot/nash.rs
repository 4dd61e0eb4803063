//! Scripts for nash, as Red Hat's mkinitrd writes them: one command a line, no conditions; after a
//! command that fails it goes on.

use std::collections::BTreeSet;

use crate::image_path::ImagePath;
use crate::inspect::tree::Tree;
use crate::root::FileKind;

use super::words::{lines, text};

/// The programs that mkinitrd's scripts call by their names; the other words are nash's own, and which
/// they are is a matter of its version.
const PROGRAMS: [&str; 6] = ["dmraid", "insmod", "kpartx", "lvm", "multipath", "rmmod"];

/// Where nash looks for a program (`PATH` in its nash.c).
const DIRECTORIES: [&str; 4] = ["usr/bin", "bin", "sbin", "usr/sbin"];

/// A program that a script calls and the image does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The number of its line in the script, from 1.
    pub line: usize,
    /// The program, as the script calls it.
    pub program: String,
}

/// The commands of a script, each as its words. A quote counts at a word's beginning alone, and what
/// a line is redirected to is no word of its command.
pub(super) fn commands(script: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    lines(script).map(command)
}

fn command(line: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while let Some(&first) = rest.first() {
        let (start, is_end): (usize, fn(u8, u8) -> bool) = match first {
            b'"' | b'\'' => (1, |byte, quote| byte == quote),
            _ => (0, |byte, _| byte.is_ascii_whitespace()),
        };
        let inner = rest.get(start..).unwrap_or_default();
        let end = inner.iter().position(|&byte| is_end(byte, first));
        let (word, behind) = inner.split_at(end.unwrap_or(inner.len()));
        if word == b">" {
            break;
        }
        words.push(word);
        rest = behind.get(start..).unwrap_or_default().trim_ascii_start();
    }
    words
}

/// The programs that a script calls and `tree` does not have, each once.
#[must_use]
pub fn missing_in_nash(script: &[u8], tree: &Tree) -> Vec<Missing> {
    let mut seen = BTreeSet::new();
    let mut missing = Vec::new();
    for (number, line) in script.split(|&byte| byte == b'\n').enumerate() {
        let program = command(line).first().map(|program| text(program));
        let Some(program) = program.filter(|program| is_program(program)) else {
            continue;
        };
        if seen.insert(program.clone()) && !is_there(&program, tree) {
            missing.push(Missing {
                line: number + 1,
                program,
            });
        }
    }
    missing
}

fn is_program(word: &str) -> bool {
    word.starts_with('/') || PROGRAMS.contains(&word)
}

fn is_there(program: &str, tree: &Tree) -> bool {
    let is_file = |path: &str| {
        let path = ImagePath::new(path).map(|path| tree.root().resolve(&path));
        matches!(path, Ok(Ok((_, FileKind::Regular))))
    };
    match program.starts_with('/') {
        true => is_file(program),
        false => DIRECTORIES
            .iter()
            .any(|directory| is_file(&format!("{directory}/{program}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_as_nash_does_it() {
        let script = b"#!/bin/nash\n\nmount -t proc none /proc\n  echo \"Loading  a module\" now\n\
            echo -n /sbin/hotplug > /proc/sys\ninsmod /lib/a.ko x=\"1 2\"\n'unended word\n\"\"";
        let found: Vec<Vec<String>> = commands(script)
            .map(|words| words.into_iter().map(text).collect())
            .collect();
        let expected: [&[&str]; 6] = [
            &["mount", "-t", "proc", "none", "/proc"],
            &["echo", "Loading  a module", "now"],
            &["echo", "-n", "/sbin/hotplug"],
            &["insmod", "/lib/a.ko", "x=\"1", "2\""],
            &["unended word"],
            &[""],
        ];
        assert_eq!(found, expected);
    }
}
