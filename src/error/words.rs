//! Words that several obstacles share.

use std::io;

use crate::root::LookupError;

/// What to do where a part of the kernel was not given.
pub(super) fn add_packages(lacking: &[String]) -> String {
    match lacking {
        [] => "add the package with the kernel's modules, with --package".to_owned(),
        lacking => format!(
            "add what belongs to it, with --package: {}",
            some_of(lacking)
        ),
    }
}

/// The most kernels or packages that are told by name.
const TOLD: usize = 20;

/// Names one after the other, and how many more there are than are told.
pub(super) fn some_of(names: &[String]) -> String {
    let told = names.get(..TOLD).unwrap_or(names).join(", ");
    match names.len().checked_sub(TOLD) {
        None | Some(0) => told,
        Some(more) => format!("{told}, and {more} more"),
    }
}

pub(super) fn output_expected(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AlreadyExists => "a name that nothing has yet",
        io::ErrorKind::IsADirectory => "a file's name",
        io::ErrorKind::Unsupported => "a regular file, or a name that nothing has yet",
        _ => "a place where a file can be made, and written whole",
    }
}

pub(super) fn output_advice(kind: io::ErrorKind, option: &str) -> String {
    match kind {
        io::ErrorKind::AlreadyExists => {
            format!("say -f to replace it, or name another file with {option}")
        }
        io::ErrorKind::IsADirectory => "add the file's name to it, as DIR/initrd.img".to_owned(),
        io::ErrorKind::Unsupported if option == "-o" => {
            "name a file; or say -o - and lead standard output there".to_owned()
        }
        io::ErrorKind::Unsupported => "name a file".to_owned(),
        io::ErrorKind::NotFound => {
            format!("make its directory first, or name another place with {option}")
        }
        kind => room_advice(kind).to_owned(),
    }
}

pub(super) fn room_advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or write to another place"
        }
        io::ErrorKind::FileTooLarge => "raise the limit on the size of files (ulimit -f)",
        _ => "write to another place",
    }
}

pub(super) fn in_image(error: &LookupError) -> String {
    match error {
        LookupError::Missing => "no such file in the image".to_owned(),
        LookupError::Dangling { link, target } => {
            format!("the symbolic link {link} -> {target} leads nowhere inside the image")
        }
        error => error.to_string(),
    }
}

/// The system's own words. tempfile puts the path of its own file after them, which nobody named.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
