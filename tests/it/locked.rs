//! Lock files: a build that is as it was locked is let through, on whatever host and wherever its layers lie; every
//! difference is told by its name, all at once, and nothing is written then.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::layers::recipe;
use crate::scene::{KERNEL, Scene, XENBLK, run, words};
use crate::support::{Tool, XINITRD, text, utf8};

const SHA256SUM: Tool = Tool::of("sha256sum", "coreutils");

const LOCK: &[&str] = &["--preload", "xenblk", "--lock", "out/lock"];
const LOCKED: &[&str] = &["--preload", "xenblk", "--locked", "out/lock", "-f"];

/// A scene with an image, and the lock file of it.
fn locked_scene(recipe: &str) -> Scene {
    let scene = Scene::new(recipe);
    let done = run(&mut scene.build(LOCK));
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(scene.left(), ["initrd.img", "lock"]);
    scene
}

/// Builds again what is locked: with the same command line, and more.
fn again(scene: &Scene, more: &[&str]) -> Output {
    run(&mut scene.build(&[LOCKED, more].concat()))
}

fn lock_of(scene: &Scene) -> Value {
    serde_json::from_slice(&fs::read(scene.path("out/lock")).unwrap()).unwrap()
}

/// What a refusal tells: every place with what was found, and what was expected there.
fn told(output: &Output) -> Vec<[String; 3]> {
    let said = words(output);
    let said = said
        .strip_prefix("xinitrd: ")
        .unwrap_or_else(|| panic!("{said}"));
    let lines: Vec<&str> = said.lines().collect();
    let problems = lines.chunks_exact(4);
    let told = problems.map(|problem| {
        let part =
            |line: usize, name: &str| problem[line].trim().strip_prefix(name).unwrap().trim();
        [problem[0], part(1, "found:"), part(2, "expected:")].map(str::to_owned)
    });
    told.collect()
}

#[test]
fn what_is_as_it_was_locked_is_built_wherever_its_layers_lie() {
    let scene = locked_scene("");
    let image = fs::read(scene.path("out/initrd.img")).unwrap();
    assert_eq!(again(&scene, &[]).status.code(), Some(0));
    let lock = lock_of(&scene);
    let digest = utf8(SHA256SUM.run(&[text(&scene.path("out/initrd.img"))], b""));
    assert_eq!(lock["image"]["sha256"], digest.split(' ').next().unwrap());
    assert_eq!(lock["image"]["size"], image.len());
    let said = fs::read_to_string(scene.path("out/lock")).unwrap();
    assert!(!said.contains("root/"), "no path of the host: {said}");

    fs::create_dir(scene.path("elsewhere")).unwrap();
    fs::rename(scene.path("root"), scene.path("elsewhere/r")).unwrap();
    fs::copy(scene.path("out/lock"), scene.path("a.lock")).unwrap();
    let mut moved = Command::new(XINITRD);
    moved.current_dir(scene.path("elsewhere"));
    moved.args([
        "build",
        "-q",
        "--root",
        "r/",
        "--bins",
        "./r/bins",
        "--preload",
        "xenblk",
    ]);
    moved.args(["--omit-scsi-modules", "-o", "i", "--locked", "../a.lock"]);
    let done = run(&mut moved);
    assert!(done.status.success(), "{}", words(&done));
    assert!(fs::read(scene.path("elsewhere/i")).unwrap() == image);
    // The same again is the same lock, byte for byte, and what is the default may be said.
    let more = [
        "--root",
        "elsewhere/r",
        "--bins",
        "elsewhere/r/bins",
        "--manifest",
        "el4",
    ];
    let more = [
        &more[..],
        &["--level", "6", "--rootfs", "ext3", "--threads", "1", "-f"],
    ]
    .concat();
    let done = run(&mut scene.build(&[LOCK, &more].concat()));
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(fs::read_to_string(scene.path("out/lock")).unwrap(), said);
}

/// A change, more arguments, and what is told: the place, and how what was found and expected begin.
type Difference<'a> = (fn(&Scene), &'a [&'a str], &'a [[&'a str; 3]]);

fn write(scene: &Scene, path: &str, text: &str) {
    fs::write(scene.path(path), text).unwrap();
}

fn append(scene: &Scene, path: &str) {
    let bytes = fs::read(scene.path(path)).unwrap();
    fs::write(scene.path(path), [&bytes[..], b"\n"].concat()).unwrap();
}

/// Puts other words into the lock file.
fn edit(scene: &Scene, from: &str, to: &str) {
    let lock = fs::read_to_string(scene.path("out/lock")).unwrap();
    assert!(lock.contains(from), "{from}");
    write(scene, "out/lock", &lock.replace(from, to));
}

fn nothing(_: &Scene) {}

const CONF: &str = "root/etc/modprobe.conf";
const DIFFERENCES: &[Difference<'_>] = &[
    (
        |scene| append(scene, XENBLK),
        &[],
        &[[XENBLK, "sha256 ", "sha256 "]],
    ),
    (
        |scene| append(scene, "root/bins/nash"),
        &[],
        &[["root/bins/nash", "sha256 ", "sha256 "]],
    ),
    (
        |scene| fs::remove_file(scene.path(CONF)).unwrap(),
        &[],
        &[[CONF, "not read", "sha256 "]],
    ),
    (
        |scene| {
            fs::create_dir(scene.path("root/etc/modprobe.d")).unwrap();
            write(scene, "root/etc/modprobe.d/new.conf", "");
        },
        &[],
        &[["root/etc/modprobe.d/new.conf", "sha256 ", "not read"]],
    ),
    (
        nothing,
        &["--with", "jbd", "--level", "9", "--omit-lvm-modules"],
        &[
            ["--level", "9", "6"],
            ["--omit-lvm-modules", "given", "not given"],
            ["--with", "jbd", "not given"],
        ],
    ),
    (
        nothing,
        &["--compress", "none"],
        &[["--compress", "none", "gzip"], ["--level", "0", "6"]],
    ),
    (
        nothing,
        &["--root-device", "/dev/xvda"],
        &[["--root-device", "/dev/xvda", "not given"]],
    ),
    (
        |scene| {
            let el4 = include_str!("../../manifests/el4.toml");
            write(scene, "el4.toml", &format!("{el4}# mine\n"));
        },
        &["--manifest", "./el4.toml"],
        &[["--manifest", "el4, sha256 ", "el4, sha256 "]],
    ),
    (
        |scene| fs::create_dir(scene.path("over")).unwrap(),
        &["--bins", "root/bins", "--bins", "over"],
        &[[
            "the roots, packages and directories",
            "--root --bins --bins",
            "--root --bins",
        ]],
    ),
    (
        |scene| write(scene, "conf", ""),
        &["--modprobe-conf", "conf"],
        &[[
            "the roots, packages and directories",
            "--root --modprobe-conf --bins",
            "--root --bins",
        ]],
    ),
    (
        |scene| edit(scene, "\"xinitrd 0", "\"xinitrd 9"),
        &[],
        &[["xinitrd", "xinitrd 0", "xinitrd 9"]],
    ),
    (
        |scene| edit(scene, "\"arch\": \"x86_64\"", "\"arch\": \"i386\""),
        &[],
        &[["the architecture", "x86_64", "i386"]],
    ),
    (
        |scene| edit(scene, "\"size\": ", "\"size\": 1"),
        &[],
        &[["the image", "sha256 ", "sha256 "]],
    ),
    // What else stands in the way is told along with it.
    (
        |scene| {
            fs::remove_file(scene.path(XENBLK)).unwrap();
            append(scene, "root/bins/nash");
        },
        &[],
        &[
            [XENBLK, "no such file", "a readable file"],
            ["root/bins/nash", "sha256 ", "sha256 "],
        ],
    ),
];

#[test]
fn every_difference_is_told_by_its_name_and_nothing_is_written() {
    for (number, (change, args, wanted)) in DIFFERENCES.iter().enumerate() {
        let scene = locked_scene("");
        fs::remove_file(scene.path("out/initrd.img")).unwrap();
        change(&scene);
        let refused = again(&scene, args);
        assert_eq!(
            refused.status.code(),
            Some(1),
            "{number}: {}",
            words(&refused)
        );
        let told = told(&refused);
        assert_eq!(told.len(), wanted.len(), "{number}: {}", words(&refused));
        for (told, wanted) in told.iter().zip(*wanted) {
            let is_told = told
                .iter()
                .zip(wanted)
                .all(|(told, wanted)| told.starts_with(wanted));
            assert!(is_told, "{number}: {told:?} is not {wanted:?}");
        }
        assert!(words(&refused).ends_with("; nothing was written\n"));
        assert_eq!(scene.left(), ["lock"], "{number}");
        let looked = again(&scene, &[args, &["--dry-run"][..]].concat());
        let is_of_image = wanted[0][0] == "the image";
        let code = if is_of_image { 0 } else { 1 };
        assert_eq!(
            looked.status.code(),
            Some(code),
            "{number}: {}",
            words(&looked)
        );
    }
}

#[test]
fn the_time_that_entries_have_is_locked() {
    let scene = Scene::new("");
    let at = |time: &str, args: &[&str]| run(scene.build(args).env("SOURCE_DATE_EPOCH", time));
    assert!(at("1700000000", LOCK).status.success());
    assert_eq!(
        lock_of(&scene)["options"]["SOURCE_DATE_EPOCH"],
        1_700_000_000
    );
    assert!(at("1700000000", LOCKED).status.success());
    let refused = at("1700000001", LOCKED);
    let want = [
        "SOURCE_DATE_EPOCH",
        "1700000001",
        "1700000000, as out/lock has it",
    ];
    assert_eq!(told(&refused), [want.map(str::to_owned)]);
}

#[test]
fn a_package_is_known_by_what_it_says_and_by_its_digest() {
    let scene = Scene::new(&recipe(
        "deb('kernel', 'root'); os.rename('kernel.deb', 'a.deb'); os.mkdir('other'); \
         put('root/added', b''); deb('kernel', 'root')",
    ));
    let build = |package: &str, more: &[&str]| {
        let mut build = Command::new(XINITRD);
        let args = [
            "build",
            "-q",
            "--package",
            package,
            "--bins",
            "root/bins",
            "-f",
        ];
        build
            .args(args)
            .args(["--omit-scsi-modules", "-o", "out/i"]);
        run(build.args(more).current_dir(&scene.0))
    };
    let made = build("a.deb", &["--lock", "out/lock", "--depfile", "out/d"]);
    assert!(made.status.success(), "{}", words(&made));
    let package = &lock_of(&scene)["layers"][0];
    assert_eq!(package["package"]["name"], "kernel");
    assert_eq!(package["files"], Value::Null);
    let depfile = fs::read_to_string(scene.path("out/d")).unwrap();
    assert!(
        depfile.starts_with("out/i: \\\n  a.deb \\\n  root/bins/"),
        "{depfile}"
    );

    fs::rename(scene.path("a.deb"), scene.path("other/b.deb")).unwrap();
    let moved = build("other/b.deb", &["--locked", "out/lock"]);
    assert!(moved.status.success(), "{}", words(&moved));
    let refused = build("kernel.deb", &["--locked", "out/lock"]);
    assert_eq!(refused.status.code(), Some(1));
    let [[place, found, expected]] = &told(&refused)[..] else {
        panic!("{}", words(&refused));
    };
    assert_eq!(place, "kernel.deb");
    for facts in [found, expected] {
        assert!(
            facts.starts_with("deb kernel 1.2-3 (amd64), sha256 "),
            "{facts}"
        );
    }
}

#[test]
fn what_is_no_lock_file_is_told_what_is_wrong_with_it() {
    let scene = locked_scene("");
    let lock = fs::read_to_string(scene.path("out/lock")).unwrap();
    let cut = &lock[..lock.len() / 2];
    let twice = format!("{lock}{lock}");
    let form = lock.replace("\"schema_version\": 1", "\"schema_version\": 2");
    let field = lock.replace("\"kernel\"", "\"colonel\"");
    let digest = lock.replace("\"sha256\": \"", "\"sha256\": \"x");
    let size = lock.replace(" 968\"", " 0968\"");
    let imageless = lock.replace("\"image\": {", "\"image\": null, \"x\": {");
    let image = &lock[lock.find("\"image\"").unwrap()..];
    let none = lock.replace(image, "\"image\": null}");
    let large = " ".repeat(3 << 20);
    for (bad, says) in [
        (cut, "EOF while parsing"),
        ("", "EOF while parsing"),
        ("[[[[", "invalid type"),
        (&twice, "trailing characters"),
        (&form, "a lock file of form 2"),
        (&field, "unknown field `colonel`"),
        (&digest, "64 lower-case hexadecimal digits"),
        (&size, "a SHA-256 and a size are expected"),
        (&imageless, "unknown field `x`"),
        (&none, "no image in it"),
        (&large, "more than the 2097152 bytes"),
    ] {
        write(&scene, "out/lock", bad);
        let refused = again(&scene, &[]);
        assert_eq!(
            refused.status.code(),
            Some(1),
            "{says}: {}",
            words(&refused)
        );
        let said = words(&refused);
        assert!(said.starts_with("xinitrd: out/lock\n"), "{said}");
        assert!(said.contains(says), "no `{says}` in {said}");
    }
    fs::remove_file(scene.path("out/lock")).unwrap();
    assert_eq!(again(&scene, &[]).status.code(), Some(2));
    let both = again(&scene, &["--lock", "out/other"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_lock_file_that_says_too_much_is_told_of_in_brief() {
    let scene = locked_scene("");
    let lock = lock_of(&scene);
    let long = "long".repeat(100_000);
    let with = |part: &str, value: Value| {
        let mut lock = lock.clone();
        *lock.pointer_mut(part).unwrap() = value;
        lock.to_string()
    };
    let files: serde_json::Map<String, Value> = (0..5000)
        .map(|number| (number.to_string(), "- 1".into()))
        .collect();
    let layers = vec![json!({"role": "root"}); 50_000];
    for (spoilt, says) in [
        (with("/generator", long.clone().into()), "longlong"),
        (with("/options/with", vec![""; 400_000].into()), "--with"),
        (with("/options", json!({&long: true})), "--longlong"),
        (with("/layers", layers.into()), "--root --root"),
        (
            with("/layers/0/files", json!({&long: "- 1"})),
            "root/longlong",
        ),
        (
            with("/layers/0/files", files.into()),
            "more, which are not told one by one",
        ),
    ] {
        write(&scene, "out/lock", &spoilt);
        let refused = again(&scene, &[]);
        assert_eq!(refused.status.code(), Some(1));
        let said = words(&refused);
        assert!(said.contains(says), "no {says} in {said}");
        assert!(said.len() < 40_000, "{} bytes", said.len());
    }
}

#[test]
fn all_files_that_cannot_be_written_are_told_at_once_and_none_stands() {
    let scene = Scene::new("");
    write(&scene, "there", "kept");
    symlink("there", scene.path("link")).unwrap();
    let args = [
        "-o",
        "gone/i",
        "--lock",
        "out",
        "--sbom",
        "there",
        "--depfile",
        "gone/d",
    ];
    let refused = run(&mut scene.build(&args));
    assert_eq!(refused.status.code(), Some(2));
    let places: Vec<String> = told(&refused)
        .into_iter()
        .map(|[place, ..]| place)
        .collect();
    assert_eq!(places, ["gone/i", "gone/d", "out", "there"]);
    assert!(words(&refused).contains("say -f to replace it, or name another file with --sbom"));

    for args in [
        ["--lock", "out/initrd.img", "--sbom", "out/s"],
        ["--lock", "out/l", "--sbom", "out/../out/l"],
        ["--depfile", "./out/initrd.img", "--lock", "out/l"],
        ["--locked", "there", "--sbom", "./there"],
        ["--locked", "there", "-o", "there"],
    ] {
        let refused = run(&mut scene.build(&[&args[..], &["-f"]].concat()));
        // What is read for a lock is judged too, and is none.
        let code = if args.contains(&"--locked") { 1 } else { 2 };
        assert_eq!(refused.status.code(), Some(code), "{args:?}");
        assert!(
            words(&refused).contains("expected: a file of its own"),
            "{}",
            words(&refused)
        );
    }
    let stream = run(&mut scene.build(&["--lock", "-"]));
    let want = [
        "-",
        "standard output",
        "a regular file, or a name that nothing has yet",
    ];
    assert_eq!(told(&stream), [want.map(str::to_owned)]);
    assert_eq!(scene.left(), [""; 0]);
    assert_eq!(fs::read(scene.path("there")).unwrap(), b"kept");
    let done = run(&mut scene.build(&["--lock", "link", "-f", "--dry-run"]));
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(fs::read(scene.path("there")).unwrap(), b"kept", "a dry run");
    // An image that is judged bad, or another than is locked, leaves its records unwritten too.
    fs::remove_file(scene.path(XENBLK)).unwrap();
    let refused = run(&mut scene.build(&["--lock", "out/l", "--sbom", "out/s"]));
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn an_image_on_standard_output_has_its_records_beside() {
    let scene = Scene::new("");
    let done = run(&mut scene.build(&["-q", "-o", "-", "--lock", "out/lock", "--sbom", "out/s"]));
    assert!(done.status.success(), "{}", words(&done));
    let digest = utf8(SHA256SUM.run(&[], &done.stdout));
    let lock = lock_of(&scene);
    assert_eq!(lock["image"]["sha256"], digest.split(' ').next().unwrap());
    assert_eq!(lock["kernel"], KERNEL);
    assert_eq!(scene.left(), ["lock", "s"]);
    let args = ["-q", "-o", "-", "--preload", "jbd", "--locked", "out/lock"];
    let refused = run(&mut scene.build(&args));
    assert_eq!(
        (refused.status.code(), refused.stdout),
        (Some(1), Vec::new())
    );
}

#[test]
fn no_input_is_written_over_even_by_force() {
    let scene = Scene::new(&recipe(
        "deb('all', 'root'); put('own.conf', b''); put('own.toml', open('root/etc/udev/udev.conf', 'rb').read())",
    ));
    let package = fs::read(scene.path("all.deb")).unwrap();
    for (args, option) in [
        (
            &["--package", "all.deb", "-o", "./all.deb"][..],
            "--package",
        ),
        (
            &["--package", "all.deb", "--lock", "out/../all.deb"],
            "--package",
        ),
        (
            &["--modprobe-conf", "own.conf", "--sbom", "own.conf"],
            "--modprobe-conf",
        ),
        (
            &["--manifest", "own.toml", "--depfile", "./own.toml"],
            "--manifest",
        ),
    ] {
        let output = if args.contains(&"-o") {
            &[][..]
        } else {
            &["-o", "out/initrd.img"]
        };
        let mut build = Command::new(XINITRD);
        build.args(["build", "-q", "-f", "--root", "root", "--bins", "root/bins"]);
        let done = run(build.args(args).args(output).current_dir(&scene.0));
        let said = words(&done);
        assert!(
            said.contains(&format!("found:    the file that {option} names")),
            "{args:?}: {said}"
        );
        assert!(!done.status.success());
    }
    assert!(fs::read(scene.path("all.deb")).unwrap() == package);
    assert_eq!(fs::read(scene.path("own.conf")).unwrap(), b"");
}
