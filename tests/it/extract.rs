//! Entries put onto disk below one directory: nothing leaves it, nothing that was there is lost, and
//! an ordinary tree comes out as GNU cpio and bsdtar have it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xinitrd::digest::Digest;
use xinitrd::host::destination::{
    Destination, Finished, LinkKey, Meta, PlaceError, Special, Wishes,
};
use xinitrd::host::directory::DirectoryFiles;
use xinitrd::image_path::{BadPath, ImagePath};
use xinitrd::problem::Explain;
use xinitrd::root::{LookupError, Root};

use crate::support::{Tool, text, without_rights};

const CPIO: Tool = Tool::of("cpio", "cpio");
const BSDTAR: Tool = Tool::of("bsdtar", "libarchive-tools");
const FIND: Tool = Tool::of("find", "findutils");

/// An entry of an archive.
#[derive(Debug, Clone, Copy)]
enum Entry<'a> {
    Dir(&'a [u8], u32),
    File(&'a [u8], u32, &'a [u8]),
    Link(&'a [u8], &'a [u8]),
    Hard(&'a [u8], &'a [u8]),
    Node(&'a [u8], Special),
    /// One of the names of an inode, all of them of mode 0750.
    Name(&'a [u8], u32, &'a [u8]),
}
use Entry::{Dir, File, Hard, Link, Name, Node};

const UNASKED: Wishes = Wishes {
    force: false,
    owners: false,
    nodes: false,
    links: false,
};
const FORCE: Wishes = Wishes {
    force: true,
    ..UNASKED
};
const NODES: Wishes = Wishes {
    nodes: true,
    ..UNASKED
};
const OWNERS: Wishes = Wishes {
    owners: true,
    ..UNASKED
};
const LONG: &[u8] = &[b'n'; 255];

fn path(bytes: &[u8]) -> ImagePath {
    ImagePath::new(bytes).unwrap()
}

fn meta(mode: u32) -> Meta {
    let me = fs::metadata("/proc/self").unwrap();
    Meta {
        mode,
        uid: me.uid(),
        gid: me.gid(),
        mtime: 1_234_567_890,
    }
}

fn am_root() -> bool {
    meta(0).uid == 0
}

fn put(destination: &mut Destination, entry: Entry<'_>) -> Result<(), PlaceError> {
    match entry {
        Dir(name, mode) => destination.directory(&path(name), meta(mode)),
        File(name, mode, content) => {
            let mut file = destination.file(&path(name), meta(mode))?;
            let (first, rest) = content.split_at(content.len() / 2);
            file.append(first)?;
            file.write_all(rest).unwrap();
            file.finish()
        }
        Link(name, target) => destination.symlink(&path(name), target, meta(0o777)),
        Hard(name, existing) => destination.hard_link(&path(name), &path(existing)),
        Node(name, special) => destination.node(&path(name), special, meta(0o640)),
        Name(name, ino, content) => {
            let (major, minor) = (8, 1);
            let key = LinkKey { major, minor, ino };
            let has_content = !content.is_empty();
            match destination.linked_file(&path(name), key, meta(0o750), has_content)? {
                None => Ok(()),
                Some(mut file) => {
                    file.append(content)?;
                    file.finish()
                }
            }
        }
    }
}

/// Puts `entries` below `top`; what was in their way, in words.
fn extract(top: &Path, wishes: Wishes, entries: &[Entry<'_>]) -> (Vec<String>, Finished) {
    let mut destination = Destination::open(top, wishes).unwrap();
    let put = entries.iter().map(|entry| put(&mut destination, *entry));
    let refused = put.filter_map(|put| Some(put.err()?.to_string())).collect();
    (refused, destination.finish())
}

/// What lies below a directory, sorted: files with their content, links with their target; of
/// directories those that are empty.
fn tree(top: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in walkdir::WalkDir::new(top).min_depth(1) {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = path.strip_prefix(top).unwrap().display();
        let kind = entry.file_type();
        if kind.is_symlink() {
            lines.push(format!(
                "{name} -> {}",
                fs::read_link(path).unwrap().display()
            ));
        } else if kind.is_file() {
            lines.push(format!("{name}: {}", fs::read_to_string(path).unwrap()));
        } else if !kind.is_dir() {
            lines.push(format!("{name} special"));
        } else if path.read_dir().unwrap().next().is_none() {
            lines.push(format!("{name}/"));
        }
    }
    lines.sort();
    lines
}

/// A directory to extract into, between things that must stay as they are.
struct Yard {
    directory: TempDir,
    before: Vec<String>,
}

/// A directory, in memory where there is room for one: a busy disk takes long for so many names.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

impl Yard {
    fn new() -> Yard {
        let directory = directory();
        let outside = directory.path().join("outside");
        fs::create_dir_all(outside.join("empty")).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        symlink("secret", outside.join("link")).unwrap();
        fs::create_dir(directory.path().join("in")).unwrap();
        let mut yard = Yard {
            directory,
            before: Vec::new(),
        };
        yard.before = yard.outside();
        yard
    }

    fn top(&self) -> PathBuf {
        self.directory.path().join("in")
    }

    /// The text with the place outside filled in.
    fn filled(&self, line: &str) -> String {
        let outside = self.directory.path().join("outside");
        line.replace("OUTSIDE", text(&outside))
    }

    /// Everything there is to see of what is not below the top.
    fn outside(&self) -> Vec<String> {
        let entries = walkdir::WalkDir::new(self.directory.path()).into_iter();
        let outside = entries.filter_entry(|entry| entry.path() != self.top());
        let mut lines: Vec<String> = outside
            .map(|entry| {
                let entry = entry.unwrap();
                let it = entry.path().symlink_metadata().unwrap();
                let (mode, links, size) = (it.mode(), it.nlink(), it.size());
                let times = (it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec());
                let content = it.is_file().then(|| fs::read(entry.path()).unwrap());
                let name = entry.path().display();
                format!(
                    "{name} {} {mode:o} {links} {size} {times:?} {content:?}",
                    it.ino()
                )
            })
            .collect();
        lines.sort();
        lines
    }

    fn assert_untouched(&self, what: &dyn std::fmt::Debug) {
        assert_eq!(self.outside(), self.before, "outside, after {what:?}");
    }
}

/// An attack, or a mishap: what lies there, what is asked for, what comes.
struct Row {
    /// Paths with their content; ` -> ` stands before a link's target, a directory ends in a slash.
    there: &'static [&'static str],
    wishes: Wishes,
    entries: &'static [Entry<'static>],
    /// What lies there then.
    tree: &'static [&'static str],
    /// What was refused.
    refused: &'static [&'static str],
}

impl Row {
    fn prepare(&self, yard: &Yard) {
        for line in self.there {
            let line = yard.filled(line);
            let top = yard.top();
            if let Some((link, target)) = line.split_once(" -> ") {
                symlink(target, top.join(link)).unwrap();
            } else if let Some((file, content)) = line.split_once(": ") {
                fs::write(top.join(file), content).unwrap();
            } else {
                fs::create_dir_all(top.join(line)).unwrap();
            }
        }
    }

    /// The entries with the place outside filled in, where it stands in a link's target.
    fn run(&self) {
        let yard = Yard::new();
        self.prepare(&yard);
        let outside = yard.filled("OUTSIDE");
        let entries: Vec<Entry<'_>> = self
            .entries
            .iter()
            .map(|entry| match *entry {
                Link(name, b"OUTSIDE") => Link(name, outside.as_bytes()),
                entry => entry,
            })
            .collect();
        let (refused, finished) = extract(&yard.top(), self.wishes, &entries);
        let what = (self.there, self.entries);
        assert_eq!(refused, self.refused, "refused of {what:?}");
        assert!(finished.problems.is_empty(), "{finished:?}");
        let want = self.tree.iter().map(|line| yard.filled(line));
        let mut want: Vec<String> = want
            .map(|line| line.trim_start_matches('/').to_owned())
            .collect();
        want.sort();
        assert_eq!(tree(&yard.top()), want, "the tree of {what:?}");
        yard.assert_untouched(&what);
    }
}

#[test]
fn links_of_the_archive_lead_nowhere_but_inside() {
    let row = |entries, tree, refused| Row {
        there: &[],
        wishes: UNASKED,
        entries,
        tree,
        refused,
    };
    let rows = [
        row(
            &[Link(b"a", b"OUTSIDE"), File(b"a/x", 0o644, b"1")],
            &["OUTSIDE/x: 1", "a -> OUTSIDE"],
            &[],
        ),
        row(
            &[
                Link(b"a", b"OUTSIDE"),
                Dir(b"a/empty", 0o777),
                Link(b"a/link", b"new"),
            ],
            &["OUTSIDE/empty/", "OUTSIDE/link -> new", "a -> OUTSIDE"],
            &[],
        ),
        row(
            &[Link(b"a", b"OUTSIDE"), File(b"a", 0o644, b"1")],
            &["a: 1"],
            &[],
        ),
        row(
            &[
                Link(b"a", b"OUTSIDE"),
                Dir(b"a", 0o700),
                File(b"a/x", 0o644, b"1"),
            ],
            &["a/x: 1"],
            &[],
        ),
        row(
            &[Link(b"a", b".."), File(b"a/x", 0o644, b"1")],
            &["a -> ..", "x: 1"],
            &[],
        ),
        row(
            &[
                Link(b"a", b".."),
                Link(b"b", b"a/.."),
                File(b"b/outside/secret", 0o644, b"1"),
            ],
            &["a -> ..", "b -> a/..", "outside/secret: 1"],
            &[],
        ),
        row(
            &[
                Link(b"lib", b"usr/lib"),
                File(b"lib/x", 0o644, b"1"),
                Dir(b"usr/lib", 0o755),
            ],
            &["lib -> usr/lib", "usr/lib/x: 1"],
            &[],
        ),
        row(
            &[
                Link(b"a", b"b"),
                Link(b"b", b"a"),
                File(b"a/x", 0o644, b"1"),
            ],
            &["a -> b", "b -> a"],
            &["/a/x: it leads through too many symbolic links"],
        ),
        row(
            &[
                Link(b"a", b"f"),
                File(b"f", 0o644, b"1"),
                File(b"a/x", 0o644, b"2"),
            ],
            &["a -> f", "f: 1"],
            &["/a/x: /f is no directory in the archive"],
        ),
        row(
            &[Link(b"a", b""), File(b"a/x", 0o644, b"1")],
            &["a/x: 1"],
            &["/a: make it: No such file or directory (os error 2)"],
        ),
    ];
    rows.iter().for_each(Row::run);
}

#[test]
fn hard_links_lead_to_what_the_archive_made_and_to_nothing_else() {
    let row = |there, entries, tree, refused| Row {
        there,
        wishes: FORCE,
        entries,
        tree,
        refused,
    };
    let rows = [
        row(
            &[],
            &[
                File(b"f", 0o644, b"1"),
                Hard(b"d/g", b"f"),
                Hard(b"f", b"f"),
            ],
            &["d/g: 1", "f: 1"],
            &[],
        ),
        row(
            &["f: old"],
            &[Hard(b"g", b"f"), Hard(b"h", b"etc/passwd")],
            &["f: old"],
            &[
                "/g: it is a hard link to /f, which was not extracted",
                "/h: it is a hard link to /etc/passwd, which was not extracted",
            ],
        ),
        row(
            &["l -> OUTSIDE"],
            &[Hard(b"g", b"l/secret"), Hard(b"h", b"l")],
            &["l -> OUTSIDE"],
            &[
                "/g: it is a hard link to /l/secret, which was not extracted",
                "/h: it is a hard link to /l, which was not extracted",
            ],
        ),
        row(
            &[],
            &[
                Link(b"l", b"OUTSIDE"),
                Hard(b"g", b"l/secret"),
                Hard(b"h", b"l"),
            ],
            &["h -> OUTSIDE", "l -> OUTSIDE"],
            &["/g: it is a hard link to /l/secret, which was not extracted"],
        ),
        // Another name of a link leads where the link does.
        row(
            &[],
            &[
                Link(b"l", b"OUTSIDE"),
                Hard(b"h", b"l"),
                File(b"h/secret", 0o644, b"1"),
            ],
            &["OUTSIDE/secret: 1", "h -> OUTSIDE", "l -> OUTSIDE"],
            &[],
        ),
        row(
            &["f -> OUTSIDE/secret"],
            &[File(b"g", 0o644, b"1"), Hard(b"f", b"g")],
            &["f: 1", "g: 1"],
            &[],
        ),
    ];
    rows.iter().for_each(Row::run);
}

#[test]
fn what_lay_there_before_is_kept_unless_forced_and_directories_always() {
    let row = |there, wishes, entries, tree, refused| Row {
        there,
        wishes,
        entries,
        tree,
        refused,
    };
    const FILE: &[Entry<'_>] = &[File(b"a", 0o644, b"1")];
    const LINK: &[Entry<'_>] = &[Link(b"a", b"new")];
    const DIR: &[Entry<'_>] = &[Dir(b"a", 0o755), File(b"a/x", 0o644, b"1")];
    const BELOW: &[Entry<'_>] = &[File(b"a/x", 0o644, b"1")];
    let rows = [
        row(
            &["a: old"],
            UNASKED,
            FILE,
            &["a: old"],
            &["/a: a file is there already"],
        ),
        row(&["a: old"], FORCE, FILE, &["a: 1"], &[]),
        row(
            &["a: old"],
            UNASKED,
            LINK,
            &["a: old"],
            &["/a: a file is there already"],
        ),
        row(&["a: old"], FORCE, LINK, &["a -> new"], &[]),
        row(
            &["a -> OUTSIDE/secret"],
            UNASKED,
            FILE,
            &["a -> OUTSIDE/secret"],
            &["/a: a symbolic link is there already"],
        ),
        row(&["a -> OUTSIDE/secret"], FORCE, FILE, &["a: 1"], &[]),
        row(
            &["a -> OUTSIDE"],
            UNASKED,
            DIR,
            &["a -> OUTSIDE"],
            &[
                "/a: a symbolic link is there already",
                "/a/x: /a is there already: a symbolic link",
            ],
        ),
        row(&["a -> OUTSIDE"], FORCE, DIR, &["a/x: 1"], &[]),
        row(&["a -> OUTSIDE"], FORCE, BELOW, &["a/x: 1"], &[]),
        row(
            &["a: old"],
            UNASKED,
            BELOW,
            &["a: old"],
            &["/a/x: /a is there already: a file"],
        ),
        row(
            &["a/"],
            FORCE,
            FILE,
            &["a/"],
            &["/a: a directory is there already"],
        ),
        row(
            &["a/"],
            FORCE,
            LINK,
            &["a/"],
            &["/a: a directory is there already"],
        ),
        row(&["a/b/"], UNASKED, DIR, &["a/b/", "a/x: 1"], &[]),
        // Entries of one archive: the later one wins, as it does in the kernel.
        row(
            &[],
            UNASKED,
            &[
                File(b"a", 0o644, b"1"),
                File(b"a", 0o400, b"2"),
                Link(b"a", b"b"),
            ],
            &["a -> b"],
            &[],
        ),
        row(
            &[],
            UNASKED,
            &[File(b"a", 0o644, b"1"), Dir(b"a", 0o755)],
            &["a/"],
            &[],
        ),
        row(
            &[],
            FORCE,
            &[File(b"a", 0o644, b"1"), File(b"a/x", 0o644, b"1")],
            &["a: 1"],
            &["/a/x: /a is no directory in the archive"],
        ),
        row(
            &[],
            UNASKED,
            &[
                File(b"", 0o644, b"1"),
                Link(b"/", b"x"),
                Hard(b"a", b"."),
                Hard(b".", b"a"),
            ],
            &[],
            &[
                "/: it has the place of the directory itself, and is none",
                "/: it has the place of the directory itself, and is none",
                "/a: it has the place of the directory itself, and is none",
                "/: it is a hard link to /a, which was not extracted",
            ],
        ),
    ];
    rows.iter().for_each(Row::run);
}

#[test]
fn a_name_is_kept_inside_or_refused() {
    let bad = [
        (&b"../x"[..], BadPath::Climbs),
        (b"/..", BadPath::Climbs),
        (b"a/../../x", BadPath::Climbs),
        (b"a\0b", BadPath::Nul),
        (&[b'n'; 256], BadPath::LongName),
    ];
    for (name, why) in bad {
        assert_eq!(ImagePath::new(name), Err(why), "{name:?}");
    }
    let good = [
        (&b"/etc/x"[..], &b"etc/x"[..]),
        (b"./././etc//y/", b"etc/y"),
        (b"...", b"..."),
        (b"new\nline", b"new\nline"),
        (b"caf\xe9", b"caf\xe9"),
        (LONG, LONG),
    ];
    let yard = Yard::new();
    let entries = good.map(|(name, _)| File(name, 0o644, name));
    let (refused, _) = extract(&yard.top(), UNASKED, &entries);
    assert_eq!(refused, Vec::<String>::new());
    for (name, place) in good {
        let file = yard.top().join(OsStr::from_bytes(place));
        assert_eq!(fs::read(file).unwrap(), name);
    }
    yard.assert_untouched(&"names");
}

#[test]
fn a_node_is_made_only_when_asked_for() {
    let entries = [
        Node(b"dev/null", Special::Char(1, 3)),
        Node(b"pipe", Special::Pipe),
        Hard(b"other", b"pipe"),
        File(b"file", 0o644, b"1"),
    ];
    let yard = Yard::new();
    let (refused, finished) = extract(&yard.top(), UNASKED, &entries);
    assert_eq!((refused, finished.nodes_skipped), (Vec::new(), 3));
    assert_eq!(tree(&yard.top()), ["file: 1"]);

    let yard = Yard::new();
    let (refused, finished) = extract(&yard.top(), NODES, &entries);
    assert_eq!(finished.nodes_skipped, 0);
    let pipe = yard.top().join("pipe").symlink_metadata().unwrap();
    assert!(pipe.file_type().is_fifo());
    assert_eq!(
        (pipe.mode() & 0o7777, pipe.nlink(), pipe.mtime()),
        (0o640, 2, 1_234_567_890)
    );
    if am_root() {
        let null = yard.top().join("dev/null").symlink_metadata().unwrap();
        assert!(null.file_type().is_char_device());
        assert_eq!((null.mode() & 0o7777, null.rdev()), (0o640, 0x103));
        assert_eq!(refused, Vec::<String>::new());
    } else {
        let said = "/dev/null: make it: Operation not permitted (os error 1)";
        assert_eq!(refused, [said]);
    }
}

#[test]
fn rights_are_lent_only_along_with_the_owner() {
    let entries = [
        File(b"su", 0o6755, b""),
        Dir(b"group", 0o2775),
        Dir(b"tmp", 0o1777),
    ];
    for (wishes, want) in [
        (UNASKED, [0o755, 0o775, 0o1777]),
        (OWNERS, [0o6755, 0o2775, 0o1777]),
    ] {
        let yard = Yard::new();
        let (refused, finished) = extract(&yard.top(), wishes, &entries);
        assert_eq!(refused, Vec::<String>::new());
        assert!(finished.problems.is_empty());
        let mode = |name| fs::metadata(yard.top().join(name)).unwrap().mode() & 0o7777;
        assert_eq!(["su", "group", "tmp"].map(mode), want, "{wishes:?}");
    }
}

#[test]
fn an_owner_is_given_or_the_entry_refused() {
    for (uid, errno) in [
        (65533, "Operation not permitted (os error 1)"),
        (u32::MAX, ""),
    ] {
        let yard = Yard::new();
        let mut destination = Destination::open(&yard.top(), OWNERS).unwrap();
        let meta = Meta {
            uid,
            ..meta(0o4755)
        };
        let file = destination.file(&path(b"file"), meta).unwrap().finish();
        let link = destination.symlink(&path(b"link"), b"../outside/secret", meta);
        let given = |name| yard.top().join(name).symlink_metadata().unwrap().uid();
        if am_root() && uid != u32::MAX {
            assert!(file.is_ok() && link.is_ok());
            assert_eq!(["file", "link"].map(given), [uid; 2]);
        } else {
            let said = file.unwrap_err().to_string();
            assert!(said.starts_with("/file: set its owner: "), "{said}");
            assert!(said.ends_with(errno), "{said}");
            assert!(link.is_err());
            let mode = fs::metadata(yard.top().join("file")).unwrap().mode();
            assert_eq!(mode & 0o7777, 0o600, "not a bit that was not asked for");
        }
        yard.assert_untouched(&uid);
    }
}

#[test]
fn names_of_a_file_that_cannot_be_made_are_refused_too() {
    let yard = Yard::new();
    fs::write(yard.top().join("b"), "old").unwrap();
    fs::write(yard.top().join("e"), "old").unwrap();
    let entries = [
        Name(b"a", 1, b""),
        Name(b"b", 1, b"new"),
        Name(b"c", 1, b""),
        Name(b"d", 2, b""),
        Name(b"e", 2, b""),
        Name(b"f", 2, b"new"),
    ];
    let (refused, finished) = extract(&yard.top(), UNASKED, &entries);
    let late = finished.problems.iter().map(ToString::to_string);
    assert_eq!(
        refused,
        [
            "/b: a file is there already",
            "/c: it is a hard link to /b, which was not extracted",
        ]
    );
    assert_eq!(
        late.collect::<Vec<_>>(),
        [
            "/a: it is a hard link to /b, which was not extracted",
            "/e: a file is there already",
        ]
    );
    assert_eq!(tree(&yard.top()), ["b: old", "d: new", "e: old", "f: new"]);
}

#[test]
fn files_of_two_archives_have_no_name_in_common() {
    let yard = Yard::new();
    let mut destination = Destination::open(&yard.top(), UNASKED).unwrap();
    for names in [[&b"a"[..], b"b"], [b"c", b"d"]] {
        put(&mut destination, Name(names[0], 1, b"")).unwrap();
        put(&mut destination, Name(names[1], 1, names[1])).unwrap();
        destination.end_of_archive();
    }
    assert!(destination.finish().problems.is_empty());
    assert_eq!(tree(&yard.top()), ["a: b", "b: b", "c: d", "d: d"]);
}

#[test]
fn what_is_held_until_the_end_has_a_limit() {
    let yard = Yard::new();
    let mut destination = Destination::open(&yard.top(), UNASKED).unwrap();
    let long = [b'n'; 4000];
    let target = |at: usize| [&long[..], at.to_string().as_bytes()].concat();
    let mut put = |at| destination.symlink(&path(b"link"), &target(at), meta(0o777));
    let refused = (0..20_000).find_map(|at| put(at).err()).unwrap();
    assert_eq!(
        refused.to_string(),
        "/link: the paths and targets up to it are more than 67108864 bytes"
    );
}

#[test]
fn a_file_that_cannot_be_completed_is_taken_away() {
    let yard = Yard::new();
    let mut destination = Destination::open(&yard.top(), UNASKED).unwrap();
    let mut half = destination.file(&path(b"d/half"), meta(0o644)).unwrap();
    half.append(b"ha").unwrap();
    let mode = fs::metadata(yard.top().join("d/half")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600, "what is not complete is nobody else's");
    destination.discard(half).unwrap();
    assert_eq!(tree(&yard.top()), ["d/"]);
}

#[test]
fn a_directory_is_made_where_none_is_but_not_what_is_above_it() {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path().join("new");
    assert_eq!(
        extract(&top, UNASKED, &[File(b"a", 0o644, b"1")]).0.len(),
        0
    );
    assert_eq!(tree(&top), ["a: 1"]);
    let error = |path: PathBuf| Destination::open(&path, UNASKED).err().unwrap().kind();
    assert_eq!(error(top.join("a")), std::io::ErrorKind::NotADirectory);
    assert_eq!(error(top.join("b/c")), std::io::ErrorKind::NotFound);
}

/// As GNU cpio has it; bsdtar lets an archive say who may enter the user's directory.
#[test]
fn what_an_archive_says_of_the_directory_itself_changes_nothing() {
    let yard = Yard::new();
    fs::set_permissions(yard.top(), Permissions::from_mode(0o711)).unwrap();
    let bytes = archive(&[Dir(b".", 0o777)]);
    CPIO.run(&["-idmu", "--quiet", "-D", text(&yard.top())], &bytes);
    let (refused, finished) = extract(&yard.top(), UNASKED, &[Dir(b".", 0o777), Dir(b"/", 0)]);
    assert_eq!(refused, Vec::<String>::new());
    assert!(finished.problems.is_empty());
    let top = fs::metadata(yard.top()).unwrap();
    assert_eq!(top.mode() & 0o7777, 0o711);
    assert_ne!(top.mtime(), 1_234_567_890);
}

#[test]
fn every_refusal_says_what_to_do() {
    let yard = Yard::new();
    symlink("x", yard.top().join("old")).unwrap();
    let entries = [
        File(b"", 0o644, b""),
        File(b"old", 0o644, b""),
        File(b"old/x", 0o644, b""),
        Link(b"loop", b"loop"),
        File(b"loop/x", 0o644, b""),
        Hard(b"hard", b"old"),
        Link(b"empty", b""),
    ];
    let mut destination = Destination::open(&yard.top(), UNASKED).unwrap();
    let judged: Vec<bool> = entries
        .iter()
        .filter_map(|entry| put(&mut destination, *entry).err())
        .map(|error| {
            let fault = error.fault;
            for words in [fault.found(), fault.expected(), fault.advice()] {
                assert!(!words.is_empty() && !words.ends_with('.'), "{words}");
            }
            fault.is_judgement()
        })
        .collect();
    assert_eq!(judged, [true, false, false, true, false, false]);
}

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides
    }

    fn path(&mut self) -> Vec<u8> {
        let names = ["a", "b", "c", "outside", "secret"];
        let depth = 1 + self.throw(3);
        let path: Vec<&str> = (0..depth).map(|_| names[self.throw(names.len())]).collect();
        path.join("/").into_bytes()
    }

    fn target(&mut self, outside: &str) -> Vec<u8> {
        let above = ["", "/", "..", "../..", "../../..", outside, "./", "a/.."];
        let above = above[self.throw(above.len())];
        [above.as_bytes(), b"/", &self.path()].concat()
    }
}

/// Whatever an archive holds, nothing outside changes; and each file is where a process chrooted
/// into the directory would find it, as the resolution of a guest's root has it.
#[test]
fn no_order_of_entries_leads_outside() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut placed, mut refused) = (0, 0);
    for round in 0..300 {
        let yard = Yard::new();
        let outside = yard.filled("OUTSIDE");
        let before = round % 3 == 0;
        if before {
            symlink(&outside, yard.top().join("a")).unwrap();
            symlink("..", yard.top().join("outside")).unwrap();
        }
        let force = dice.throw(2) == 1;
        let wishes = Wishes { force, ..NODES };
        let mut destination = Destination::open(&yard.top(), wishes).unwrap();
        for number in 0..25 {
            let (name, other) = (dice.path(), dice.path());
            let target = dice.target(&outside);
            let content = format!("{round} {number}");
            let entry = match dice.throw(6) {
                0 => Dir(&name, 0o755),
                1 | 2 => Link(&name, &target),
                3 => Hard(&name, &other),
                4 => Node(&name, Special::Pipe),
                _ => File(&name, 0o644, content.as_bytes()),
            };
            let put = put(&mut destination, entry);
            if let (File(..), Ok(()), false) = (entry, &put, before) {
                let root = Root::new(Box::new(DirectoryFiles::new(&yard.top()).unwrap()));
                // A link over a directory that is not there, as `absent/..`, leads nowhere to others.
                match root.read(&path(&name)) {
                    Err(LookupError::Dangling { .. }) => {}
                    found => {
                        assert_eq!(found.unwrap(), content.as_bytes(), "{round}: {entry:?}");
                        placed += 1;
                    }
                }
            }
            refused += usize::from(put.is_err());
        }
        assert!(destination.finish().problems.is_empty());
        yard.assert_untouched(&round);
    }
    assert!(
        placed > 500 && refused > 500,
        "{placed} placed, {refused} refused"
    );
}

/// Runs the test `name` once more, as `command` runs it, in `directory`.
fn run_again(mut command: Command, name: &str, directory: &Path) {
    command.args(["--exact", &format!("extract::{name}"), "--nocapture"]);
    let output = command.env(AGAIN, directory).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

/// Names the directory of a test that is run again.
const AGAIN: &str = "XINITRD_TEST_DIRECTORY";

fn again() -> Option<PathBuf> {
    std::env::var_os(AGAIN).map(PathBuf::from)
}

#[test]
fn a_directory_that_may_not_be_written_to_is_filled() {
    const NAME: &str = "a_directory_that_may_not_be_written_to_is_filled";
    let Some(top) = again() else {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        let this = std::env::current_exe().unwrap();
        return run_again(without_rights(&this), NAME, directory.path());
    };
    let entries = |content| {
        [
            Dir(b"a", 0o555),
            Dir(b"a/b", 0o555),
            File(b"a/b/x", 0o444, content),
            Dir(b"a/c", 0o500),
            File(b"a/y", 0o400, content),
        ]
    };
    // Twice: the second time the directories are there.
    for (wishes, content) in [(UNASKED, "1"), (FORCE, "2")] {
        let (refused, finished) = extract(&top.join("in"), wishes, &entries(content.as_bytes()));
        assert_eq!(refused, Vec::<String>::new());
        assert!(finished.problems.is_empty(), "{finished:?}");
    }
    assert_eq!(tree(&top.join("in")), ["a/b/x: 2", "a/c/", "a/y: 2"]);
    let mode = |name| fs::metadata(top.join("in").join(name)).unwrap().mode() & 0o7777;
    assert_eq!(["a", "a/b", "a/c"].map(mode), [0o555, 0o555, 0o500]);
    // Else nobody could take them away again.
    for name in ["a/b", "a/c", "a"] {
        fs::set_permissions(top.join("in").join(name), Permissions::from_mode(0o777)).unwrap();
    }
}

#[test]
fn deep_and_wide_trees_need_few_descriptors() {
    const NAME: &str = "deep_and_wide_trees_need_few_descriptors";
    const DEPTH: usize = 400;
    let Some(top) = again() else {
        let directory = directory();
        let mut shell = Command::new("sh");
        let this = std::env::current_exe().unwrap();
        shell
            .args(["-c", "ulimit -n 32; exec \"$0\" \"$@\""])
            .arg(this);
        run_again(shell, NAME, directory.path());
        let deepest = directory
            .path()
            .join("in")
            .join("d/".repeat(DEPTH))
            .join("x");
        assert_eq!(fs::read(deepest).unwrap(), b"1");
        return;
    };
    let deep = "d/".repeat(DEPTH);
    let wide: Vec<String> = (0..3000)
        .map(|number| format!("w/{number}/{number}"))
        .collect();
    let names =
        wide.into_iter()
            .chain([format!("{deep}x"), "w/0/x".to_owned(), format!("{deep}x")]);
    let mut destination = Destination::open(&top.join("in"), UNASKED).unwrap();
    for name in names {
        let parent = path(name.as_bytes()).parent().unwrap();
        destination.directory(&parent, meta(0o755)).unwrap();
        put(&mut destination, File(name.as_bytes(), 0o644, b"1")).unwrap();
    }
    assert!(destination.finish().problems.is_empty());
}

/// A newc archive of `entries`.
fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let links = |ino: u32| {
        let named = |entry: &&Entry<'_>| matches!(**entry, Name(_, of, _) if of == ino);
        entries.iter().filter(named).count()
    };
    let mut bytes = Vec::new();
    for (entry, at) in entries.iter().zip(1..) {
        let (name, mode, link, content): (_, _, _, &[u8]) = match *entry {
            Dir(name, mode) => (name, 0o040_000 | mode, (at, 2), b""),
            Link(name, target) => (name, 0o120_777, (at, 1), target),
            Node(name, Special::Pipe) => (name, 0o010_640, (at, 1), b""),
            File(name, mode, content) => (name, 0o100_000 | mode, (at, 1), content),
            Name(name, ino, content) => (name, 0o100_750, (ino, links(ino)), content),
            Node(name, _) | Hard(name, _) => panic!("{name:?}"),
        };
        newc(&mut bytes, name, mode, link, content);
    }
    newc(&mut bytes, b"TRAILER!!!", 0, (0, 1), b"");
    bytes
}

fn newc(to: &mut Vec<u8>, name: &[u8], mode: u32, link: (u32, usize), content: &[u8]) {
    let Meta {
        uid, gid, mtime, ..
    } = meta(0);
    let (size, length) = (content.len(), name.len() + 1);
    let (ino, nlink) = link;
    write!(
        to,
        "070701{ino:08x}{mode:08x}{uid:08x}{gid:08x}{nlink:08x}{mtime:08x}{size:08x}"
    )
    .unwrap();
    write!(to, "{:032x}{length:08x}{:08x}", 0, 0).unwrap();
    for part in [&[name, b"\0"].concat(), content] {
        to.extend_from_slice(part);
        to.resize(to.len().next_multiple_of(4), 0);
    }
}

/// What find and a reader see below `top`: name, type, mode, links, target, time, content. Times of
/// the types in `untimed` are left out.
fn seen(top: &Path, untimed: &str) -> Vec<String> {
    let printed = FIND.run(
        &[
            text(top),
            "-mindepth",
            "1",
            "-printf",
            r"%P|%y|%m|%n|%l|%T@\0",
        ],
        b"",
    );
    let lines = printed
        .split(|&byte| byte == 0)
        .filter(|line| !line.is_empty());
    let mut entries: Vec<String> = lines
        .map(|line| {
            let name = line.split(|&byte| byte == b'|').next().unwrap();
            let file = top.join(OsStr::from_bytes(name));
            let line = line.escape_ascii().to_string();
            let kind = line.split('|').nth(1).unwrap();
            if untimed.contains(kind) {
                line.rsplit_once('|').unwrap().0.to_owned()
            } else if kind == "f" {
                format!("{line} {}", Digest::of(&fs::read(file).unwrap()))
            } else {
                line
            }
        })
        .collect();
    entries.sort();
    entries
}

#[test]
fn an_ordinary_tree_comes_out_as_cpio_and_bsdtar_have_it() {
    let large: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let entries = [
        Dir(b"bin", 0o755),
        Name(b"bin/busybox", 77, b""),
        Name(b"bin/sh", 77, b""),
        Dir(b"sys", 0o555),
        Dir(b"sbin", 0o775),
        Name(b"sbin/init", 77, &large),
        Name(b"first", 78, b"first"),
        Name(b"second", 78, b""),
        Name(b"none", 79, b""),
        Name(b"nothing", 79, b""),
        Dir(b"tmp", 0o1777),
        Dir(b"usr", 0o700),
        Dir(b"usr/lib", 0o711),
        Link(b"lib", b"usr/lib"),
        Link(b"init", b"/sbin/init"),
        Link(b"dangling", b"../../nowhere"),
        File(b"usr/lib/caf\xe9", 0o640, b"latin"),
        File(b"usr/lib/new\nline", 0o604, b"line"),
        File(b"usr/lib/a b*?'\"\\", 0o400, b"quoted"),
        File(LONG, 0o644, b"long"),
        File(b"empty", 0o444, b""),
        Node(b"pipe", Special::Pipe),
    ];
    let bytes = archive(&entries);
    let directory = tempfile::tempdir().unwrap();
    let [ours, cpios, bsdtars] = ["ours", "cpio", "bsdtar"].map(|name| {
        let top = directory.path().join(name);
        fs::create_dir(&top).unwrap();
        top
    });
    let (refused, finished) = extract(&ours, NODES, &entries);
    assert_eq!(refused, Vec::<String>::new());
    assert!(finished.problems.is_empty(), "{finished:?}");
    CPIO.run(&["-idmu", "--quiet", "-D", text(&cpios)], &bytes);
    BSDTAR.run(&["-xpf", "-", "-C", text(&bsdtars)], &bytes);
    // GNU cpio leaves a link's time, and puts things into a directory after setting its time.
    assert_eq!(seen(&ours, "dl"), seen(&cpios, "dl"), "GNU cpio");
    let ours = seen(&ours, "");
    assert_eq!(ours.len(), entries.len());
    assert_eq!(ours, seen(&bsdtars, ""), "bsdtar");
}
