//! `xinitrd extract` as a user meets it. What goes where, and what does not, is held in `extract.rs`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::judged::{Made, archive, device, directory, file, link, made, program};
use crate::shelf::Shelf;
use crate::support::{XINITRD, utf8, without_rights};

fn entries() -> Vec<Made> {
    vec![
        directory("."),
        directory("lib"),
        directory("lib/modules"),
        directory("lib/modules/6.1"),
        file("lib/modules/6.1/a.ko", "a"),
        file("lib/modules/6.1/b.ko", "b"),
        file("lib/modules/6.1/modules.dep", "dep"),
        file("library", "no directory of that name"),
        directory("empty"),
        device("console", 5, 1),
        made("pipe", 0o010_600, ""),
        link("link", "lib"),
        made("su", 0o104_755, "su").owned(12),
        file("x", "").numbered(9),
        file("y", "data").numbered(9),
        file("z", "").numbered(9),
        program("init", "#!/bin/sh\n"),
    ]
}

/// What lies below `tree`, directories that are not empty left out.
fn tree(shelf: &Shelf) -> Vec<String> {
    let top = shelf.path("tree");
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(&top).min_depth(1) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(&top).unwrap();
        let is_empty = || entry.path().read_dir().unwrap().next().is_none();
        match entry.file_type().is_dir() {
            true if is_empty() => found.push(format!("{}/", name.display())),
            true => {}
            false => found.push(name.display().to_string()),
        }
    }
    found.sort();
    found
}

const NODES: &str = "xinitrd: devices, pipes and sockets not made: 2; --nodes makes them\n";
const ALL: [&str; 11] = [
    "empty/",
    "init",
    "lib/modules/6.1/a.ko",
    "lib/modules/6.1/b.ko",
    "lib/modules/6.1/modules.dep",
    "library",
    "link",
    "su",
    "x",
    "y",
    "z",
];

#[test]
fn all_is_extracted_but_nodes_unless_they_are_asked_for() {
    let shelf = Shelf::of(&[("image", &archive(&entries()))]);
    let done = shelf.says(&["extract", "image", "-C", "tree"]);
    assert_eq!(done, (0, String::new(), NODES.to_owned()));
    assert_eq!(tree(&shelf), ALL);
    let metadata = |name: &str| fs::metadata(shelf.path("tree").join(name)).unwrap();
    assert_eq!(metadata("x").ino(), metadata("y").ino());
    assert_eq!(fs::read(shelf.path("tree/z")).unwrap(), b"data");
    assert_eq!(
        metadata("su").permissions().mode() & 0o7777,
        0o755,
        "without its owner"
    );
    assert_eq!(
        (
            metadata("init").permissions().mode() & 0o7777,
            metadata("init").mtime()
        ),
        (0o755, 9)
    );
}

#[test]
fn nodes_and_owners_are_made_where_that_may_be_done() {
    let shelf = Shelf::of(&[("image", &archive(&entries()))]);
    let arguments = ["extract", "image", "-C", "tree", "--nodes", "--owners"];
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let (code, out, said) = shelf.says(&arguments);
    assert_eq!(out, "");
    let pipe = fs::metadata(shelf.path("tree/pipe"));
    if !is_root {
        assert_eq!(code, 2, "{said}");
        for place in ["image: su\n", "image: console\n"] {
            assert!(said.contains(place), "{said}");
        }
        return;
    }
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(pipe.unwrap().file_type().is_fifo());
    let console = fs::metadata(shelf.path("tree/console")).unwrap();
    assert!(console.file_type().is_char_device());
    assert_eq!(console.rdev(), 5 << 8 | 1);
    let su = fs::metadata(shelf.path("tree/su")).unwrap();
    assert_eq!((su.uid(), su.permissions().mode() & 0o7777), (12, 0o4755));
}

#[test]
fn patterns_say_what_is_extracted() {
    for (patterns, expected) in [
        (&["init"][..], &["init"][..]),
        (&["/init", "./library"], &["init", "library"]),
        (&["lib"], &ALL[2..5]),
        (&["lib/"], &ALL[2..5]),
        (&["lib/modules/*.ko"], &ALL[2..4]),
        (&["*.ko"], &ALL[2..4]),
        (&["lib/modules/*/modules.*"], &ALL[4..5]),
        (&["lib/modules/6.[0-9]/?.ko"], &ALL[2..4]),
        (&["empty"], &["empty/"]),
        (&["link"], &["link"]),
        (&["x"], &["x"]),
        (&["z", "x"], &["x", "z"]),
        (&["y"], &["y"]),
    ] {
        let shelf = Shelf::of(&[("image", &archive(&entries()))]);
        let arguments = [&["extract", "image", "-C", "tree"], patterns].concat();
        assert_eq!(shelf.prints(&arguments), "", "{patterns:?}");
        assert_eq!(tree(&shelf), expected, "{patterns:?}");
        // The data of all three stands on a name that may not have been asked for.
        for name in ["x", "y", "z"]
            .into_iter()
            .filter(|name| patterns.contains(name))
        {
            let data = fs::read(shelf.path("tree").join(name)).unwrap();
            assert_eq!(data, b"data", "{name} of {patterns:?}");
        }
    }
    for everything in [".", "/", "*"] {
        let shelf = Shelf::of(&[("image", &archive(&entries()))]);
        let (code, _, said) = shelf.says(&["extract", "image", "-C", "tree", everything]);
        assert_eq!((code, said.as_str()), (0, NODES));
        assert_eq!(tree(&shelf), ALL, "{everything}");
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_told_and_the_others_are_extracted() {
    let shelf = Shelf::of(&[("image", &archive(&entries()))]);
    let said = "xinitrd: image: lib/modules/5.*
    found:    no entry matches
    expected: an entry of that path
    do:       see xinitrd list, which prints the paths
image: sbin
    found:    no entry matches
    expected: an entry of that path
    do:       see xinitrd list, which prints the paths
2 problems; what else was asked for, and could be read, is extracted
";
    let arguments = [
        "extract",
        "image",
        "-C",
        "tree",
        "lib/modules/5.*",
        "init",
        "sbin",
    ];
    assert_eq!(shelf.says(&arguments), (1, String::new(), said.to_owned()));
    assert_eq!(tree(&shelf), ["init"]);
    let said = "xinitrd: pattern lib/[a
    found:    unclosed character class; missing ']'
    expected: a path; * and ? in it stand for any characters, [a-z] for one of these
    do:       put a backslash before a character that stands for itself
1 problem
";
    let done = shelf.says(&["extract", "image", "-C", "none", "lib/[a"]);
    assert_eq!(done, (2, String::new(), said.to_owned()));
    assert!(!shelf.path("none").exists());
}

#[test]
fn what_lies_there_is_kept_unless_forced() {
    let shelf = Shelf::of(&[("image", &archive(&entries()))]);
    fs::create_dir(shelf.path("tree")).unwrap();
    fs::write(shelf.path("tree/init"), "mine").unwrap();
    let said = format!(
        "{NODES}xinitrd: image: init
    found:    a file is there already
    expected: a name that nothing has yet
    do:       extract into an empty directory, or say --force to replace it
1 problem; what else was asked for, and could be read, is extracted
"
    );
    let arguments = ["extract", "image", "-C", "tree"];
    assert_eq!(shelf.says(&arguments), (2, String::new(), said));
    assert_eq!(fs::read(shelf.path("tree/init")).unwrap(), b"mine");
    assert_eq!(tree(&shelf), ALL);
    let (code, _, said) = shelf.says(&[&arguments[..], &["--force"]].concat());
    assert_eq!((code, said.as_str()), (0, NODES));
    assert_eq!(fs::read(shelf.path("tree/init")).unwrap(), b"#!/bin/sh\n");
}

#[test]
fn of_a_damaged_image_there_is_what_could_be_read_and_no_half_file() {
    let first = [
        directory("d"),
        file("d/whole", "1"),
        file("d/first", "").numbered(3),
        file("d/cut", "x".repeat(1000)).numbered(3),
    ];
    let image = archive(&first);
    let cut = &image[..image.len() - 500];
    let shelf = Shelf::of(&[("image", cut)]);
    let said = "xinitrd: image: segment 0, d/cut
    found:    the segment ends within the entry
    expected: all the bytes that the entry's header says
    do:       make the image again, or copy it again: it is cut short or damaged
1 problem; what else was asked for, and could be read, is extracted
";
    let done = shelf.says(&["extract", "image", "-C", "tree"]);
    assert_eq!(done, (1, String::new(), said.to_owned()));
    assert_eq!(tree(&shelf), ["d/whole"]);
    // What was begun is ended: the directory has its time.
    assert_eq!(fs::metadata(shelf.path("tree/d")).unwrap().mtime(), 9);
}

#[test]
fn where_a_bound_ends_the_reading_what_was_begun_is_ended() {
    let first = [
        directory("d"),
        file("d/a", "").numbered(7),
        file("d/b", "data").numbered(7),
    ];
    let image = [archive(&first), archive(&[file("d/c", "")])].concat();
    let shelf = Shelf::of(&[("image", &image)]);
    let said = "xinitrd: image
    found:    more than 3 entries
    expected: an image that a guest could boot from
    do:       if it is to be trusted, raise --max-entries
1 problem; what else was asked for, and could be read, is extracted
";
    let done = shelf.says(&["extract", "image", "-C", "tree", "--max-entries", "3"]);
    assert_eq!(done, (1, String::new(), said.to_owned()));
    assert_eq!(tree(&shelf), ["d/a", "d/b"]);
    assert_eq!(fs::metadata(shelf.path("tree/d")).unwrap().mtime(), 9);
}

#[test]
fn where_a_bound_ends_the_reading_within_a_file_there_is_no_half_of_it() {
    let image = archive(&[file("half", "x".repeat(1 << 20))]);
    let shelf = Shelf::of(&[("image", &image)]);
    let bounded = ["extract", "image", "-C", "tree", "--max-size", "512K"];
    assert_eq!(shelf.says(&bounded).0, 1);
    assert_eq!(tree(&shelf), [""; 0]);
    assert_eq!(shelf.says(&["extract", "image", "-C", "tree"]).0, 0);
    assert_eq!(tree(&shelf), ["half"]);
}

#[test]
fn nothing_is_extracted_where_nothing_can_be() {
    let shelf = Shelf::of(&[("image", &archive(&entries())), ("file", b"")]);
    for (arguments, place, found) in [
        (
            ["gone", "-C", "tree"],
            "gone",
            "No such file or directory (os error 2)",
        ),
        (
            ["image", "-C", "file"],
            "file",
            "Not a directory (os error 20)",
        ),
        (
            ["image", "-C", "no/where"],
            "no/where",
            "No such file or directory (os error 2)",
        ),
    ] {
        let (code, _, said) = shelf.says(&[&["extract"], &arguments[..]].concat());
        assert_eq!(code, 2, "{said}");
        let said_so = format!("xinitrd: {place}\n    found:    {found}\n");
        assert!(said.starts_with(&said_so), "{said}");
        assert!(said.ends_with("\n1 problem\n"), "{said}");
        assert!(!shelf.path("tree").exists());
    }
}

#[test]
fn what_the_system_refuses_many_entries_for_one_reason_is_told_once() {
    let files = (0..150).map(|number| file(format!("d/e/{number}"), ""));
    let entries: Vec<Made> = [directory("d"), directory("d/e")]
        .into_iter()
        .chain(files)
        .collect();
    let shelf = Shelf::of(&[("image", &archive(&entries))]);
    fs::create_dir_all(shelf.path("tree/d/e")).unwrap();
    for path in ["", "image", "tree", "tree/d"] {
        fs::set_permissions(shelf.path(path), PermissionsExt::from_mode(0o777)).unwrap();
    }
    fs::set_permissions(shelf.path("tree/d/e"), PermissionsExt::from_mode(0o555)).unwrap();
    let mut command = without_rights(Path::new(XINITRD.path()));
    command
        .args(["extract", "image", "-C", "tree"])
        .current_dir(shelf.path(""));
    let output = command.output().unwrap();
    let said = utf8(output.stderr);
    assert!(
        said.contains("image: d/e: 150 entries\n    found:    "),
        "{said}"
    );
    assert_eq!(said.matches("Permission denied").count(), 1, "{said}");
}

#[test]
fn problems_beyond_a_hundred_are_counted() {
    let files = (0..150).map(|number| made(format!("{number}"), 0o644, ""));
    let shelf = Shelf::of(&[("image", &archive(&files.collect::<Vec<_>>()))]);
    let (code, _, said) = shelf.says(&["extract", "image", "-C", "tree"]);
    assert_eq!(code, 1);
    assert_eq!(said.matches("which is of no type").count(), 100, "{said}");
    let end = "image
    found:    50 more, which are not told one by one
    expected: none
    do:       see to those above first, then look again
150 problems; what else was asked for, and could be read, is extracted
";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn a_pattern_may_be_of_any_bytes() {
    let entries = [
        file(b"caf\xe9", ""),
        file(b"caf\xe8", ""),
        file("caf\u{e9}", ""),
    ];
    let shelf = Shelf::of(&[("image", &archive(&entries))]);
    for (pattern, expected) in [
        (&b"caf\xe9"[..], vec![&b"caf\xe9"[..]]),
        (b"c*\xe8", vec![b"caf\xe8"]),
        ("caf\u{e9}".as_bytes(), vec!["caf\u{e9}".as_bytes()]),
    ] {
        let mut command = shelf.command(&["extract", "image", "-C", "tree"]);
        let output = command.arg(OsStr::from_bytes(pattern)).output().unwrap();
        assert!(output.status.success(), "{}", utf8(output.stderr));
        let names = fs::read_dir(shelf.path("tree")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        assert_eq!(names, expected);
        fs::remove_dir_all(shelf.path("tree")).unwrap();
    }
}
