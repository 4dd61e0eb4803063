//! Every reader of foreign bytes, with what must hold of its answer whatever the bytes are.
//!
//! In: any bytes. Out: nothing; what does not hold panics. The tests feed them mutations
//! (`hostile.rs`), libFuzzer whatever it finds (`fuzz/`, which includes this file).

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::mem::{self, Discriminant};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use xinitrd::arch::Arch;
use xinitrd::archive::{Archive, Event, LimitMet, Limits, ReadError, SegmentStart, Tap};
use xinitrd::compress::decode::{DecodeError, Decoder, Member};
use xinitrd::compress::source::Source;
use xinitrd::compress::{Compression, Encoding, Format, UnpackError, detect, encode, unpack};
use xinitrd::elf::module::ModuleFacts;
use xinitrd::elf::program::{ProgramFacts, Role};
use xinitrd::elf::symbols;
use xinitrd::image_path::{ImagePath, Shown};
use xinitrd::inspect::compare::Comparison;
use xinitrd::inspect::guest_kernel::{Exported, GuestKernel};
use xinitrd::inspect::read::Depth;
use xinitrd::inspect::report::InspectionReport;
use xinitrd::inspect::verdict::Policy;
use xinitrd::inspect::{Guest, Inspection};
use xinitrd::kernel_version::KernelVersion;
use xinitrd::kmod::aliases::{Alias, AliasIndex, Cost, normalise};
use xinitrd::kmod::builtin::Builtin;
use xinitrd::kmod::config::ModprobeConfig;
use xinitrd::kmod::dep_file::DepFile;
use xinitrd::kmod::modinfo::Modinfo;
use xinitrd::kmod::module_file;
use xinitrd::kmod::name::ModuleName;
use xinitrd::kmod::order::{LoadOrder, Resolver};
use xinitrd::kmod::tree::{ModuleId, ModuleTree};
use xinitrd::libraries::Libraries;
use xinitrd::manifest;
use xinitrd::package;
use xinitrd::package::files::{Interest, Keep, PackageFiles};
use xinitrd::record::differences::{self, What};
use xinitrd::record::lock::Lock;
use xinitrd::root::{FileKind, Files, Names, OpenFile, Root, read_each, read_whole};
use xinitrd::rope::Rope;
use xinitrd::unpacker::{Kind, Object, ObjectId, Outcome, Unpacker};

/// What follows a signed module, and may follow any ELF file: it says nothing of what stands before.
const APPENDED: &[u8] = b"~Module signature appended~\n";
/// The most that unpacked bytes may come to here.
const UNPACKED_LIMIT: usize = 1 << 20;
/// What a member is read in, and the window it may ask for.
const MEMBER_PIECE: usize = 64 << 10;
const MEMBER_WINDOW: u64 = 1 << 20;
/// How many of the names that some bytes hold are looked up.
const LOOKUPS: usize = 32;
/// The most that a package may hold here.
const PACKAGE_LIMIT: u64 = 4 << 20;
/// The module directory of [`order`]'s trees.
const MODULES: &str = "lib/modules/1";

/// A module: its facts are no longer than it, and are not changed by what follows it.
pub fn module(bytes: &[u8]) {
    let Ok(facts) = ModuleFacts::read(&bytes) else {
        return;
    };
    assert!(facts.modinfo.len() <= bytes.len());
    let signed = [bytes, APPENDED].concat();
    assert_eq!(
        ModuleFacts::read(&signed.as_slice()).unwrap(),
        facts,
        "signed"
    );
    let info = Modinfo::new(facts.modinfo);
    let softdeps = info.softdeps();
    let soft = softdeps.iter().map(|soft| soft.pre.len() + soft.post.len());
    let said = info.depends().len() + info.weakdeps().len() + soft.sum::<usize>();
    assert!(said <= bytes.len(), "{said} words");
}

/// The symbols of a module: as many as it can hold, and not changed by what follows it.
pub fn symbols(bytes: &[u8]) {
    let Ok((facts, found)) = symbols::read(bytes) else {
        return;
    };
    assert_eq!(ModuleFacts::read(&bytes).unwrap(), facts);
    let lists = [&found.needs, &found.exports];
    let length: usize = lists
        .iter()
        .flat_map(|list| list.iter())
        .map(|one| one.name.len())
        .sum();
    assert!(length <= 3 * bytes.len(), "{length} bytes of names");
    let signed = [bytes, APPENDED].concat();
    assert_eq!(symbols::read(&signed).unwrap().1, found, "signed");
}

/// What a root says of its kernel's symbols: each that is told stands in a list.
pub fn kernel(bytes: &[u8]) {
    let mut tree = Tree::default();
    for path in [
        "boot/System.map-1",
        "lib/modules/1/build/Module.symvers",
        "lib/modules/1/modules.symbols",
    ] {
        tree.add(path.as_bytes(), bytes);
    }
    let kernel = GuestKernel::read(&Root::new(Box::new(tree)), "1").unwrap();
    for word in bytes.split(u8::is_ascii_whitespace).take(LOOKUPS) {
        let name = word.strip_prefix(b"__ksymtab_").unwrap_or(word);
        if let Exported::By(_) = kernel.exported(name) {
            assert!(name.is_empty() || bytes.windows(name.len()).any(|part| part == name));
        }
    }
}

/// A program or library: its facts are no longer than it, and fit one architecture at most.
pub fn program(bytes: &[u8]) {
    let Ok(facts) = ProgramFacts::parse(bytes) else {
        return;
    };
    let lists = [&facts.needed, &facts.runpath, &facts.rpath];
    let said = lists.into_iter().flatten().chain(&facts.interpreter);
    let length: usize = said.map(String::len).sum();
    assert!(length <= 4 * bytes.len(), "{length} bytes of names");
    for role in [Role::Executable, Role::Library] {
        let fits = |arch: &Arch| facts.judge(arch.elf(), role).is_ok();
        assert!(Arch::ALL.iter().filter(|arch| fits(arch)).count() <= 1);
    }
    let appended = ProgramFacts::parse(&[bytes, APPENDED].concat());
    assert_eq!(appended.unwrap(), facts, "something appended");
}

/// Index files and configurations: all of them, over the same text.
pub fn index(bytes: &[u8]) {
    dep_file(bytes);
    let lines = bytes.split(|&b| b == b'\n').count();
    let aliases = AliasIndex::new(bytes.to_vec());
    let builtin = Builtin::parse([bytes], Some(bytes));
    let cost = Cost::default();
    assert!(builtin.names().count() <= lines);
    let mut config = ModprobeConfig::default();
    config.add(bytes);
    let kept = [
        config.aliases.len(),
        config.options.len(),
        config.softdeps.len(),
        config.weakdeps.len(),
    ];
    // A carriage return, too, ends a line of a configuration where a newline follows.
    assert!(kept.iter().sum::<usize>() <= lines, "{kept:?}");
    for word in bytes
        .split(|b| b" \n:=".contains(b))
        .step_by(7)
        .take(LOOKUPS)
    {
        assert!(aliases.matching(word).count() <= lines);
        assert!(config.aliased(word).len() <= config.aliases.len());
        let options = config.options_of(&ModuleName::new(word));
        assert!(options.len() <= 4 * bytes.len());
        if let Some(found) = builtin.find(word, &cost) {
            assert!(found == ModuleName::new(word) || bytes.contains(&b'='));
        }
    }
}

/// A `modules.dep` written anew from what was read of it reads the same.
fn dep_file(bytes: &[u8]) {
    let read = read_dep_file(bytes.to_vec());
    let mut written = Vec::new();
    // A `./` keeps a name from being a comment, a `/` keeps white space at its end.
    for (module, needs) in &read {
        written.extend_from_slice(&[b"./", module.as_bytes(), b"/:"].concat());
        for need in needs {
            written.extend_from_slice(&[b" ./", need.as_bytes(), b"/"].concat());
        }
        written.push(b'\n');
    }
    assert!(read == read_dep_file(written), "written anew");
}

fn read_dep_file(text: Vec<u8>) -> Vec<(ImagePath, Vec<ImagePath>)> {
    let file = DepFile::new(text);
    let lines = file.lines().flatten();
    lines
        .map(|(module, needs)| (module, file.needs(&needs).flatten().collect()))
        .collect()
}

/// A manifest: it is read the same again, or every fault stands in the text.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match manifest::parse(text) {
        Ok(read) => assert_eq!(manifest::parse(text), Ok(read)),
        Err(faults) => {
            assert!(!faults.is_empty());
            let lines = text.split('\n').count();
            for fault in faults {
                assert!((1..=lines).contains(&fault.line), "{fault}");
                assert!(fault.column >= 1, "{fault}");
            }
        }
    }
}

/// A lock file: what is written of it is read the same again, and differs in nothing from itself; from what has
/// nothing of it, it differs in something.
pub fn lock(bytes: &[u8]) {
    let Ok(lock) = Lock::read(bytes) else {
        return;
    };
    let text = lock.text().unwrap();
    assert_eq!(Lock::read(text.as_bytes()), Ok(lock.clone()));
    assert_eq!(differences::all(&lock, &lock), []);
    assert_eq!(
        differences::image(&lock, lock.image.as_ref().unwrap()),
        None
    );
    let empty = Lock {
        generator: format!("not {}", lock.generator),
        layers: Vec::new(),
        ..lock.clone()
    };
    for found in [
        differences::all(&lock, &empty),
        differences::all(&empty, &lock),
    ] {
        assert!(found.len() <= 2 && found[0].what == What::Tool, "{found:?}");
        assert_eq!(found.len() == 2, !lock.layers.is_empty());
    }
    for difference in differences::so_far(&lock, &empty.generator, &lock.layers) {
        assert_eq!(difference.what, What::Tool);
    }
}

/// A package, read as a stream and as a store of files: it holds the same, or the same is wrong with it.
pub fn package(bytes: &[u8]) {
    let limits = Limits {
        entries: 2000,
        size: PACKAGE_LIMIT,
        memory: MEMBER_WINDOW,
        ..package::LIMITS
    };
    let (mut entries, mut size) = (0, 0);
    let mut contents = Contents::default();
    let streamed = package::read(bytes, &limits, &mut |entry, data| {
        let mut content = Vec::new();
        data.read_to_end(&mut content)?;
        assert!(content.len() as u64 <= entry.size());
        size += content.len() as u64;
        contents.add(entries, entry, content);
        entries += 1;
        Ok(ControlFlow::Continue(()))
    });
    assert!(entries <= limits.entries && size <= limits.size);
    let opened = |keep: &dyn Fn(&ImagePath, u64) -> Keep| {
        let all: Arc<[u8]> = bytes.into();
        let again = move |offset: u64| -> io::Result<Box<dyn Read + Send>> {
            let mut rest = io::Cursor::new(Arc::clone(&all));
            rest.set_position(offset);
            Ok(Box::new(rest))
        };
        let interest = Interest {
            keep,
            extract: &module_file::extract,
            threads: NonZeroUsize::MIN.saturating_add(1),
        };
        PackageFiles::open("package".to_owned(), Box::new(again), limits, &interest)
    };
    let some_kept = opened(
        &|path, size| match (path.as_bytes().ends_with(b".ko"), size % 2) {
            (true, _) => Keep::Extract,
            (_, 0) => Keep::Whole,
            _ => Keep::Nothing,
        },
    );
    let Ok(files) = some_kept else { return };
    assert_eq!(Some(files.facts()), streamed.ok().as_ref());
    let found = regular_files(&files);
    let reread = opened(&|_, _| Keep::Nothing).unwrap();
    for store in [&files, &reread] {
        let whole = read_each(store, &found, NonZeroUsize::MIN, |file| {
            read_whole(file).unwrap()
        });
        for (path, content) in found.iter().zip(whole) {
            contents.hold(path, &content.unwrap());
        }
    }
    for path in found.iter().take(LOOKUPS) {
        let file = files.open(path).unwrap();
        contents.hold(path, &read_whole(&*file).unwrap());
    }
}

/// The regular files of a package.
fn regular_files(files: &PackageFiles) -> Vec<ImagePath> {
    let mut found = Vec::new();
    let mut directories = vec![ImagePath::default()];
    while let Some(directory) = directories.pop() {
        for (name, kind) in files.list(&directory).unwrap() {
            let path = directory.join(&name).unwrap();
            assert_eq!(files.kind(&path).unwrap().as_ref(), Some(&kind));
            match kind {
                FileKind::Directory => directories.push(path),
                FileKind::Regular => found.push(path),
                FileKind::Symlink(_) | FileKind::Special => {}
            }
        }
    }
    found
}

/// The data in a package as they come by, by what has them: an entry, or a group of names.
#[derive(Default)]
struct Contents {
    names: BTreeMap<ImagePath, (bool, u64)>,
    data: BTreeMap<(bool, u64), Vec<u8>>,
    /// Whether a path may lead elsewhere than it says.
    has_links: bool,
}

impl Contents {
    fn add(&mut self, ordinal: u64, entry: package::Entry, content: Vec<u8>) {
        let key = match entry.kind {
            package::Kind::Regular { size, group } => {
                let key = group.map_or((false, ordinal), |group| (true, group.into()));
                // Of the names of one file the last that has data has them.
                if size > 0 || !self.data.contains_key(&key) {
                    self.data.insert(key, content);
                }
                Some(key)
            }
            package::Kind::HardLink(existing) => self.names.get(&existing).copied(),
            package::Kind::Symlink(_) => {
                self.has_links = true;
                None
            }
            _ => None,
        };
        if let Some(key) = key {
            self.names.insert(entry.path, key);
        }
    }

    fn hold(&self, path: &ImagePath, content: &[u8]) {
        let named = self.names.get(path).map(|key| self.data[key].as_slice());
        let is_there = match self.has_links {
            true => self.data.values().any(|data| data == content),
            false => named == Some(content),
        };
        assert!(named == Some(content) || is_there, "{path}");
    }
}

/// A compressed file: within the bound, which is kept to the byte.
pub fn packed(bytes: &[u8]) {
    match unpack(bytes, UNPACKED_LIMIT) {
        Ok(content) => {
            assert!(detect(bytes).is_some());
            assert!(content.len() <= UNPACKED_LIMIT);
            assert!(unpack(bytes, content.len()).unwrap() == content, "again");
            if let Some(limit) = content.len().checked_sub(1) {
                assert_eq!(unpack(bytes, limit), Err(UnpackError::TooLarge { limit }));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The pieces that a member is read from and to.
const MEMBER_PIECES: [(usize, usize); 4] = [
    (usize::MAX, MEMBER_PIECE),
    (usize::MAX, MEMBER_PIECE / 7),
    (7, 1000),
    (1, MEMBER_PIECE),
];

/// The same bytes as one member of each format: what it gives and uses up does not depend on the
/// pieces it is read in, damaged or not; no byte is passed over or comes twice, and there is an end.
pub fn members(bytes: &[u8]) {
    use Format::{Bzip2, Gzip, Lz4, Lzma, Lzo, Xz, Zstd};
    for format in [Gzip, Bzip2, Lzma, Xz, Lzo, Lz4, Zstd] {
        let [whole, others @ ..] =
            MEMBER_PIECES.map(|(from, to)| (member(format, bytes, from, to), from, to));
        for (pieces, from, to) in others {
            assert!(
                whole.0 == pieces,
                "{format:?} from pieces of {from} to {to}"
            );
        }
    }
}

/// The content up to a bound, the member, and the kind of its fault: zlib-rs finds other words for
/// the same fault where there is less room.
fn member(
    format: Format,
    bytes: &[u8],
    from: usize,
    to: usize,
) -> (Vec<u8>, Member, Option<Discriminant<DecodeError>>) {
    let source = Source::new(image(bytes, from));
    let mut decoder = Decoder::with_window(format, source, MEMBER_WINDOW);
    let mut content = Vec::new();
    let mut out = vec![0; to];
    let mut fault = None;
    while content.len() < UNPACKED_LIMIT {
        let room = out.len().min(UNPACKED_LIMIT - content.len());
        match decoder.read(&mut out[..room]) {
            Ok(0) => break,
            Ok(count) => content.extend_from_slice(&out[..count]),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                fault = Some(mem::discriminant(&error));
                break;
            }
        }
    }
    let ended = content.len() < UNPACKED_LIMIT;
    let (mut source, mut member) = decoder.finish();
    assert_eq!(member.content, content.len() as u64);
    assert_eq!(member.is_whole, ended && fault.is_none());
    let mut rest = Vec::new();
    source.read_to_end(&mut rest).unwrap();
    assert!(bytes.ends_with(&rest));
    assert_eq!(member.packed, (bytes.len() - rest.len()) as u64);
    if !member.is_whole {
        // A decoder reads ahead of what it has given, and how far is its own matter.
        member.packed = 0;
    }
    (content, member, fault)
}

/// Versions, paths, patterns and names: what was read, written and read again is the same.
pub fn words(bytes: &[u8]) {
    if let Ok(version) = String::from_utf8_lossy(bytes).parse::<KernelVersion>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    if let Ok(path) = ImagePath::new(bytes) {
        assert_eq!(ImagePath::new(path.as_bytes()), Ok(path.clone()));
        assert!(path.components().all(|name| name != b".."));
    }
    assert!(!Shown(bytes).to_string().contains(char::is_control));
    let mut halves = bytes.splitn(2, |&b| b == b'\n');
    let [pattern, name] = [(); 2].map(|()| halves.next().unwrap_or_default());
    let alias = Alias::new(pattern, ModuleName::new(name));
    let is_literal = !pattern.iter().any(|b| br"*?[]\".contains(b));
    let is_same = normalise(pattern) == normalise(name);
    let matches = alias.matches(&normalise(name));
    assert!(!is_literal || matches == is_same, "{pattern:?} {name:?}");
}

/// A tree of links: a look-up ends, within the tree, and the same at every time of asking.
pub fn links(bytes: &[u8]) {
    let tree = Tree::read(bytes);
    let root = Root::new(Box::new(tree.clone()));
    for path in tree.entries.keys().take(LOOKUPS) {
        let first = format!("{:?}", root.resolve(path));
        let fresh = Root::new(Box::new(tree.clone()));
        assert_eq!(first, format!("{:?}", root.resolve(path)), "asked again");
        assert_eq!(
            first,
            format!("{:?}", fresh.resolve(path)),
            "asked elsewhere"
        );
        if let Ok((real, kind)) = root.resolve(path) {
            assert!(!matches!(kind, FileKind::Symlink(_)));
            assert_eq!(root.resolve(&real).unwrap(), (real, kind));
        }
    }
    if let Ok(walked) = root.walk(&ImagePath::default(), &|_| true, &[]) {
        assert!(walked.files.len() + walked.unusable.len() <= tree.entries.len());
        let file = |path: &ImagePath| root.regular_file(path);
        walked
            .files
            .iter()
            .for_each(|path| drop(file(path).unwrap()));
        let unusable = walked.unusable.iter();
        unusable.for_each(|path| drop(file(path).unwrap_err()));
    }
}

/// A module directory: whatever is loaded stands once, and after all it needs.
pub fn order(bytes: &[u8]) {
    let root = Root::new(Box::new(Tree::read(bytes)));
    let directory = ImagePath::new(MODULES).unwrap();
    let configured = root.read(&ImagePath::new("etc/modprobe.conf").unwrap());
    let mut config = ModprobeConfig::default();
    config.add(&configured.unwrap_or_default());
    let Ok(mut tree) = ModuleTree::open(&root, &directory, config, NonZeroUsize::MIN) else {
        return;
    };
    let names: Vec<String> = tree.names().map(|name| name.to_string()).collect();
    let mut resolver = Resolver::new(&mut tree);
    for name in names.iter().take(LOOKUPS) {
        resolver.require(name);
    }
    match resolver.finish() {
        Ok(order) => is_in_order(&order),
        Err(faults) => assert!(!faults.is_empty()),
    }
}

fn is_in_order(order: &LoadOrder) {
    let mut before: Vec<ModuleId> = Vec::new();
    for &id in &order.load {
        assert!(!before.contains(&id), "{id:?} is loaded twice");
        before.push(id);
        let needs = order.needs_of(id);
        assert!(
            needs.iter().all(|need| before.contains(need)),
            "{id:?} is too early"
        );
    }
    assert!(order.include.iter().all(|id| !before.contains(id)));
}

/// An `ld.so.conf`, and after it an ELF file that lies under every name it needs: each library is
/// found once, or told to be missing once.
pub fn libraries(bytes: &[u8]) {
    let elf = bytes.windows(4).position(|window| window == b"\x7fELF");
    let (conf, elf) = bytes.split_at(elf.unwrap_or(bytes.len()));
    let facts = ProgramFacts::parse(elf).ok();
    let mut tree = Tree::default();
    tree.add(b"etc/ld.so.conf", conf);
    tree.add(b"etc/ld.so.conf.d/more.conf", conf);
    for name in facts.iter().flat_map(|facts| &facts.needed).take(LOOKUPS) {
        tree.add(&[b"lib64/", name.as_bytes()].concat(), elf);
    }
    let root = Root::new(Box::new(tree));
    let libraries = Libraries::new(&root, &[], Arch::X86_64);
    let (Ok(libraries), Some(facts)) = (libraries, facts) else {
        return;
    };
    let mut needed = facts.needed.clone();
    let loader = usize::from(facts.interpreter.is_some());
    let place = ImagePath::new("bin/program").unwrap();
    let (found, problems) = libraries.needed_by(facts, "program".to_owned(), &place, &place);
    needed.sort();
    needed.dedup();
    assert!(found.len() + problems.len() <= needed.len() + loader);
}

/// A root of entries such as `tail -n +1 FILE...` prints, `==> PATH <==` before each; a path with
/// ` -> ` in it is a link and its target.
#[derive(Clone, Default)]
pub struct Tree {
    entries: BTreeMap<ImagePath, Entry>,
}

#[derive(Clone)]
enum Entry {
    File(Arc<[u8]>),
    Link(Vec<u8>),
}

/// The two parts around the first `mark`.
fn split_at_mark<'b>(bytes: &'b [u8], mark: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(mark.len()).position(|part| part == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

impl Tree {
    pub fn read(bytes: &[u8]) -> Tree {
        let mut tree = Tree::default();
        let mut rest = bytes;
        while let Some((_, entry)) = split_at_mark(rest, b"==> ") {
            let content = split_at_mark(entry, b"==> ").map_or(entry, |(content, _)| content);
            if let Some((path, content)) = split_at_mark(content, b" <==\n") {
                tree.add(path, content);
            }
            rest = entry;
        }
        tree
    }

    fn add(&mut self, path: &[u8], content: &[u8]) {
        let (path, entry) = match split_at_mark(path, b" -> ") {
            Some((link, target)) => (link, Entry::Link(target.to_vec())),
            None => (path, Entry::File(content.into())),
        };
        if let Some(path) = ImagePath::new(path).ok().filter(|path| !path.is_root()) {
            self.entries.insert(path, entry);
        }
    }

    /// What lies under a directory, and the directory's path with a slash.
    fn below(&self, directory: &ImagePath) -> (Vec<u8>, impl Iterator<Item = &ImagePath>) {
        let mut top = directory.as_bytes().to_vec();
        if !directory.is_root() {
            top.push(b'/');
        }
        let from = self.entries.range(directory.clone()..);
        let start = top.clone();
        let below = from
            .map(|(path, _)| path)
            .filter(move |path| path.as_bytes().starts_with(&start));
        (top, below)
    }
}

impl Files for Tree {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        if let Some(parent) = path.parent().filter(|parent| !parent.is_root()) {
            let above = self.kind(&parent)?;
            assert!(
                !matches!(above, Some(FileKind::Symlink(_))),
                "{parent} is a link, and {path} was asked for"
            );
        }
        Ok(match self.entries.get(path) {
            Some(Entry::File(_)) => Some(FileKind::Regular),
            Some(Entry::Link(target)) => Some(FileKind::Symlink(target.clone())),
            None => self.below(path).1.next().map(|_| FileKind::Directory),
        })
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        match self.entries.get(path) {
            Some(Entry::File(bytes)) => Ok(Box::new(&**bytes)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, directory: &ImagePath) -> io::Result<Names> {
        let (top, below) = self.below(directory);
        let names =
            below.filter_map(|path| path.as_bytes()[top.len()..].split(|&b| b == b'/').next());
        let mut names: Vec<&[u8]> = names.collect();
        names.sort_unstable();
        names.dedup();
        let known = names.into_iter().map(|name| {
            let path = directory.join(name).map_err(io::Error::other)?;
            let kind = self.kind(&path)?.ok_or(io::ErrorKind::NotFound)?;
            Ok((name.to_vec(), kind))
        });
        known.collect()
    }

    fn shown(&self, path: &ImagePath) -> String {
        path.to_string()
    }
}

/// What begins another segment of [`rootfs`]'s images.
pub const SEGMENT: &[u8] = b"\xffSEGMENT";

/// Segments as they are unpacked, plain and compressed by turns: a kernel makes the same of them
/// whatever the pieces, every name leads to its object, and an object has so many names.
pub fn rootfs(bytes: &[u8]) {
    for version in [(2, 6, 9), (2, 6, 18), (3, 10, 0), (6, 13, 0)] {
        let version = KernelVersion::new(version.0, version.1, version.2);
        let whole = kernels(version, bytes, usize::MAX);
        for piece in [1, 4096] {
            let pieces = kernels(version, bytes, piece);
            assert_eq!(whole.events, pieces.events, "{version}, {piece}");
            assert_eq!(whole.failed, pieces.failed, "{version}, {piece}");
            assert_eq!(names(&whole), names(&pieces), "{version}, {piece}");
        }
        is_sound(&whole, bytes.len());
    }
}

fn kernels(version: KernelVersion, bytes: &[u8], piece: usize) -> Outcome {
    let mut unpacker = Unpacker::new(version, true);
    let mut rest = bytes;
    for number in 0.. {
        let (segment, more) = split_at_mark(rest, SEGMENT).unwrap_or((rest, b""));
        let format = (number % 2 == 1).then_some(Format::Gzip);
        unpacker.segment(format, (bytes.len() - rest.len()) as u64);
        segment.chunks(piece).for_each(|part| unpacker.feed(part));
        unpacker.segment_end(None);
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    unpacker.finish()
}

fn names(outcome: &Outcome) -> Vec<(Vec<u8>, ObjectId, Object)> {
    let mut names = Vec::new();
    let mut add =
        |path: &[u8], id, object: &Object| names.push((path.to_vec(), id, object.clone()));
    outcome.tree.walk(&mut add);
    names
}

fn is_sound(outcome: &Outcome, length: usize) {
    let names = names(outcome);
    // The root, and what stands there before; an entry brings one more at most.
    assert!(names.len() <= 4 + length / 112, "{} names", names.len());
    let mut counts = BTreeMap::new();
    for (path, id, object) in &names {
        *counts.entry(*id).or_insert(0) += u32::from(!path.is_empty());
        assert!(object.size <= u64::from(u32::MAX));
        let found = outcome.tree.find(&[b"/", &path[..]].concat());
        if object.kind != Kind::Symlink && path.len() < 4095 {
            assert_eq!(found.unwrap(), (*id, object), "{path:?}");
        }
    }
    let told = names.iter().map(|(_, id, object)| (*id, object.links));
    assert_eq!(counts, told.collect());
    for event in &outcome.events {
        let said = format!("{}: {}", event.place, event.what);
        assert!(!said.contains(char::is_control), "{said}");
    }
}

/// How far the images of [`archive`] and [`inspect`] are followed: a hundred times as far as the seeds.
const LIMITS: Limits = Limits {
    entries: 2000,
    segments: 64,
    name: 4096,
    size: 8 << 20,
    ratio: 250,
    memory: 8 << 20,
};

/// An image that hands its bytes out in pieces.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let count = rest.len().min(self.piece).min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

fn image(bytes: &[u8], piece: usize) -> Box<dyn Read + Send> {
    let bytes = bytes.to_vec();
    Box::new(Pieces {
        bytes,
        at: 0,
        piece,
    })
}

/// What a reader of an image sees and a tap on it is shown.
#[derive(Default, PartialEq, Debug)]
struct Account {
    /// Each event, in words.
    events: Vec<String>,
    /// The data of all entries.
    data: Vec<u8>,
    limit: Option<LimitMet>,
    position: u64,
    tapped: Tapped,
}

/// What has passed, in the order of the image.
#[derive(Default, PartialEq, Debug)]
struct Tapped {
    bytes: Vec<u8>,
    marks: Vec<(usize, &'static str, u64)>,
}

impl Tap for Tapped {
    fn segment(&mut self, start: &SegmentStart) {
        self.marks.push((self.bytes.len(), "segment", start.offset));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn segment_end(&mut self, _: Option<&Member>, damage: Option<&DecodeError>) {
        let is_damaged = u64::from(damage.is_some());
        self.marks.push((self.bytes.len(), "end", is_damaged));
    }

    fn junk(&mut self, offset: u64) {
        self.marks.push((self.bytes.len(), "junk", offset));
    }
}

fn account(bytes: &[u8], piece: usize) -> Account {
    let mut archive = Archive::with_tap(image(bytes, piece), LIMITS, Tapped::default());
    if piece > 1 {
        archive = archive.apart();
    }
    let mut account = Account::default();
    let done = read(&mut archive, &mut account);
    account.position = archive.position();
    account.tapped = archive.into_tap();
    match done {
        Err(ReadError::Limit(limit)) => account.limit = Some(limit),
        done => done.unwrap(),
    }
    account
}

fn read(archive: &mut Archive<Tapped>, account: &mut Account) -> Result<(), ReadError> {
    let mut segments = 0;
    let mut is_open = false;
    let mut offset = None;
    while let Some(event) = archive.next_event()? {
        account.events.push(in_words(event.clone()));
        match event {
            Event::Segment(start) => {
                assert_eq!((start.index, is_open), (segments, false));
                (is_open, offset) = (true, None);
            }
            Event::SegmentEnd(_) => {
                assert!(is_open);
                (segments, is_open) = (segments + 1, false);
            }
            Event::Flaw(flaw) => {
                assert!(flaw.segment <= segments);
                assert!(
                    flaw.entry
                        .is_none_or(|name| name.len() as u64 <= LIMITS.name)
                );
            }
            Event::Entry(entry) => {
                assert_eq!((entry.segment, is_open), (segments, true));
                assert!(!entry.name.contains(&0) && entry.name.len() as u64 <= LIMITS.name);
                assert!(offset.is_none_or(|before| before < entry.offset));
                offset = Some(entry.offset);
                let before = account.data.len();
                archive.append_data(&mut account.data)?;
                let length = account.data.len() - before;
                assert!(length as u64 <= u64::from(entry.header.size));
            }
        }
    }
    assert!(!is_open);
    Ok(())
}

/// An event, but for how far a decoder came that met a fault.
fn in_words(mut event: Event) -> String {
    if let Event::SegmentEnd(end) = &mut event
        && let Some(member) = end.member.as_mut().filter(|member| !member.is_whole)
    {
        (end.size, member.packed) = (0, 0);
    }
    format!("{event:?}")
}

/// An image's bytes: what is read of them does not depend on the pieces in which they come, nor on the
/// thread that unpacks them, and is no more than the bounds allow.
pub fn archive(bytes: &[u8]) {
    let whole = account(bytes, usize::MAX);
    assert!(whole.position <= bytes.len() as u64);
    assert!(whole.events.len() as u64 <= 4 * (LIMITS.entries + LIMITS.segments + 1));
    assert!(whole.data.len() <= whole.tapped.bytes.len());
    for piece in [4095, 7, 1] {
        let pieces = account(bytes, piece);
        // Where a bound is met, how far the decoder had come is its own matter.
        match whole.limit.is_some() {
            true => assert_eq!(whole.limit.is_some(), pieces.limit.is_some()),
            false => assert_eq!(whole, pieces, "in pieces of {piece}"),
        }
    }
}

/// The same bytes in one member of each format, and an entry behind it: the format makes no difference.
pub fn segments(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(64 << 10)];
    let accounts = [
        Compression::Gzip,
        Compression::Xz,
        Compression::Zstd,
        Compression::Lz4,
    ]
    .map(|compression| {
        let level = *compression.levels().start();
        let encoding = Encoding::new(compression, level, NonZeroUsize::MIN);
        let mut rope = Rope::new();
        rope.push(bytes);
        let mut packed = Vec::new();
        encode(&rope, &encoding.unwrap(), &mut packed, &|_| ()).unwrap();
        packed.resize(packed.len().next_multiple_of(4), 0);
        let mut account = account(&packed, usize::MAX);
        account.events.retain(|event| !event.starts_with("Segment"));
        (account.events, account.data, account.tapped.bytes)
    });
    let [first, others @ ..] = &accounts;
    for other in others {
        assert_eq!(first.0, other.0);
        let lengths = [first, other].map(|(_, data, bytes)| (data.len(), bytes.len()));
        assert!(
            first == other,
            "the same events, and other bytes: {lengths:?}"
        );
    }
    assert!(bytes.starts_with(&first.2));
}

/// An image, judged: the same at every time of asking, whether its files are digested or not; and what
/// is told of it is lines of text, and a document.
pub fn inspect(bytes: &[u8]) {
    for kernel in [None, Some(KernelVersion::new(2, 6, 18))] {
        let guest = Guest {
            kernel,
            ..Guest::default()
        };
        let facts = inspected(bytes, &guest, Depth::Facts);
        let digests = inspected(bytes, &guest, Depth::Digests);
        let (report, again) = (report(facts), report(digests));
        assert_eq!(report, again);
        let text = report.to_string();
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text}"
        );
        let document = serde_json::to_string(&report).unwrap();
        assert!(text.len() + document.len() < 4 << 20);
        assert!(report.size <= bytes.len() as u64);
    }
}

fn inspected(bytes: &[u8], guest: &Guest, depth: Depth) -> Inspection {
    xinitrd::inspect::inspect(image(bytes, usize::MAX), LIMITS, guest, depth).unwrap()
}

fn report(mut inspection: Inspection) -> InspectionReport {
    let findings = mem::take(&mut inspection.findings);
    let verdict = Policy::default().weigh(findings);
    InspectionReport::new("image".to_owned(), &inspection, &verdict)
}

/// What stands between the two images that [`diff`] compares.
pub const OTHER: &[u8] = b"\xffOTHER";

/// Two images, compared: each is the same as itself, and what one has more than the other the other has
/// less.
pub fn diff(bytes: &[u8]) {
    let halves = split_at_mark(bytes, OTHER).unwrap_or(bytes.split_at(bytes.len() / 2));
    let [first, second] =
        [halves.0, halves.1].map(|half| inspected(half, &Guest::default(), Depth::Digests));
    for one in [&first, &second] {
        assert!(Comparison::of(one, one).is_same());
    }
    let (there, back) = (
        Comparison::of(&first, &second),
        Comparison::of(&second, &first),
    );
    assert_eq!((&there.removed, &there.added), (&back.added, &back.removed));
    assert_eq!(there.changed.len(), back.changed.len());
    assert_eq!(there.besides, back.besides);
    let text = there.to_string();
    assert!(
        !text.contains(|c: char| c.is_control() && c != '\n'),
        "{text}"
    );
}
