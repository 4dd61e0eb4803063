//! `xinitrd diff` as a user meets it.

use std::fs;

use serde_json::{Value, json};

use crate::judged::{Made, archive, device, directory, file, link, program};
use crate::scene::Scene;
use crate::shelf::{Shelf, sound};
use crate::support::Tool;

const GZIP: Tool = Tool::of("gzip", "gzip");
const SHA256SUM: Tool = Tool::of("sha256sum", "coreutils");

fn entries() -> Vec<Made> {
    vec![
        directory("d"),
        file("d/same", "same"),
        file("d/content", "before"),
        file("d/only", ""),
        file("d/mode", ""),
        file("d/owner", ""),
        file("d/type", ""),
        link("link", "a"),
        device("node", 5, 1),
    ]
}

fn changed() -> Vec<Made> {
    vec![
        directory("d"),
        file("d/same", "same"),
        file("d/content", "after"),
        program("d/mode", ""),
        file("d/owner", "").owned(7),
        link("d/type", "b"),
        link("link", "b"),
        device("node", 5, 2),
        file("new", ""),
    ]
}

/// A file's digest, as it is told.
fn content(text: &str) -> String {
    let sum = String::from_utf8(SHA256SUM.run(&[], text.as_bytes())).unwrap();
    sum.split(' ').next().unwrap().to_owned()
}

#[test]
fn images_that_are_the_same_to_a_guest_differ_in_one_line_at_most() {
    let image = archive(&entries());
    let gzip = GZIP.run(&["-9nc"], &image);
    let later = String::from_utf8(image.clone()).unwrap();
    let later = later.replace("00000009", "0000000a");
    let spelt: Vec<_> = entries().into_iter().rev().collect();
    let spelt = [&[directory("./d/")], &spelt[..]].concat();
    let shelf = Shelf::of(&[
        ("a", &image),
        ("gzip", &gzip),
        ("padded", &[&image[..], &[0; 512]].concat()),
        ("later", later.as_bytes()),
        ("later.gz", &GZIP.run(&["-9nc"], later.as_bytes())),
        ("spelt", &archive(&spelt)),
    ]);
    for (first, second, besides) in [
        ("a", "a", ""),
        ("a", "gzip", "compression"),
        ("a", "padded", "size"),
        ("a", "later", "times"),
        ("a", "later.gz", "compression, times"),
        ("spelt", "a", "size, the order or the spelling of names"),
    ] {
        let said = match besides {
            "" => String::new(),
            besides => format!("the same for a guest; different only in {besides}\n"),
        };
        assert_eq!(
            shelf.prints(&["diff", first, second]),
            said,
            "{first} {second}"
        );
        let document: Value =
            serde_json::from_str(&shelf.prints(&["diff", "--json", first, second])).unwrap();
        assert_eq!(document["same"], json!(true));
        let named: Vec<&str> = document["besides"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        assert_eq!(named.join(", "), besides);
    }
}

#[test]
fn every_kind_of_change_is_told() {
    let shelf = Shelf::of(&[("a", &archive(&entries())), ("b", &archive(&changed()))]);
    let (before, after) = (content("before"), content("after"));
    let text = format!(
        "- d/only
+ new
~ d/content
    size: 6 -> 5
    content:
    - {before}
    + {after}
~ d/mode
    mode: 0644 -> 0755
~ d/owner
    owner: 0:0 -> 7:0
~ d/type
    type: file -> symlink
    mode: 0644 -> 0777
    target: none -> b
    size: 0 -> none
    content: {empty} -> none
~ link
    target: a -> b
~ node
    device: 5:1 -> 5:2
",
        empty = content("")
    );
    assert_eq!(shelf.says(&["diff", "a", "b"]), (1, text, String::new()));
    let (code, out, said) = shelf.says(&["diff", "--json", "a", "b"]);
    assert_eq!((code, said.as_str()), (1, ""));
    let change = |path: &str, what: &str, from: &str, to: &str| json!({"path": path, "changes": [{"what": what, "from": from, "to": to}]});
    let document = json!({
        "schema_version": 1,
        "generator": concat!("xinitrd ", env!("CARGO_PKG_VERSION")),
        "first": "a",
        "second": "b",
        "same": false,
        "removed": ["d/only"],
        "added": ["new"],
        "changed": [
            {"path": "d/content", "changes": [
                {"what": "size", "from": "6", "to": "5"},
                {"what": "content", "from": before, "to": after},
            ]},
            change("d/mode", "mode", "0644", "0755"),
            change("d/owner", "owner", "0:0", "7:0"),
            {"path": "d/type", "changes": [
                {"what": "type", "from": "file", "to": "symlink"},
                {"what": "mode", "from": "0644", "to": "0777"},
                {"what": "target", "from": "", "to": "b"},
                {"what": "size", "from": "0", "to": ""},
                {"what": "content", "from": content(""), "to": ""},
            ]},
            change("link", "target", "a", "b"),
            change("node", "device", "5:1", "5:2"),
        ],
        "load_order": null,
        "besides": [],
    });
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found, document);
}

#[test]
fn a_file_of_several_names_is_compared_by_its_data_wherever_that_stands() {
    let first = archive(&[file("x", "").numbered(3), file("y", "data").numbered(3)]);
    let second = archive(&[file("x", "data").numbered(4), file("y", "").numbered(4)]);
    let apart = archive(&[file("x", "data"), file("y", "data")]);
    let other = archive(&[file("x", "other").numbered(3), file("y", "").numbered(3)]);
    let shelf = Shelf::of(&[
        ("a", &first),
        ("b", &second),
        ("apart", &apart),
        ("other", &other),
    ]);
    assert_eq!(shelf.prints(&["diff", "a", "b"]), "");
    let size = "the same for a guest; different only in size\n";
    assert_eq!(shelf.prints(&["diff", "a", "apart"]), size);
    let (code, out, _) = shelf.says(&["diff", "a", "other"]);
    assert_eq!(code, 1);
    assert_eq!(out.matches('~').count(), 2, "{out}");
}

#[test]
fn the_top_directory_is_in_every_guest_named_or_not() {
    let named = [&[directory(".")], &entries()[..]].concat();
    let shelf = Shelf::of(&[("a", &archive(&entries())), ("b", &archive(&named))]);
    let said = "the same for a guest; different only in size, the order or the spelling of names\n";
    assert_eq!(shelf.prints(&["diff", "a", "b"]), said);
    assert_eq!(shelf.prints(&["diff", "b", "a"]), said);
}

#[test]
fn another_order_of_loading_is_a_difference() {
    let image = sound(&[]);
    let script = shelf_init(&image);
    let swapped = script
        .replace("xenblk", "XENBLK")
        .replace("xennet", "xenblk")
        .replace("XENBLK", "xennet");
    assert_ne!(swapped, script);
    let shelf = Shelf::of(&[("a", &image), ("b", &sound(&[program("init", &swapped)]))]);
    let (code, out, _) = shelf.says(&["diff", "a", "b"]);
    assert_eq!(code, 1);
    let order = "modules are loaded otherwise
    - /lib/xenblk.ko /lib/xennet.ko /lib/jbd.ko /lib/ext3.ko
    + /lib/xennet.ko /lib/xenblk.ko /lib/jbd.ko /lib/ext3.ko
";
    assert!(out.ends_with(order), "{out}");
    let (_, out, _) = shelf.says(&["diff", "--json", "a", "b"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        document["load_order"],
        json!([
            [
                "/lib/xenblk.ko",
                "/lib/xennet.ko",
                "/lib/jbd.ko",
                "/lib/ext3.ko"
            ],
            [
                "/lib/xennet.ko",
                "/lib/xenblk.ko",
                "/lib/jbd.ko",
                "/lib/ext3.ko"
            ],
        ])
    );
}

fn shelf_init(image: &[u8]) -> String {
    Shelf::of(&[("image", image)]).prints(&["cat", "image", "init"])
}

#[test]
fn images_that_cannot_be_read_whole_are_not_compared() {
    let half = archive(&[file("half", "x".repeat(1000))]);
    let image = archive(&entries());
    let shelf = Shelf::of(&[
        ("a", &image),
        ("cut", &half[..half.len() - 500]),
        ("text", b"text"),
    ]);
    let cut = "cut: segment 0, half
    found:    the segment ends within the entry
    expected: all the bytes that the entry's header says
    do:       make the image again, or copy it again: it is cut short or damaged
";
    let text = "text
    found:    a text, 4 bytes
    expected: an archive in the newc format, plain or compressed
    do:       check the path: this is a text
";
    let gone = "gone
    found:    No such file or directory (os error 2)
    expected: an image that can be read
    do:       check the path
";
    for (first, second, problems) in [
        ("a", "cut", format!("{cut}1 problem\n")),
        ("text", "cut", format!("{text}{cut}2 problems\n")),
        ("gone", "text", format!("{gone}{text}2 problems\n")),
    ] {
        let said = format!("xinitrd: {problems}");
        assert_eq!(
            shelf.says(&["diff", first, second]),
            (2, String::new(), said)
        );
    }
    let (code, _, said) = shelf.says(&["diff", "-", "-"]);
    assert_eq!(code, 2);
    assert!(said.contains("it is named more than once"), "{said}");
    let (code, out, _) = shelf.says(&["diff", "--json", "a", "cut"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["refused"]), (2, &json!(true)));
}

#[test]
fn a_changed_module_is_told_with_its_version() {
    let image = |version: &str| {
        let module = format!("m.module('one', V, fields=['version={version}'])");
        let scene = Scene::new(&format!("put('one.ko', {module})"));
        archive(&[file("one.ko", fs::read(scene.path("one.ko")).unwrap())])
    };
    let shelf = Shelf::of(&[("a", &image("1.0")), ("b", &image("1.1"))]);
    let (code, out, _) = shelf.says(&["diff", "a", "b"]);
    assert_eq!(code, 1);
    assert!(
        out.starts_with("~ one.ko\n    version: 1.0 -> 1.1\n    content:\n"),
        "{out}"
    );
}
