//! The rules of the house that a compiler does not know: who may import whom.

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file under `src`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(&top) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(&top).unwrap().to_path_buf(), text));
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The files, outside those that may, whose code holds one of `words`.
fn offenders(may: &[&str], words: &[&str]) -> Vec<String> {
    let allowed = |path: &Path| may.iter().any(|place| path.starts_with(place));
    let code = |text: &str| {
        text.split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    sources()
        .into_iter()
        .filter(|(path, _)| !allowed(path))
        .filter(|(_, text)| words.iter().any(|word| code(text).contains(word)))
        .map(|(path, _)| path.display().to_string())
        .collect()
}

#[test]
fn the_core_touches_no_file_system_environment_clock_or_process() {
    let edge = ["host", "commands", "cli.rs", "main.rs", "error.rs"];
    let words = [
        "std::fs",
        "std::env",
        "std::time",
        "std::process",
        "std::path",
        "target_arch",
    ];
    assert_eq!(offenders(&edge, &words), Vec::<String>::new());
}

#[test]
fn the_host_room_alone_touches_the_file_system_and_nobody_the_network() {
    let files = [
        "std::fs",
        "fs::",
        "rustix::",
        "File::open",
        ".exists()",
        ".is_dir()",
        ".is_file()",
        ".is_symlink()",
        ".metadata()",
        ".read_dir()",
        ".read_link()",
        ".canonicalize()",
    ];
    assert_eq!(offenders(&["host"], &files), Vec::<String>::new());
    // A nested import would hide its words from these tests.
    let nobody = ["std::net", "std::os::unix::net", "std::{"];
    assert_eq!(offenders(&[], &nobody), Vec::<String>::new());
}

#[test]
fn every_room_of_the_house_stands_in_its_design() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let design = fs::read_to_string(top.join("docs/DESIGN.md")).unwrap();
    let rooms = top.join("src").read_dir().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => format!("`{name}/`"),
            false => format!("`{name}`"),
        }
    });
    let unnamed: Vec<String> = rooms.filter(|room| !design.contains(room)).collect();
    assert_eq!(unnamed, Vec::<String>::new());
}

#[test]
fn the_core_imports_nothing_of_the_edge() {
    let edge = [
        "host", "commands", "cli.rs", "main.rs", "error.rs", "lib.rs",
    ];
    let words = [
        "crate::host",
        "crate::commands",
        "crate::cli",
        "crate::error",
    ];
    assert_eq!(offenders(&edge, &words), Vec::<String>::new());
}

#[test]
fn each_foreign_format_has_one_door() {
    assert_eq!(offenders(&["elf"], &["goblin::"]), Vec::<String>::new());
    assert_eq!(
        offenders(&["cpio.rs"], &["cpio::newc"]),
        Vec::<String>::new()
    );
    assert_eq!(
        offenders(&["package"], &["::tar::", "use tar::"]),
        Vec::<String>::new()
    );
    let codecs = [
        "libdeflater::",
        "zlib_rs::",
        "bzip2::",
        "liblzma::",
        "lzma_rust2::",
        "zstd::",
        "lz4_flex::",
    ];
    assert_eq!(offenders(&["compress"], &codecs), Vec::<String>::new());
}

#[test]
fn no_file_has_grown_past_reading() {
    let lines = |text: &str| {
        text.split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .lines()
            .count()
    };
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| lines(text) > 600)
        .map(|(path, text)| format!("{} ({} lines)", path.display(), lines(&text)))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}
