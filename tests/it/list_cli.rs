//! `xinitrd list` and `cat` as a user meets them, held against GNU cpio.

use std::process::Command;

use serde_json::json;

use crate::judged::{Made, archive, device, directory, file, link, made};
use crate::shelf::{Shelf, documents};
use crate::support::{Tool, XINITRD, fed, utf8};

const CPIO: Tool = Tool::of("cpio", "cpio");
const PYTHON: Tool = Tool::of("python3", "python3");

/// Names with odd bytes, every type of file, hard links, and a name twice.
fn odd() -> Vec<Made> {
    vec![
        directory("."),
        directory("d"),
        file("d/a b", "1"),
        file("d/\u{e9}", "22"),
        file(b"d/\xff\xfe", "333"),
        file("d/line\nbreak", "4444"),
        file("d/\x1b[31m", ""),
        file("./d//twice", "first"),
        file("d/twice", "second"),
        link("d/link", "a b"),
        link("d/away", "/nowhere/at/all"),
        device("console", 5, 1),
        made("disk", 0o060_660, ""),
        made("pipe", 0o010_644, ""),
        made("socket", 0o140_755, ""),
        made("tmp", 0o041_777, ""),
        made("su", 0o104_755, "suid").owned(1000),
        file("x", "").numbered(9),
        file("y", "data of three").numbered(9),
        file("z", "").numbered(9),
        file("-n", ""),
    ]
}

/// What GNU cpio lists, with times in UTC.
fn cpio(arguments: &[&str], image: &[u8]) -> String {
    let mut command = Command::new(CPIO.path());
    command.args(arguments).arg("--quiet").env("TZ", "UTC");
    let done = fed(&mut command, image);
    assert!(done.status.success(), "{}", utf8(done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What the command prints, whatever the bytes; it must succeed.
fn printed(shelf: &Shelf, arguments: &[&str]) -> String {
    let output = fed(&mut shelf.command(arguments), b"");
    assert!(output.status.success(), "{}", utf8(output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn one_spaced(text: &str) -> String {
    let lines = text.lines();
    let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn names_of_any_bytes_are_listed_as_cpio_lists_them() {
    let image = archive(&odd());
    let shelf = Shelf::of(&[("image", &image)]);
    let output = fed(&mut shelf.command(&["list", "image"]), b"");
    assert_eq!(output.stdout, CPIO.run(&["-t", "--quiet"], &image));
    assert!(output.status.success());
}

/// Runs a command on a terminal of its own, and prints what it writes there.
const ON_A_TERMINAL: &str = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";

#[test]
fn a_terminal_is_told_nothing_by_a_name() {
    let names = [&b"\x1b[31mred"[..], b"\xff\n", "\u{e9} b".as_bytes()];
    let shelf = Shelf::of(&[("image", &archive(&names.map(|name| file(name, ""))))]);
    let mut command = Command::new(PYTHON.path());
    command
        .args(["-c", ON_A_TERMINAL, XINITRD.path(), "list"])
        .arg(shelf.path("image"));
    let output = fed(&mut command, b"");
    assert!(output.status.success(), "{}", utf8(output.stderr));
    let names = utf8(output.stdout).replace("\r\n", "\n");
    assert_eq!(names, "\\x1b[31mred\n\\xff\\n\n\u{e9} b\n");
}

#[test]
fn a_long_list_has_what_cpio_has_in_it() {
    let image = archive(&odd());
    let shelf = Shelf::of(&[("image", &image)]);
    // Every entry is of nine seconds after the beginning.
    let ours = one_spaced(&printed(&shelf, &["list", "-l", "image"]));
    let theirs = cpio(&["-tvn"], &image);
    let theirs = one_spaced(&theirs).replace("Jan 1 1970", "1970-01-01 00:00");
    assert_eq!(ours, theirs);
}

#[test]
fn a_document_a_line_says_all_of_an_entry() {
    let image = [archive(&[device("console", 5, 1)]), archive(&odd())].concat();
    let shelf = Shelf::of(&[("image", &image)]);
    let documents = documents(&shelf.prints(&["list", "--json", "image"]));
    assert_eq!(documents.len(), odd().len() + 1);
    let entry = |segment: u32, name: &str, kind: &str, mode: &str, size: u32| {
        json!({
            "segment": segment, "name": name, "type": kind, "mode": mode, "uid": 0, "gid": 0,
            "nlink": 1, "ino": 0, "dev": [8, 1], "mtime": 9, "size": size,
        })
    };
    let with = |mut entry: serde_json::Value, more: serde_json::Value| {
        let more = more.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(more);
        entry
    };
    let console = entry(0, "console", "char", "0600", 0);
    for (number, expected) in [
        (0, with(console, json!({"rdev": [5, 1]}))),
        (1, entry(1, ".", "directory", "0755", 0)),
        (4, entry(1, "d/\u{e9}", "file", "0644", 2)),
        (
            5,
            with(
                entry(1, "d/\\xff\\xfe", "file", "0644", 3),
                json!({"name_hex": "642ffffe"}),
            ),
        ),
        (
            7,
            with(
                entry(1, "d/\\x1b[31m", "file", "0644", 0),
                json!({"name_hex": "642f1b5b33316d"}),
            ),
        ),
        (
            10,
            with(
                entry(1, "d/link", "symlink", "0777", 3),
                json!({"target": "a b"}),
            ),
        ),
        (
            13,
            with(
                entry(1, "disk", "block", "0660", 0),
                json!({"rdev": [0, 0]}),
            ),
        ),
        (14, entry(1, "pipe", "fifo", "0644", 0)),
        (15, entry(1, "socket", "socket", "0755", 0)),
        (16, entry(1, "tmp", "directory", "1777", 0)),
        (
            17,
            with(entry(1, "su", "file", "4755", 4), json!({"uid": 1000})),
        ),
        (
            19,
            with(
                entry(1, "y", "file", "0644", 13),
                json!({"nlink": 2, "ino": 9}),
            ),
        ),
    ] {
        assert_eq!(documents[number], expected, "{number}");
    }
}

/// An image cut within its second file.
fn cut() -> Vec<u8> {
    let image = archive(&[file("whole", "1"), file("cut", "x".repeat(100))]);
    image[..image.len() - 180].to_vec()
}

const CUT: &str = "xinitrd: cut: segment 0, cut
    found:    the segment ends within the entry
    expected: all the bytes that the entry's header says
    do:       make the image again, or copy it again: it is cut short or damaged
1 problem
";

#[test]
fn what_can_be_read_is_listed_and_the_rest_is_told() {
    let shelf = Shelf::of(&[
        ("cut", &cut()),
        ("text", b"#!/bin/sh\necho\n"),
        ("empty", b""),
    ]);
    let text = "xinitrd: text
    found:    a text, 15 bytes
    expected: an archive in the newc format, plain or compressed
    do:       check the path: this is a text
1 problem
";
    let empty = "xinitrd: empty
    found:    an empty file
    expected: an archive in the newc format, plain or compressed
    do:       check the path; make the image again
1 problem
";
    let gone = "xinitrd: gone
    found:    No such file or directory (os error 2)
    expected: an image that can be read
    do:       check the path
1 problem
";
    for (image, code, out, said) in [
        ("cut", 1, "whole\ncut\n", CUT),
        ("text", 1, "", text),
        ("empty", 1, "", empty),
        ("gone", 2, "", gone),
    ] {
        let expected = (code, out.to_owned(), said.to_owned());
        assert_eq!(shelf.says(&["list", image]), expected);
    }
    let (code, out, said) = shelf.says(&["list", "--json", "cut"]);
    assert_eq!((code, said.as_str()), (1, CUT));
    let documents = documents(&out);
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[2]["refused"], json!(true));
    assert_eq!(
        documents[2]["problems"][0]["place"],
        json!("cut: segment 0, cut")
    );
}

#[test]
fn a_file_is_printed_as_the_guest_would_see_it() {
    let later = [
        file("d/a b", "replaced"),
        link("abs", "/d/link"),
        link("up", "../../d/a b"),
        link("e", "d"),
        link("loop", "loop"),
    ];
    let image = [archive(&odd()), archive(&later)].concat();
    let shelf = Shelf::of(&[("image", &image)]);
    for (path, content) in [
        ("d/a b", "replaced"),
        ("/d//./a b", "replaced"),
        ("d/link", "replaced"),
        ("abs", "replaced"),
        ("up", "replaced"),
        ("e/twice", "second"),
        ("d/line\nbreak", "4444"),
        ("x", "data of three"),
        ("y", "data of three"),
        ("z", "data of three"),
        ("./-n", ""),
    ] {
        assert_eq!(shelf.prints(&["cat", "image", path]), content, "{path}");
    }
    assert_eq!(
        shelf.says_of(&["cat", "-", "abs"], &image),
        (0, "replaced".into(), "".into())
    );
    for (path, code, found, does) in [
        (
            "nope",
            1,
            "no such file in the image",
            "see xinitrd list, which prints the paths",
        ),
        ("d", 1, "a directory, not a regular file", "name a file"),
        (
            "console",
            1,
            "a device, socket or pipe, not a regular file",
            "name a file",
        ),
        (
            "d/away",
            1,
            "the symbolic link /d/away -> /nowhere/at/all leads nowhere inside the image",
            "see xinitrd list, which prints the paths",
        ),
        (
            "loop",
            1,
            "the symbolic link /loop -> loop is part of a loop",
            "see xinitrd list, which prints the paths",
        ),
        (
            "../x",
            2,
            "it climbs with `..`",
            "see xinitrd list, which prints the paths",
        ),
    ] {
        let said = format!(
            "xinitrd: image: {path}
    found:    {found}
    expected: the path of a file in the image
    do:       {does}
1 problem
"
        );
        assert_eq!(
            shelf.says(&["cat", "image", path]),
            (code, String::new(), said)
        );
    }
}

#[test]
fn a_file_of_a_damaged_image_is_printed_as_far_as_it_goes() {
    let shelf = Shelf::of(&[("cut", &cut())]);
    assert_eq!(shelf.prints(&["cat", "cut", "whole"]), "1");
    let (code, out, said) = shelf.says(&["cat", "cut", "cut"]);
    assert_eq!((code, said.as_str()), (1, CUT));
    assert!(
        out.len() < 100 && "x".repeat(100).starts_with(&out),
        "{out}"
    );
    // What is not there may have been lost.
    let (code, out, said) = shelf.says(&["cat", "cut", "gone"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        said.starts_with(CUT.strip_suffix("1 problem\n").unwrap()),
        "{said}"
    );
    assert!(said.ends_with("2 problems\n"), "{said}");
}

#[test]
fn a_file_is_printed_from_a_pipe_that_has_a_name() {
    let image = archive(&[file("a", "1"), file("b", "data")]);
    let shelf = Shelf::of(&[("image", &image)]);
    let xinitrd = XINITRD.path();
    let words =
        format!("cat image | {xinitrd} cat /dev/stdin b && {xinitrd} cat /dev/stdin b <image");
    let mut command = Command::new("sh");
    command.args(["-c", &words]).current_dir(shelf.path(""));
    let output = command.output().unwrap();
    assert_eq!(
        (utf8(output.stdout), utf8(output.stderr)),
        ("datadata".to_owned(), String::new())
    );
}

#[test]
fn flaws_beyond_a_hundred_are_counted() {
    let entries: Vec<_> = (0..150)
        .map(|number| made(format!("{number}\0x"), 0o100_644, ""))
        .collect();
    let shelf = Shelf::of(&[("image", &archive(&entries))]);
    let (code, _, said) = shelf.says(&["list", "image"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("\n    found:    50 more, which are not told one by one\n"),
        "{said}"
    );
    assert!(said.ends_with("\n150 problems\n"), "{said}");
    let (_, out, _) = shelf.says(&["list", "--json", "image"]);
    let refusal = &documents(&out)[150];
    let problems = refusal["problems"].as_array().unwrap();
    assert_eq!(
        problems[100]["found"],
        "50 more, which are not told one by one"
    );
}
