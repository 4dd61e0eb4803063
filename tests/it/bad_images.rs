//! Images made to hurt whoever reads them (`testdata/images/hostile.py`), through the command: each is
//! judged bad, soon, and in little memory, whatever it says of itself. Smaller ones than those of
//! docs/hostile.md, where size alone takes time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::guest::{PYTHON, scratch};
use crate::scene::words;
use crate::support::{Tool, XINITRD, testdata, text, utf8};

const TIME: Tool = Tool::of("time", "time");
/// How many times as much there is in the images of docs/hostile.md.
const PARTS: &str = "50";
/// The most memory that is taken, in KiB.
const PEAK: u64 = 64 << 10;
/// Far more than any of them takes on a machine that does much else, far less than for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Images, and the rule that each is judged bad by.
const IMAGES: &[(&str, &str)] = &[
    ("bomb-gzip", "limit-met"),
    ("bomb-bzip2", "limit-met"),
    ("bomb-lzma", "limit-met"),
    ("bomb-xz", "limit-met"),
    ("bomb-lzo", "script-interpreter-missing"),
    ("bomb-lz4", "limit-met"),
    ("bomb-zstd", "limit-met"),
    ("bomb-module", "limit-met"),
    ("name-of-4-gib", "entry-cut"),
    ("name-of-4-gib-that-comes", "entry-cut"),
    ("file-of-4-gib", "entry-cut"),
    ("link-of-4-gib-that-comes", "entry-cut"),
    ("zeros-without-end", "not-an-image"),
    ("junk-without-end", "not-an-image"),
    ("entries-a-million", "no-init"),
    ("archives-a-million-plain", "limit-met"),
    ("archives-a-million-in-gzip", "no-init"),
    ("members-a-million-gzip", "limit-met"),
    ("members-a-million-bzip2", "limit-met"),
    ("members-a-million-xz", "limit-met"),
    ("members-a-million-lz4", "no-trailer"),
    ("members-a-million-zstd", "limit-met"),
    ("empty-blocks-gzip", "damaged-compression"),
    ("skippable-frames-zstd", "trailing-bytes"),
    ("dictionary-of-4-gib-lzma", "limit-met"),
    ("dictionary-of-4-gib-xz", "limit-met"),
    ("window-of-2-gib-zstd", "limit-met"),
    ("links-in-a-circle", "no-init"),
    ("links-that-double", "no-init"),
    ("links-each-to-the-next", "no-init"),
    ("links-through-2000-directories", "no-init"),
    ("many-directories", "no-init"),
    ("many-files", "no-init"),
    ("many-modules", "elf-damaged"),
    ("many-scripts", "no-init"),
    ("many-hard-links", "no-init"),
    ("many-names-of-one-file", "no-init"),
    ("many-of-one-name", "no-init"),
    ("many-without-parents", "missing-parent"),
    ("many-that-climb", "path-leaves-root"),
    ("many-flaws", "checksum-mismatch"),
    ("many-names-too-long", "name-too-long"),
    ("many-names-of-4-kib", "limit-met"),
    ("directories-of-like-names", "no-init"),
    ("directories-100000-deep", "limit-met"),
    ("names-2000-deep", "limit-met"),
    ("loads-2000-deep", "missing-parent"),
    ("elf-of-46-mib", "no-init"),
    ("elf-of-65000-sections", "elf-damaged"),
    ("modinfo-of-16-mib-claimed", "elf-damaged"),
    ("modinfo-of-1-mib-each", "no-init"),
    ("modules-that-need-all", "script-interpreter-missing"),
    ("script-of-loops", "script-interpreter-missing"),
    ("script-of-patterns", "script-interpreter-missing"),
    ("script-of-names", "script-interpreter-missing"),
    ("script-of-nash", "missing-parent"),
];

/// Guests' roots that are made to hurt, and what is said of each: of what is refused that, else the rule that
/// the image is judged bad by.
const ROOTS: &[(&str, i32, &str)] = &[
    (
        "symvers-of-64-mib",
        2,
        "more than the 524288 exported symbols",
    ),
    (
        "symvers-of-30-mib",
        2,
        "more than the 524288 exported symbols",
    ),
    ("symvers-of-one-symbol", 2, "more than the 524288 exported"),
    ("symvers-of-long-names", 1, "error missing-parent"),
    (
        "symvers-of-many-modules",
        2,
        "more than the 65536 modules that export symbols",
    ),
    ("symvers-everywhere", 1, "error missing-parent"),
    ("system-map-of-64-mib", 2, "more than the 524288 exported"),
    ("configuration-of-64-mib", 2, "more than the 4194304 this"),
    ("configuration-of-3-mib", 1, "error missing-parent"),
    ("builtin-of-64-mib", 2, "more than the 4194304 this"),
    ("builtin-of-3-mib", 1, "error missing-parent"),
    ("builtin-modinfo-of-64-mib", 1, "error missing-parent"),
    ("builtin-modinfo-of-7-mib", 1, "error missing-parent"),
    (
        "builtin-aliases-that-nearly-match",
        1,
        "error missing-parent",
    ),
    ("builtin-alias-of-16-mib", 1, "error missing-parent"),
    ("builtin-of-2500-releases", 1, "error missing-parent"),
    ("module-of-512-mib", 1, "error missing-parent"),
    ("modules-that-unpack-to-47-gib", 1, "error missing-parent"),
    ("module-of-3000-users", 1, "error missing-parent"),
];
/// How many times as much there is in the roots of docs/hostile.md.
const ROOT_PARTS: &str = "4";

fn maker() -> PathBuf {
    testdata("images/hostile.py")
}

fn make(name: &str, directory: &Path) -> PathBuf {
    let image = directory.join(name);
    let made = Command::new(PYTHON.path())
        .args([text(&maker()), name, PARTS])
        .stdout(File::create(&image).unwrap())
        .status();
    assert!(made.unwrap().success(), "{name}");
    image
}

/// Runs the command on so many images; gives what it printed, and holds what it took against the bounds.
fn bounded(arguments: &[&str], images: u64) -> Output {
    let noted = scratch();
    let noted = noted.path().join("peak");
    let start = Instant::now();
    let output = Command::new(TIME.path())
        .args(["-f", "%M", "-o", text(&noted), XINITRD.path()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = start.elapsed();
    let noted = fs::read_to_string(noted).unwrap();
    // A line before it tells of an exit status that is not 0.
    let peak: u64 = noted.lines().last().unwrap().parse().unwrap();
    assert!(took < PATIENCE, "{arguments:?} took {took:?}");
    assert!(peak < images * PEAK, "{arguments:?} took {peak} KiB");
    output
}

#[test]
fn every_hostile_image_is_judged_bad_soon_and_in_little_memory() {
    let made = utf8(PYTHON.run(&[text(&maker()), "--names"], b""));
    let names: Vec<&str> = IMAGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, made.lines().collect::<Vec<_>>());
    for (name, rule) in IMAGES {
        let directory = scratch();
        let image = make(name, directory.path());
        // A quarter of it is how much may be packed as well as it can be.
        let size = match name.strip_prefix("bomb-") {
            Some(codec) if codec != "module" => "64M",
            _ => "4G",
        };
        let output = bounded(&["inspect", "--max-size", size, text(&image)], 1);
        let said = utf8(output.stdout);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(said.contains(&format!("error {rule}")), "{name}: {said}");
        assert!(
            said.len() < 1 << 20,
            "{name}: {} bytes of words",
            said.len()
        );
    }
}

#[test]
fn every_hostile_image_is_listed_extracted_and_compared_soon_and_in_little_memory() {
    for (name, _) in IMAGES {
        let directory = scratch();
        let image = make(name, directory.path());
        let image = text(&image);
        let out = text(directory.path());
        for arguments in [
            &["list", "--json", image][..],
            &["extract", image, "-C", out, "init"],
            &["diff", image, image],
        ] {
            let images = arguments.iter().filter(|word| **word == image).count() as u64;
            let output = bounded(arguments, images);
            let code = output.status.code();
            // Of two that cannot be read to their end nothing can be compared.
            let refused = i32::from(arguments.first() == Some(&"diff")) + 1;
            assert!(
                code == Some(0) || code == Some(refused),
                "{arguments:?}: {}",
                words(&output)
            );
        }
    }
}

#[test]
fn every_hostile_root_is_read_soon_and_in_little_memory() {
    let maker = testdata("images/hostile_roots.py");
    let made = utf8(PYTHON.run(&[text(&maker), "--names"], b""));
    let names: Vec<&str> = ROOTS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, made.lines().collect::<Vec<_>>());
    for (name, code, said) in ROOTS {
        let directory = scratch();
        let place = text(directory.path());
        PYTHON.run(&[text(&maker), name, place, ROOT_PARTS], b"");
        let [image, root] = ["image", "root"].map(|part| format!("{place}/{part}"));
        let output = bounded(&["inspect", &image, "--root", &root], 1);
        assert_eq!(
            output.status.code(),
            Some(*code),
            "{name}: {}",
            words(&output)
        );
        let all = [utf8(output.stdout.clone()), words(&output)].concat();
        assert!(all.contains(said), "{name}: {all}");
    }
}
