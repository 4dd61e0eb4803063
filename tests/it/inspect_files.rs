//! The rules about paths, types and modes: a sound image, one thing changed, and what is found.

use std::sync::Arc;

use xinitrd::inspect::Guest;
use xinitrd::inspect::rules::archive::NAME_TOO_LONG;
use xinitrd::inspect::rules::files::RULES;
use xinitrd::inspect::rules::unpacking;
use xinitrd::inspect::tree::Tree;
use xinitrd::kernel_version::KernelVersion;
use xinitrd::unpacker::{OLD, TODAY, Unpacker, What};

use crate::judged::{Made, archive, device, directory, file, found, judged, link, made, program};

/// An image that nothing is to be said of.
fn sound() -> Vec<Made> {
    vec![
        directory("."),
        directory("dev"),
        device("dev/console", 5, 1),
        directory("usr"),
        directory("usr/lib"),
        link("lib", "usr/lib"),
        file("lib/through-a-link", "a"),
        made("tmp", 0o041_777, ""),
        made("dev/null", 0o020_666, ""),
        program("init", "#!/bin/sh\n"),
    ]
}

fn all_found(image: Vec<u8>) -> Vec<String> {
    let rules = [RULES, &[&NAME_TOO_LONG]].concat();
    found(&judged(image, &Guest::default()), &rules)
}

/// `sound`, and these behind it.
fn with(entries: &[Made]) -> Vec<u8> {
    archive(&[sound(), entries.to_vec()].concat())
}

#[test]
fn a_sound_image_is_told_nothing_of() {
    assert_eq!(all_found(with(&[])), [""; 0]);
}

/// What is put behind the sound image, and what is found then.
fn cases() -> Vec<(Vec<Made>, Vec<&'static str>)> {
    let long = "n".repeat(256);
    let deep = "d/".repeat(2048);
    vec![
        // missing-parent
        (
            vec![file("etc/a", ""), directory("etc/x"), file("etc/x/b", "")],
            vec![
                "error missing-parent etc/a: /etc has no entry",
                "error missing-parent etc/x: /etc has no entry",
                "error missing-parent etc/x/b: /etc has no entry",
            ],
        ),
        (
            vec![file("opt/a", ""), directory("opt")],
            vec!["error missing-parent opt/a: /opt has its entry only later"],
        ),
        (
            vec![file("init/a", "")],
            vec!["error missing-parent init/a: /init is a file"],
        ),
        (
            vec![link("x", "/nowhere/at/all"), file("x/a", "")],
            vec!["error missing-parent x/a: /nowhere has no entry"],
        ),
        (
            vec![link("x", "y"), link("y", "x"), file("x/a", "")],
            vec!["error missing-parent x/a: /x is a link"],
        ),
        // What the kernel has of its own, and what it reads in place, takes no directories.
        (vec![file("root/a", "")], vec![]),
        // duplicates
        (
            vec![file("lib/through-a-link", "b")],
            vec!["warning duplicate lib/through-a-link: it replaces an entry of the same name"],
        ),
        (
            vec![file("usr/lib/through-a-link", "b")],
            vec!["warning duplicate usr/lib/through-a-link: it replaces an entry of the same name"],
        ),
        (
            vec![device("dev/null", 1, 3)],
            vec![
                "warning duplicate dev/null: an entry of the same name has made it before, and stays",
            ],
        ),
        (vec![directory("usr"), made("usr", 0o040_700, "")], vec![]),
        (
            vec![directory("lib")],
            vec!["error duplicate-of-other-type lib: a directory, in the place of a link"],
        ),
        // Of the kernel's own console a rule of its own tells.
        (
            vec![file("dev/console", "")],
            vec![
                "warning duplicate-of-other-type dev/console: a file, in the place of a character device",
            ],
        ),
        (
            vec![link("usr", "elsewhere")],
            vec![
                "error duplicate-of-other-type usr: a link, and a directory that is not empty stands there",
            ],
        ),
        (
            vec![link("init", "sbin/init")],
            vec!["warning duplicate-of-other-type init: a link, in the place of a file"],
        ),
        (
            vec![directory("empty"), link("empty", "usr")],
            vec!["warning duplicate-of-other-type empty: a link, in the place of a directory"],
        ),
        (
            vec![link("dev", "/tmp")],
            vec![
                "error duplicate-of-other-type dev: a link, and a directory that is not empty stands there",
            ],
        ),
        // hard links
        (
            vec![file("a", "").numbered(7), file("b", "data").numbered(7)],
            vec![],
        ),
        (
            vec![file("a", "data").numbered(7), file("b", "data").numbered(7)],
            vec![],
        ),
        (
            vec![file("a", "data").numbered(7), file("b", "atad").numbered(7)],
            vec!["error hard-link-clash b: as if a hard link to a, and of another data"],
        ),
        (
            vec![
                file("a", "").numbered(7),
                file("b", "x").numbered(7),
                file("c", "xy").numbered(7),
            ],
            vec!["error hard-link-clash c: as if a hard link to b, and of another data"],
        ),
        (
            vec![file("a", "").numbered(7), program("b", "x").numbered(7)],
            vec!["error hard-link-clash b: as if a hard link to a, and of another mode or owner"],
        ),
        (
            vec![
                file("a", "").numbered(7),
                file("b", "x").numbered(7).owned(1),
            ],
            vec!["error hard-link-clash b: as if a hard link to a, and of another mode or owner"],
        ),
        (
            vec![
                device("dev/a", 1, 3).numbered(7),
                device("dev/b", 1, 5).numbered(7),
            ],
            vec![
                "error hard-link-clash dev/b: as if a hard link to dev/a, and of another device number",
            ],
        ),
        (
            vec![file("a", "1").numbered(7), file("b", "2").numbered(8)],
            vec![],
        ),
        (
            vec![link("a", "1").numbered(7), link("b", "2").numbered(7)],
            vec![],
        ),
        (
            vec![directory("a").numbered(7), directory("b").numbered(7)],
            vec![],
        ),
        // links
        (
            vec![link("a", "")],
            vec!["error bad-link-target a: an empty target"],
        ),
        (vec![link("a", "t".repeat(4095))], vec![]),
        (
            vec![link("a", "t".repeat(4096))],
            vec!["error bad-link-target a: a target of 4096 bytes"],
        ),
        (
            vec![link("a", "t\0x")],
            vec!["error bad-link-target a: a target with a NUL at byte 1"],
        ),
        // names
        (
            vec![file("../etc/passwd", "")],
            vec!["error path-leaves-root ../etc/passwd: a name with `..`"],
        ),
        (vec![file("..data", "")], vec![]),
        (
            vec![file(&long, "")],
            vec!["error name-too-long nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: 256 bytes"],
        ),
        (
            vec![file(&deep[..4095], "")],
            vec!["error name-too-long d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/: 4095 bytes"],
        ),
        // types and modes
        (
            vec![made("a", 0o040_755, "data")],
            vec!["error data-on-nonregular a: a directory with 4 bytes of data"],
        ),
        (
            vec![made("a", 0o644, "data")],
            vec!["error unknown-type a: mode 644"],
        ),
        (
            vec![made("a", 0o104_755, "")],
            vec!["warning setuid-file a: mode 4755"],
        ),
        (
            vec![made("a", 0o102_755, "")],
            vec!["warning setuid-file a: mode 2755"],
        ),
        (vec![made("a", 0o042_755, "")], vec![]),
        (
            vec![made("a", 0o100_666, "")],
            vec!["warning world-writable a: mode 0666"],
        ),
        (
            vec![made("a", 0o040_777, "")],
            vec!["warning world-writable a: mode 0777"],
        ),
        (
            vec![made("a", 0o140_777, ""), made("b", 0o010_666, "")],
            vec![],
        ),
    ]
}

#[test]
fn each_rule_finds_what_it_is_about_and_nothing_else() {
    for (entries, expected) in cases() {
        assert_eq!(all_found(with(&entries)), expected);
    }
}

/// Whether a kernel makes nothing of some entry, by the model of it.
fn drops(version: KernelVersion, image: &[u8]) -> bool {
    let mut unpacker = Unpacker::new(version, false);
    unpacker.segment(None, 0);
    unpacker.feed(image);
    let events = unpacker.finish().events;
    let is_loss = |what: &What| {
        matches!(
            what,
            What::Skipped(_) | What::Refused(_) | What::NotLinked { .. }
        )
    };
    events.iter().any(|event| is_loss(&event.what))
}

#[test]
fn what_a_kernel_drops_without_a_word_is_told_of() {
    let early = file("kernel/x86/microcode/AuthenticAMD.bin", "read in place");
    let early = with(&[early]);
    assert!(drops(TODAY, &early));
    let rules = [RULES, unpacking::RULES].concat();
    assert_eq!(found(&judged(early, &Guest::default()), &rules), [""; 0]);
    let mut dropped = 0;
    for (entries, expected) in cases() {
        let image = with(&entries);
        for version in [OLD, TODAY] {
            let is_told = expected.iter().any(|found| found.starts_with("error "));
            let is_lost = drops(version, &image);
            assert!(is_told || !is_lost, "{version}: {expected:?}");
            dropped += usize::from(is_lost);
        }
    }
    assert!(dropped > 20, "the models drop {dropped} only");
}

#[test]
fn a_file_stands_where_the_links_on_its_way_lead() {
    let image = [
        with(&[directory("usr/lib/a"), file("lib/a/one", "")]),
        archive(&[
            file("/lib/a/two", ""),
            link("back", "lib/a/.."),
            file("back/three", ""),
        ]),
    ];
    let inspection = judged(image.concat(), &Guest::default());
    let tree = Tree::new(Arc::clone(&inspection.picture));
    let paths = tree.items().map(|(path, _)| path.to_string());
    let below: Vec<String> = paths.filter(|path| path.starts_with("/usr/lib/")).collect();
    let expected = ["a", "a/one", "a/two", "three", "through-a-link"];
    assert_eq!(below, expected.map(|path| format!("/usr/lib/{path}")));
    assert!(tree.has("lib/a/two") && tree.has("back/a/one") && !tree.has("lib/two"));
}

#[test]
fn an_archive_behind_another_may_replace_files_and_its_inodes_are_its_own() {
    let over = [file("a", "22").numbered(7), link("init", "a")];
    let image = [with(&[file("a", "1").numbered(7)]), archive(&over)].concat();
    let init = "warning duplicate-of-other-type init: a link, in the place of a file";
    assert_eq!(all_found(image), [init]);
    let below_the_link = [with(&[]), archive(&[directory("lib"), file("lib/a", "")])].concat();
    let lib = "error duplicate-of-other-type lib: a directory, in the place of a link";
    assert_eq!(all_found(below_the_link), [lib]);
}

#[test]
fn an_entry_in_the_place_of_the_kernels_own_console_is_told_once() {
    let entries = [
        directory("dev"),
        file("dev/console", ""),
        program("init", "#!/bin/sh\n"),
    ];
    let inspection = judged(archive(&entries), &Guest::default());
    let about = inspection
        .findings
        .iter()
        .filter(|finding| finding.entry.as_deref() == Some(b"dev/console"));
    let rules: Vec<&str> = about.map(|finding| finding.rule.name).collect();
    assert_eq!(rules, ["wrong-console-node"]);
}
