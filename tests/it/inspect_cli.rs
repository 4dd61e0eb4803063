//! `xinitrd inspect` and `explain` as a user meets them: verdicts, exit codes, documents, refusals.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use xinitrd::inspect::rules;

use crate::guest::GZIP;
use crate::judged::{archive, device, directory, file, link, made, made_by_others, program};
use crate::shelf::{Shelf, documents, sound};
use crate::support::{Tool, XINITRD, fetched, kernel_of, utf8};

const XZ: Tool = Tool::of("xz", "xz-utils");
const BASH: Tool = Tool::of("bash", "bash");

/// A sound image, one with a warning, one with an error, and files that are none.
fn shelf() -> Shelf {
    let free = made("free", 0o100_666, "");
    Shelf::of(&[
        ("sound", &sound(&[])),
        ("doubtful", &sound(std::slice::from_ref(&free))),
        ("bad", &sound(&[free, file("gone/file", "")])),
        ("text", b"no image at all"),
        ("empty", b""),
    ])
}

/// The last line of a report, which says the verdict.
fn verdict(report: &str) -> &str {
    report.lines().last().unwrap_or_default()
}

#[test]
fn the_exit_code_says_what_the_rules_and_the_user_make_of_an_image() {
    let shelf = shelf();
    let warning = "doubtful: warnings, 0 errors, 1 warning";
    let denied = "doubtful: bad, 1 error, 0 warnings";
    let allowed = "doubtful: clean, 0 errors, 0 warnings, allowed: 1 world-writable";
    for (arguments, code, says) in [
        (&["sound"][..], 0, "sound: clean, 0 errors, 0 warnings"),
        (
            &["sound", "--deny", "warnings"],
            0,
            "sound: clean, 0 errors, 0 warnings",
        ),
        (&["doubtful"], 0, warning),
        (&["doubtful", "--deny", "duplicate"], 0, warning),
        (&["doubtful", "--deny", "world-writable"], 1, denied),
        (&["doubtful", "--deny", "warnings"], 1, denied),
        (&["doubtful", "--allow", "world-writable"], 0, allowed),
        (
            &[
                "doubtful",
                "--deny",
                "warnings",
                "--allow",
                "world-writable",
            ],
            0,
            allowed,
        ),
        (
            &[
                "doubtful",
                "--allow",
                "world-writable",
                "--deny",
                "world-writable",
            ],
            0,
            allowed,
        ),
        (&["text", "--allow", "world-writable"], 1, ""),
        (&["text"], 1, ""),
        (&["empty"], 1, ""),
    ] {
        let (found, out, said) = shelf.says(&[&["inspect"], arguments].concat());
        assert_eq!((found, said.as_str()), (code, ""), "{arguments:?}: {out}");
        assert!(verdict(&out).starts_with(says), "{arguments:?}: {out}");
    }
}

#[test]
fn what_is_found_is_told_with_its_rule_its_place_and_its_cure() {
    let shelf = shelf();
    let (code, out, _) = shelf.says(&["inspect", "bad"]);
    assert_eq!(code, 1);
    let found = "error missing-parent: segment 1, gone/file
    found:    /gone has no entry
    expected: ";
    assert!(out.contains(found), "{out}");
    assert!(
        out.contains("\n    do:       Give the directory an entry"),
        "{out}"
    );
    for (image, found) in [("text", "a text, 15 bytes"), ("empty", "an empty file")] {
        let (_, out, _) = shelf.says(&["inspect", image]);
        let found = format!("error not-an-image\n    found:    {found}");
        assert!(out.contains(&found), "{image}: {out}");
    }
}

#[test]
fn a_report_is_made_for_people_line_by_line() {
    let init = "#!/bin/sh\nexec /sbin/init\n";
    let image = archive(&[
        directory("bin"),
        link("bin/sh", "gone"),
        program("init", init),
    ]);
    let shelf = Shelf::of(&[("image", &image)]);
    let (code, out, _) = shelf.says(&["inspect", "image", "--kernel-version", "6.1"]);
    let text = format!(
        "segment 0   at 0, none, {size} bytes, {size} bytes unpacked, 3 entries
made by     unknown
init        /init, a script for /bin/sh
largest         26 bytes  init
memory      {height} bytes to unpack before Xen 4.20, {height} bytes since; {files} bytes stay in use
",
        size = image.len(),
        // A page, and 1 KiB an entry; while it is unpacked, the ramdisk's page too.
        height = 4096 + 3 * 1024 + 4096,
        files = 4096 + 3 * 1024,
    );
    assert!(out.starts_with(&text), "{out}");
    assert_eq!(code, 1);
    assert!(
        out.contains("\nerror script-interpreter-missing: segment 0, init\n"),
        "{out}"
    );
    assert!(verdict(&out).starts_with("image: bad, "), "{out}");
}

const MISSING: &str = "gone
    found:    No such file or directory (os error 2)
    expected: an image that can be read
    do:       check the path
";

#[test]
fn every_image_is_judged_whatever_becomes_of_the_others() {
    let shelf = shelf();
    let problem = format!("xinitrd: {MISSING}1 problem\n");
    for (images, code, verdicts, says) in [
        (
            &["bad", "gone", "sound"][..],
            1,
            &["bad", "sound"][..],
            problem.as_str(),
        ),
        (&["sound", "gone"], 2, &["sound"], &problem),
        (&["gone"], 2, &[], &problem),
        (&["sound", "doubtful"], 0, &["sound", "doubtful"], ""),
    ] {
        let (found, out, said) = shelf.says(&[&["inspect"], images].concat());
        assert_eq!((found, said.as_str()), (code, says), "{images:?}");
        let lines: Vec<&str> = out.lines().collect();
        let reports = lines.split(|line| line.is_empty());
        let last = reports.filter_map(|report| report.last()?.split(':').next());
        assert_eq!(last.collect::<Vec<_>>(), verdicts, "{out}");
    }
    let (code, out, said) = shelf.says(&["inspect", ".", "gone"]);
    assert_eq!((code, out.as_str()), (2, ""));
    let is_directory = "xinitrd: .
    found:    is a directory
    expected: an image that can be read
    do:       name a file; this is a directory
";
    assert_eq!(said, format!("{is_directory}{MISSING}2 problems\n"));
}

#[test]
fn wrong_usage_is_told_at_once_with_what_may_have_been_meant() {
    let shelf = shelf();
    let arguments = [
        "inspect",
        "-",
        "-",
        "--deny",
        "warning",
        "--allow",
        "missing-parents",
        "--root",
        "nowhere",
        "--kernel",
        "6.1",
    ];
    let (code, out, said) = shelf.says(&arguments);
    let text = "xinitrd: standard input
    found:    it is named more than once
    expected: one image there: it can be read but once
    do:       lay one of them in a file first
rule warning
    found:    no rule of that name
    expected: one that `xinitrd explain` lists
    do:       did you mean warnings?
rule missing-parents
    found:    no rule of that name
    expected: one that `xinitrd explain` lists
    do:       did you mean missing-parent?
--root nowhere
    found:    No such file or directory (os error 2)
    expected: a directory: the guest's root
    do:       check the path
4 problems
";
    assert_eq!((code, out.as_str(), said.as_str()), (2, "", text));
    let (code, out, _) = shelf.says(&[&arguments[..], &["--json"]].concat());
    assert_eq!(code, 2);
    let [document] = &documents(&out)[..] else {
        panic!("{out}")
    };
    assert_eq!(document["refused"], json!(true));
    assert_eq!(document["problems"].as_array().unwrap().len(), 4);
    let (code, out, said) = shelf.says(&["inspect", "-", "--json", "--josn"]);
    assert_eq!((code, documents(&out).len()), (2, 1), "{out}");
    assert!(
        said.starts_with("error: unexpected argument '--josn' found"),
        "{said}"
    );
    let (code, _, said) = shelf.says(&["inspect", "sound", "--kernel-version", "new"]);
    assert_eq!(code, 2);
    assert!(said.contains("'--kernel-version <V>': `new` does not begin with a kernel version"));
}

#[test]
fn a_document_a_line_is_printed_for_each_image_in_order_at_any_number_of_threads() {
    let shelf = shelf();
    let images = ["bad", "gone", "sound", "text", ".", "doubtful", "empty"];
    let print = |threads: &str| {
        let arguments = [&["inspect", "--json", "--threads", threads], &images[..]].concat();
        let (code, out, said) = shelf.says(&arguments);
        assert_eq!(code, 1);
        assert!(said.ends_with("2 problems\n"), "{said}");
        out
    };
    let out = print("1");
    assert!(["2", "7", "64"].iter().all(|threads| print(threads) == out));
    let documents = documents(&out);
    let named: Vec<&Value> = documents.iter().map(|one| &one["image"]).collect();
    assert_eq!(named, images);
    let verdicts: Vec<&Value> = documents.iter().map(|one| &one["verdict"]).collect();
    let unreadable = json!("unreadable");
    assert_eq!(
        verdicts,
        [
            &json!("bad"),
            &unreadable,
            &json!("clean"),
            &json!("bad"),
            &unreadable,
            &json!("warnings"),
            &json!("bad")
        ]
    );
    let refusal = json!({
        "schema_version": 1,
        "generator": concat!("xinitrd ", env!("CARGO_PKG_VERSION")),
        "image": "gone",
        "verdict": "unreadable",
        "refused": true,
        "problems": [{
            "place": "gone",
            "found": "No such file or directory (os error 2)",
            "expected": "an image that can be read",
            "do": "check the path",
        }],
    });
    assert_eq!(documents[1], refusal);
}

#[test]
fn what_is_told_of_one_rule_has_an_end_and_the_rest_is_counted() {
    // Their modes are as many as the numbers: no two findings say the same.
    let free = |number: u32| made(format!("{number}"), 0o100_002 | (number << 2 & 0o374), "");
    let more: Vec<_> = (0..33).map(free).collect();
    let shelf = Shelf::of(&[("image", &sound(&more))]);
    let (_, out, _) = shelf.says(&["inspect", "image"]);
    assert_eq!(out.matches("warning world-writable").count(), 20);
    assert!(
        out.contains("\nworld-writable: 13 more like these\n"),
        "{out}"
    );
    let same = |number: u32| made(format!("{number}"), 0o100_666, "");
    let more: Vec<_> = (0..1003).map(same).collect();
    let shelf = Shelf::of(&[("image", &sound(&more))]);
    let (_, out, _) = shelf.says(&["inspect", "image"]);
    let told = "warning world-writable: segment 1, 0, and 999 more: 1, 10, 100, 1000, 1001 ...\n    found:    mode 0666\n";
    assert!(out.contains(told), "{out}");
    assert!(
        out.contains("\nworld-writable: 3 more like these\n"),
        "{out}"
    );
    let (_, out, _) = shelf.says(&["inspect", "image", "--json"]);
    let [document] = &documents(&out)[..] else {
        panic!("{out}")
    };
    assert_eq!(document["findings"].as_array().unwrap().len(), 1000);
    assert_eq!(document["more"], json!({"world-writable": 3}));
    assert_eq!(document["warnings"], json!(1003));
}

#[test]
fn an_image_on_standard_input_is_the_same_to_every_command() {
    let image = sound(&[]);
    let shelf = Shelf::of(&[("image", &image)]);
    for arguments in [
        &["inspect", "IMAGE"][..],
        &["inspect", "--json", "IMAGE"],
        &["list", "IMAGE"],
        &["list", "-l", "IMAGE"],
        &["cat", "IMAGE", "init"],
        &["extract", "IMAGE", "-C", "DIR"],
        &["diff", "IMAGE", "image"],
        &["diff", "image", "IMAGE"],
    ] {
        let named = |image: &'static str, directory: &'static str| -> Vec<&str> {
            let named = arguments.iter().map(|&argument| match argument {
                "IMAGE" => image,
                "DIR" => directory,
                other => other,
            });
            named.collect()
        };
        let (code, out, said) = shelf.says(&named("image", "from-file"));
        assert_eq!(code, 0, "{said}");
        let from_input = shelf.says_of(&named("-", "from-input"), &image);
        let as_file = |text: &str| text.replace("standard input", "image");
        let from_input = (from_input.0, as_file(&from_input.1), from_input.2);
        assert_eq!(from_input, (code, out, said), "{arguments:?}");
    }
    let extracted = |directory: &str| fs::read(shelf.path(directory).join("init")).unwrap();
    assert_eq!(extracted("from-file"), extracted("from-input"));
}

/// Images that each meet a bound, and the options that set it so.
fn bounded() -> Shelf {
    let zeros = archive(&[file("zeros", vec![0; 20 << 20])]);
    let three = archive(&[file("a", "a"), file("b", ""), file("c", "")]);
    let long = "n".repeat(4000);
    let names: Vec<_> = (0..50)
        .map(|number| file(format!("{long}/{number}"), ""))
        .collect();
    Shelf::of(&[
        ("three", &three),
        ("segments", &[&three[..], &three, &three].concat()),
        ("packed", &GZIP.run(&["-9c"], &zeros)),
        (
            "window",
            &XZ.run(
                &["-c", "--check=crc32", "--lzma2=preset=0,dict=64MiB"],
                &three,
            ),
        ),
        ("names", &archive(&names)),
    ])
}

#[test]
fn every_bound_that_is_met_is_refused_with_the_option_that_raises_it() {
    let shelf = bounded();
    let facts = [&["inspect"][..], &["diff", "three"], &["cat"]];
    let all = [&facts[..], &[&["list"], &["extract", "-C", "out", "-f"]]].concat();
    for (image, option, bound, commands) in [
        ("three", "--max-entries", "2", &all),
        ("segments", "--max-segments", "2", &all),
        ("three", "--max-size", "200", &all),
        ("names", "--max-name", "100", &all),
        ("packed", "--max-size=64M --max-ratio", "10", &all),
        ("window", "--max-memory", "1M", &all),
        ("names", "--max-memory", "20K", &facts.to_vec()),
    ] {
        for command in commands {
            let path = if command[0] == "cat" {
                &["gone"][..]
            } else {
                &[]
            };
            let options: Vec<&str> = option.split(' ').collect();
            let arguments = [*command, &[image], &options, &[bound], path].concat();
            let (code, out, said) = shelf.says(&arguments);
            // Of two that cannot be compared it is not known whether they differ.
            let expected = if command[0] == "diff" { 2 } else { 1 };
            assert_eq!(code, expected, "{arguments:?}: {said}{out}");
            let told = if command[0] == "inspect" { out } else { said };
            let raised = options.last().unwrap();
            assert!(told.contains(raised), "{arguments:?}: {told}");
        }
    }
    // As they are set, none is met.
    for image in ["three", "window", "names", "packed"] {
        let (code, _, said) = shelf.says(&["list", image]);
        assert_eq!((code, said.as_str()), (0, ""), "{image}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_news() {
    let entries: Vec<_> = (0..20_000)
        .map(|number| file(format!("{number}"), ""))
        .collect();
    let large = [file("lines", "line\n".repeat(200_000))];
    let shelf = Shelf::of(&[("many", &archive(&entries)), ("large", &archive(&large))]);
    for (arguments, first) in [
        ("list many", "0"),
        ("list -l many", "-rw-r--r--"),
        ("list --json many", "{\"segment\":0"),
        ("cat large lines", "line"),
        ("diff many large", "- 0"),
    ] {
        let script =
            format!("set -o pipefail; \"$0\" {arguments} | head -n 1; echo ${{PIPESTATUS[0]}}");
        let mut bash = std::process::Command::new(BASH.path());
        let program = XINITRD.path();
        bash.args(["-c", &script, program])
            .current_dir(shelf.path(""));
        let output = crate::support::fed(&mut bash, b"");
        assert_eq!(utf8(output.stderr), "", "{arguments}");
        let out = utf8(output.stdout);
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[0].starts_with(first), "{arguments}: {out}");
        assert_eq!(lines[1..], ["2"], "{arguments}");
    }
}

#[test]
fn rules_are_explained() {
    let shelf = Shelf::of(&[]);
    let all = shelf.prints(&["explain"]);
    let names: Vec<&str> = all
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let rules: Vec<&str> = rules::all().map(|rule| rule.name).collect();
    assert_eq!(names, rules);
    for rule in rules::all() {
        let about = shelf.prints(&["explain", rule.name]);
        for said in [rule.name, rule.meaning, rule.reason, rule.cure] {
            assert!(about.contains(said), "{about}");
        }
    }
    let said = "xinitrd: rule mising-parent
    found:    no rule of that name
    expected: one that `xinitrd explain` lists
    do:       did you mean missing-parent?
1 problem
";
    assert_eq!(
        shelf.says(&["explain", "mising-parent"]),
        (2, String::new(), said.to_owned())
    );
}

/// `cargo run -- explain --markdown > docs/rules.md` makes it anew.
#[test]
fn the_rules_are_documented_as_they_are() {
    let shelf = Shelf::of(&[]);
    let rules = shelf.prints(&["explain", "--markdown"]);
    assert!(
        rules == include_str!("../../docs/rules.md"),
        "docs/rules.md is old: cargo run -- explain --markdown > docs/rules.md"
    );
}

#[test]
fn a_rule_has_a_name_of_its_own_in_kebab_case() {
    let mut names = BTreeSet::new();
    for rule in rules::all() {
        let words: Vec<&str> = rule.name.split('-').collect();
        let is_word = |word: &&str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        assert!(words.iter().all(is_word), "{}", rule.name);
        assert!(names.insert(rule.name), "{} is there twice", rule.name);
    }
}

#[test]
fn every_rule_is_held_by_a_test() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut tests = String::new();
    for entry in walkdir::WalkDir::new(top) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            tests += &String::from_utf8_lossy(&fs::read(entry.path()).unwrap());
        }
    }
    let without: Vec<&str> = rules::all()
        .map(|rule| rule.name)
        .filter(|name| !is_named(&tests, name))
        .collect();
    assert_eq!(without, [""; 0], "rules that no test names");
}

/// Whether `text` has the name whole: `duplicate` is not named by `duplicate-of-other-type`.
fn is_named(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Every key in a document, but those of objects whose keys are names of other things.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    const NAMED: [&str; 3] = ["kernels", "elf", "more"];
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                if !NAMED.contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_every_document_is_documented() {
    let spoilt = [
        device("console", 5, 1),
        link("link", "console"),
        made(b"\xff", 0o100_644, ""),
        file("gone/file", ""),
    ];
    let shelf = Shelf::of(&[
        ("spoilt", &[sound(&spoilt), b"junk".to_vec()].concat()),
        ("a", &archive(&[file("a", "a")])),
        ("b", &archive(&[file("a", "b")])),
    ]);
    for (command, arguments, more) in [
        (
            "inspect",
            &["spoilt"][..],
            &["schema_version", "generator"][..],
        ),
        (
            "list",
            &["spoilt"],
            &[
                "refused",
                "problems",
                "place",
                "do",
                "schema_version",
                "generator",
            ],
        ),
        ("diff", &["a", "b"], &["schema_version", "generator"]),
    ] {
        let (code, out, _) = shelf.says(&[&[command, "--json"], arguments].concat());
        assert_eq!(code, 1, "{out}");
        let documents = match command {
            "diff" => vec![serde_json::from_str(&out).unwrap()],
            _ => documents(&out),
        };
        let mut found = BTreeSet::new();
        documents
            .iter()
            .for_each(|document| keys(document, &mut found));
        for key in more {
            assert!(found.remove(*key), "{key}");
        }
        if command == "list" {
            // Those of the refusal.
            assert!(found.remove("found") && found.remove("expected"));
        }
        assert_eq!(found, documented(command), "{command}");
    }
}

/// The fields in the section of docs/inspect.md about a command.
fn documented(command: &str) -> BTreeSet<String> {
    let sections = include_str!("../../docs/inspect.md").split("\n### ");
    let heading = format!("`{command}`\n");
    let section = sections
        .filter_map(|section| section.strip_prefix(&heading))
        .next();
    let section = section.unwrap().split("\n## ").next().unwrap();
    let field = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    section.lines().filter_map(field).collect()
}

#[test]
fn every_bound_is_documented_as_it_is_set() {
    let help = Shelf::of(&[]).prints(&["inspect", "--help"]);
    let options: Vec<&str> = help.split("      --max-").skip(1).collect();
    assert_eq!(options.len(), 6, "{help}");
    for option in options {
        let (name, rest) = option.split_once(' ').unwrap();
        let (_, default) = rest.split_once("[default: ").unwrap();
        let (default, _) = default.split_once(']').unwrap();
        let row = format!("| `--max-{name}` | {default} |");
        assert!(
            include_str!("../../docs/inspect.md").contains(&row),
            "{row}"
        );
    }
}

#[test]
fn rules_are_denied_and_allowed_in_lists_and_warnings_together() {
    let shelf = shelf();
    let warned = "doubtful: warnings, 0 errors, 1 warning";
    let denied = "doubtful: bad, 1 error, 0 warnings";
    let allowed = "doubtful: clean, 0 errors, 0 warnings, allowed: 1 world-writable";
    for (options, code, says) in [
        (&["--deny", "duplicate,world-writable"][..], 1, denied),
        (&["--deny", "duplicate,setuid-file"], 0, warned),
        (&["--deny", "duplicate,warnings"], 1, denied),
        (&["--allow", "duplicate,world-writable"], 0, allowed),
        (&["--allow", "warnings"], 0, allowed),
        (&["--allow", "warnings", "--deny", "warnings"], 0, allowed),
        (
            &["--allow", "warnings", "--deny", "world-writable"],
            1,
            denied,
        ),
    ] {
        let (found, out, _) = shelf.says(&[&["inspect", "doubtful"], options].concat());
        assert_eq!((found, verdict(&out)), (code, says), "{options:?}");
    }
    let (code, out, _) = shelf.says(&["inspect", "bad", "--allow", "warnings"]);
    let verdict = verdict(&out);
    assert_eq!(
        (code, verdict),
        (
            1,
            "bad: bad, 1 error, 0 warnings, allowed: 1 world-writable"
        )
    );
}

#[test]
fn a_root_with_one_kernel_needs_no_name_for_it() {
    let shelf = shelf();
    let kernel =
        |name: &str| fs::create_dir_all(shelf.path("root/lib/modules").join(name)).unwrap();
    kernel("2.6.9-67.0.1.ELxenU");
    let (code, out, said) = shelf.says(&["inspect", "sound", "--root", "root", "--json"]);
    assert_eq!((code, said.as_str()), (0, ""), "{out}");
    let document = &documents(&out)[0];
    assert_eq!(document["unpacking"]["kernel"], json!("2.6.9"));
    kernel("6.1.0-56-amd64");
    let (code, out, said) = shelf.says(&["inspect", "sound", "--root", "root"]);
    let there = "xinitrd: root/lib/modules
    found:    several kernels
    expected: one of 2.6.9-67.0.1.ELxenU, 6.1.0-56-amd64
    do:       say which with --kernel
1 problem
";
    assert_eq!((code, out.as_str(), said.as_str()), (2, "", there));
}

#[test]
fn a_report_is_printed_while_images_behind_it_are_still_to_come() {
    let shelf = shelf();
    let mut command = shelf.command(&["inspect", "bad", "-", "sound"]);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Nothing has been written to standard input when this is read.
    let of_bad = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.starts_with("bad: bad"));
    assert!(of_bad.is_some());
    drop(child.stdin.take());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let verdicts = rest.iter().filter_map(|line| line.split(": ").next());
    let order: Vec<&str> = verdicts
        .filter(|name| ["standard input", "sound"].contains(name))
        .collect();
    assert_eq!(order, ["standard input", "sound"], "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn causes_are_told_before_what_they_bring_about_and_errors_before_warnings() {
    let free = made("free", 0o100_666, "");
    let image = [sound(&[free, file("gone/file", "")]), b"junk".to_vec()].concat();
    let shelf = Shelf::of(&[("image", &image)]);
    let (_, out, _) = shelf.says(&["inspect", "image", "--json"]);
    let document = &documents(&out)[0];
    let findings = document["findings"].as_array().unwrap().iter();
    let rules: Vec<&str> = findings
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    assert_eq!(
        rules,
        ["trailing-bytes", "missing-parent", "world-writable"]
    );
}

#[test]
fn one_cause_is_told_once_and_only_under_a_cause_that_is_told() {
    let image = archive(&[directory("d"), file("d/a", vec![1; 4096])]);
    let (first, rest) = image.split_at(2000);
    let shelf = Shelf::of(&[
        ("behind", &[&image[..], b"junk"].concat()),
        ("cut", &GZIP.run(&["-nc"], &image)[..60]),
        (
            "parts",
            &[GZIP.run(&["-nc"], first), GZIP.run(&["-nc"], rest)].concat(),
        ),
    ]);
    let behind: &[&str] = &["--allow", "trailing-bytes"];
    let cut: &[&str] = &["--allow", "damaged-compression"];
    for (image, options, expected) in [
        ("behind", &[][..], &["trailing-bytes"][..]),
        ("behind", behind, &["kernel-stops-unpacking"]),
        ("cut", &[], &["damaged-compression"]),
        ("cut", cut, &["entry-cut"]),
        ("parts", &[], &["entry-cut"]),
    ] {
        let arguments = [
            &["inspect", "--json", "--allow", "warnings", image],
            options,
        ]
        .concat();
        let (code, out, _) = shelf.says(&arguments);
        let findings = documents(&out)[0]["findings"].as_array().unwrap().clone();
        let errors = findings
            .iter()
            .filter(|finding| finding["severity"] == "error");
        let errors: Vec<_> = errors.map(|finding| finding["rule"].clone()).collect();
        let is_of_archive = |rule: &Value| {
            ["no-init", "missing-parent", "no-xen-block-driver"]
                .iter()
                .all(|other| rule != other)
        };
        let errors: Vec<_> = errors.into_iter().filter(is_of_archive).collect();
        assert_eq!(
            (code, errors),
            (1, expected.iter().map(|&rule| json!(rule)).collect()),
            "{image} {options:?}"
        );
    }
}

#[test]
fn an_init_that_loads_for_devices_alone_is_told_so() {
    let shelf = Shelf::of(&[("image", &made_by_others("dracut-list-gzip"))]);
    let (_, out, _) = shelf.says(&["inspect", "image"]);
    assert!(
        out.contains("\nloads       what the devices take that it finds\n"),
        "{out}"
    );
}

#[test]
fn a_damaged_image_is_said_to_be_judged_in_part() {
    let image = sound(&[]);
    let shelf = Shelf::of(&[("whole", &image), ("cut", &image[..image.len() / 2])]);
    let (_, out, _) = shelf.says(&["inspect", "whole", "cut", "--json"]);
    let whole: Vec<Value> = documents(&out)
        .iter()
        .map(|one| one["whole"].clone())
        .collect();
    assert_eq!(whole, [json!(true), json!(false)]);
    let (_, out, _) = shelf.says(&["inspect", "cut"]);
    assert!(
        out.contains("\njudged      up to where it could be read;"),
        "{out}"
    );
}

#[test]
fn the_unpacker_is_that_of_the_modules_kernel_where_none_is_said() {
    let image = sound(&[]);
    let shelf = Shelf::of(&[("old", &image), ("none", &archive(&[]))]);
    let kernel = |arguments: &[&str]| {
        let (_, out, _) = shelf.says_of(&[&["inspect", "--json"], arguments].concat(), &image);
        documents(&out)[0]["unpacking"]["kernel"].clone()
    };
    assert_eq!(kernel(&["old"]), "2.6.9");
    assert_eq!(kernel(&["old", "--kernel-version", "6.1"]), "6.1");
    assert_eq!(kernel(&["-"]), "2.6.9");
    assert_eq!(kernel(&["none"]), "6.13");
    let module = fs::read(
        fetched("kernel-6.12-amd64")
            .join("usr/lib/modules")
            .join(kernel_of(&fetched("kernel-6.12-amd64")))
            .join("kernel/drivers/block/xen-blkfront.ko.xz"),
    );
    let new = archive(&[file("lib/xen-blkfront.ko.xz", module.unwrap())]);
    let (_, out, _) = shelf.says_of(&["inspect", "--json", "-"], &new);
    let found = documents(&out)[0]["unpacking"]["kernel"].clone();
    assert!(found.as_str().unwrap().starts_with("6.12."), "{found}");
}

/// The image through a pipe, in a shell that first does `prepare`, with further `arguments`.
fn piped(image: &[u8], prepare: &str, arguments: &[&str]) -> (i32, String, String) {
    let shelf = Shelf::of(&[("image", image)]);
    let script = format!("{prepare}; cat image | \"$0\" inspect - \"$@\"");
    let shell = [&["-c", &script, XINITRD.path()], arguments].concat();
    let mut command = Command::new(BASH.path());
    let output = command
        .args(shell)
        .current_dir(shelf.path(""))
        .output()
        .unwrap();
    let code = output.status.code().unwrap();
    (code, utf8(output.stdout), utf8(output.stderr))
}

#[test]
fn a_pipe_is_read_twice_only_where_its_kernel_is_an_old_one_and_not_named() {
    const NO_PLACE: &str = "TMPDIR=/nonexistent; export TMPDIR";
    const LITTLE_PLACE: &str = "ulimit -f 8";
    let old = sound(&[]);
    let new = archive(&[program("init", "#!/bin/sh\n")]);
    for prepare in [NO_PLACE, LITTLE_PLACE] {
        let (code, out, said) = piped(&old, prepare, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{said}");
        assert!(said.contains("it has to be read twice, and "), "{said}");
        let (code, out, said) = piped(&old, prepare, &["--kernel-version", "2.6.9"]);
        assert_eq!((code, said.as_str()), (0, ""), "{out}");
        let (code, out, said) = piped(&new, prepare, &[]);
        assert_eq!((code, said.as_str()), (1, ""), "{out}");
    }
    let (code, out, said) = piped(&old, "true", &[]);
    assert_eq!((code, said.as_str()), (0, ""), "{out}");
}

#[test]
fn what_comes_by_a_pipe_and_is_no_image_takes_no_room() {
    let script = "ulimit -f 32768; head -c 64M /dev/zero | tr '\\0' j | \"$0\" cat - path";
    let output = Command::new(BASH.path())
        .args(["-c", script, XINITRD.path()])
        .output()
        .unwrap();
    let said = utf8(output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("found:    a text, more than 16 MiB"),
        "{said}"
    );
}
