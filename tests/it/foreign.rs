//! Images that other builders made, and this project's own in every compression, read by the
//! command and by GNU cpio: the archives in an image are told apart and unpacked by
//! `testdata/images/segments.py`, which shares nothing with the program.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use walkdir::WalkDir;
use xinitrd::digest::Digest;

use crate::guest::{EL4_KERNEL, EL5_KERNEL, Guest, PYTHON, scratch};
use crate::support::{Tool, fed, testdata, text, utf8, xinitrd_prints};

const CPIO: Tool = Tool::of("cpio", "cpio");

const LARGE_BLOCKS: [&str; 3] = ["--quiet", "-C", "1048576"];

/// How many of an image's files are asked for one by one.
const SAMPLE: usize = 3;

/// What `testdata/images/make.sh` makes, by its name.
fn of_others() -> Vec<(String, PathBuf)> {
    let script = testdata("images/make.sh");
    let made = fed(Command::new(script).arg("all"), b"");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let made = utf8(made.stdout);
    let named = |line: &str| {
        let file = PathBuf::from(line);
        (file.file_stem().unwrap().to_str().unwrap().to_owned(), file)
    };
    let images: Vec<_> = made.lines().map(named).collect();
    assert!(images.len() > 10, "{made}");
    images
}

/// This project's, and what they lie in.
fn of_our_own() -> Vec<(String, Guest)> {
    let debian = ["gzip", "zstd", "xz", "lz4", "none"].map(|format| {
        (
            format.to_owned(),
            Guest::of_debian(),
            ["--compress", format],
        )
    });
    let old = [("el4", EL4_KERNEL), ("el5", EL5_KERNEL)].map(|(generation, kernel)| {
        let guest = Guest::of_2008(generation, kernel, &[]);
        (generation.to_owned(), guest, ["--compress", "gzip"])
    });
    let build = |(name, guest, [option, format]): (String, Guest, [&str; 2])| {
        let output = guest.output();
        xinitrd_prints(&guest.arguments(&["-q", option, format, "-o", text(&output)]));
        (format!("our {name}"), guest)
    };
    debian.into_iter().chain(old).map(build).collect()
}

/// Does `judge` with every image: its name, its file, and the archives in it.
fn with_each(judge: impl Fn(&str, &Path, &[PathBuf])) {
    let ours = of_our_own();
    let ours = ours
        .iter()
        .map(|(name, guest)| (name.clone(), guest.output()));
    for (name, image) in of_others().into_iter().chain(ours) {
        let directory = in_memory();
        let script = testdata("images/segments.py");
        PYTHON.run(&[&script, &image, directory.path()].map(text), b"");
        let count = directory.path().read_dir().unwrap().count();
        assert!(count > 0, "{name}");
        let archive = |number| directory.path().join(format!("{number}.cpio"));
        let archives: Vec<_> = (0..count).map(archive).collect();
        judge(&name, &image, &archives);
    }
}

/// A directory in memory where there is room for one: an image has a hundred megabytes.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| scratch())
}

/// What GNU cpio prints for each of the archives in turn.
fn cpio(arguments: &[&str], archives: &[PathBuf]) -> String {
    let print = |archive: &PathBuf| {
        let mut command = Command::new(CPIO.path());
        command.args(arguments).args(LARGE_BLOCKS).env("TZ", "UTC");
        let done = fed(command.arg("-F").arg(archive), b"");
        assert!(done.status.success(), "{}", utf8(done.stderr));
        utf8(done.stdout)
    };
    archives.iter().map(print).collect()
}

#[test]
fn every_archive_of_an_image_is_listed_as_cpio_lists_it() {
    with_each(|name, image, archives| {
        let listed = utf8(xinitrd_prints(&["list", text(image)]));
        assert_eq!(listed, cpio(&["-it"], archives), "{name}");
        let long = utf8(xinitrd_prints(&["list", "-l", text(image)]));
        let by_cpio = cpio(&["-itv", "--numeric-uid-gid"], archives);
        assert_eq!(long.lines().count(), by_cpio.lines().count(), "{name}");
        for (ours, theirs) in long.lines().zip(by_cpio.lines()) {
            assert_eq!(as_cpio_has_it(ours, theirs), one_spaced(theirs), "{name}");
        }
    });
}

/// A long line with its time in the form that `theirs` has: `Jan 1 1970`, or `Jan 1 00:00` within the
/// last half year.
fn as_cpio_has_it(ours: &str, theirs: &str) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let line = one_spaced(ours);
    let words: Vec<&str> = line.split(' ').collect();
    // A device has two numbers where others have their size.
    let at = words.iter().position(|word| is_date(word)).unwrap();
    let date: Vec<&str> = words[at].split('-').collect();
    let month = MONTHS[date[1].parse::<usize>().unwrap() - 1];
    let day = date[2].trim_start_matches('0');
    let has_hour = one_spaced(theirs)
        .split(' ')
        .nth(at + 2)
        .unwrap()
        .contains(':');
    let last = if has_hour { words[at + 1] } else { date[0] };
    [&words[..at], &[month, day, last], &words[at + 2..]]
        .concat()
        .join(" ")
}

fn is_date(word: &str) -> bool {
    word.len() == 10
        && word
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit())
}

fn one_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What lies below a directory, with its mode, the number of its links, and of a file its time and
/// content, of a link its target. GNU cpio gives links the time at which it makes them, and
/// directories that at which something is put into them.
fn seen(top: &Path) -> BTreeMap<PathBuf, String> {
    let entries = WalkDir::new(top).min_depth(1).into_iter();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let said = described(entry.path(), &entry.metadata().unwrap());
            (entry.path().strip_prefix(top).unwrap().to_owned(), said)
        })
        .collect()
}

fn described(path: &Path, metadata: &Metadata) -> String {
    let kind = metadata.file_type();
    let more = if kind.is_file() {
        let content = Digest::of(&fs::read(path).unwrap());
        format!("{} {} {content}", metadata.nlink(), metadata.mtime())
    } else if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if kind.is_dir() {
        String::new()
    } else {
        assert!(
            kind.is_char_device() || kind.is_block_device(),
            "{}",
            path.display()
        );
        format!("{:x}", metadata.rdev())
    };
    let (mode, owner) = (metadata.mode(), (metadata.uid(), metadata.gid()));
    format!("{mode:o} {owner:?} {more}")
}

#[test]
fn an_image_is_extracted_as_cpio_extracts_it_and_its_files_are_printed() {
    with_each(|name, image, archives| {
        let (ours, theirs) = (in_memory(), in_memory());
        let mut extract = vec!["extract", text(image), "-C", text(ours.path())];
        let mut copy_in = vec!["-idmu", "-D", text(theirs.path())];
        let nodes = nodes(archives);
        if is_root() {
            extract.extend(["--nodes", "--owners"]);
        } else {
            copy_in.extend(nodes.iter().flat_map(|node| ["-f", node.as_str()]));
        }
        xinitrd_prints(&extract);
        cpio(&copy_in, archives);
        let (ours, tree) = (seen(ours.path()), seen(theirs.path()));
        assert_eq!(ours.len(), tree.len(), "{name}");
        for (ours, theirs) in ours.iter().zip(&tree) {
            assert_eq!(ours, theirs, "{name}");
        }
        let files: Vec<_> = tree.iter().filter(|(_, said)| is_file(said)).collect();
        let step = files.len().div_ceil(SAMPLE);
        for (path, _) in files.into_iter().step_by(step) {
            let printed = xinitrd_prints(&["cat", text(image), text(path)]);
            let expected = fs::read(theirs.path().join(path)).unwrap();
            assert!(printed == expected, "{name}: {}", path.display());
        }
    });
}

fn is_file(said: &str) -> bool {
    said.starts_with("100")
}

/// The device nodes in archives, which only root can make.
fn nodes(archives: &[PathBuf]) -> Vec<String> {
    let listed = cpio(&["-itv"], archives);
    let nodes = listed.lines().filter(|line| line.starts_with(['c', 'b']));
    nodes
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}
