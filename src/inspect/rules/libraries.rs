//! Rules about what dynamic programs need before they can start: a loader, and libraries.

use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;

use crate::arch::{Arch, ElfKind};
use crate::elf::program::{ProgramFacts, Role};
use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::architecture::{architecture, is_for_processor};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::few;
use crate::inspect::picture::{Content, Item};
use crate::inspect::read::BINARY_LIMIT;
use crate::inspect::tree::Tree;
use crate::libraries::search::{Asking, SearchDirectory, SearchPaths, Wanted, search_is_bounded};

/// The rules, in order.
pub const RULES: &[&Rule] = &[&INTERPRETER_MISSING, &LIBRARY_MISSING, &STRAY_LIBRARY];

static INTERPRETER_MISSING: Rule = Rule {
    name: "interpreter-missing",
    severity: Severity::Error,
    meaning: "A dynamic program names a loader that the image does not have, or that nobody may execute.",
    reason: "The kernel starts the loader in PT_INTERP in the program's place (load_elf_binary in \
             fs/binfmt_elf.c); without it the program ends with `not found`, although it is there, and with error \
             -13 where the loader has no execute bit.",
    cure: "Put the loader in at that very path, with mode 0755, or use a static build of the program.",
};

static LIBRARY_MISSING: Rule = Rule {
    name: "library-missing",
    severity: Severity::Error,
    meaning: "A program needs a library, itself or through another one, where the loader finds none, or finds a file \
              that is none.",
    reason: "The loader looks in DT_RPATH, DT_RUNPATH, the directories of its cache and the default \
             ones (ld.so(8)), and ends the program where it finds nothing: `cannot open shared object \
             file`; or no ELF file: `invalid ELF header`.",
    cure: "Put the library into one of those directories, or use a static build of the program.",
};

static STRAY_LIBRARY: Rule = Rule {
    name: "stray-library-incomplete",
    severity: Severity::Warning,
    meaning: "A library that no program is linked to needs another one that the loader does not find.",
    reason: "Such a library is opened by name while a program runs (dlopen(3)), as those of the name \
             service and of plugins are: that fails, and what depends on it.",
    cure: "Put the other library in, or leave this one out.",
};

/// What they find.
pub fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let kind = architecture(case.guest, case.tree).map(|(kind, _)| kind);
    let Some((kind, arch)) = kind.and_then(|kind| Some((kind, Arch::of_elf(kind)?))) else {
        return;
    };
    let objects: Vec<Object<'_>> = objects(case.tree, kind).collect();
    let linking = Linking::new(case.tree, arch, &objects);
    let mut linked = HashSet::new();
    let is_program = |object: &&Object<'_>| object.facts.judge(kind, Role::Executable).is_ok();
    let needed = objects.iter().flat_map(|object| &object.facts.needed);
    let needed: HashSet<&[u8]> = needed.map(String::as_bytes).collect();
    // A library that can be run, as glibc's can, is seldom there for that.
    let is_linked_to = |program: &&Object<'_>| needed.contains(program.path.file_name());
    let started = objects.iter().filter(is_program);
    let started: Vec<_> = started
        .filter(|program| !is_linked_to(program))
        .copied()
        .collect();
    for program in &started {
        findings.extend(linking.interpreter_missing(program));
    }
    findings.extend(linking.closure(started.into_iter(), &LIBRARY_MISSING, &mut linked));
    let strays: Vec<_> = objects
        .iter()
        .filter(|object| !linked.contains(object.path))
        .collect();
    findings.extend(linking.closure(strays.into_iter().copied(), &STRAY_LIBRARY, &mut linked));
}

/// An ELF file of the image.
#[derive(Clone, Copy)]
struct Object<'c> {
    path: &'c ImagePath,
    item: &'c Item,
    facts: &'c ProgramFacts,
}

impl<'c> Object<'c> {
    fn of(
        tree: &'c Tree,
        path: &'c ImagePath,
        item: &'c Item,
        kind: ElfKind,
    ) -> Option<Object<'c>> {
        let Content::Program(facts) = tree.content(item) else {
            return None;
        };
        let facts = facts.as_ref().as_ref().ok()?;
        (facts.kind == kind).then_some(Object { path, item, facts })
    }
}

fn objects(tree: &Tree, kind: ElfKind) -> impl Iterator<Item = Object<'_>> {
    let items = tree.items().filter(|(path, _)| is_for_processor(path));
    items.filter_map(move |(path, item)| Object::of(tree, path, item, kind))
}

/// What lies where a library is looked for.
enum Library<'c> {
    /// One that can be followed.
    Object(Object<'c>),
    /// A file that is none.
    NoElf(&'c ImagePath),
    /// A file about which nothing is known, or which is told to be damaged.
    Other,
}

/// A library that an object needs and will not get.
#[derive(Clone, Copy)]
struct Lack<'c> {
    name: &'c str,
    /// What lies in its place.
    instead: Option<&'c ImagePath>,
}

/// The loader's view of an image.
struct Linking<'c> {
    tree: &'c Tree,
    paths: SearchPaths,
    kind: ElfKind,
    /// Whether the loader has a cache, in which libraries of any directory may be.
    has_cache: bool,
    /// The file names of loaders: each is a library that is there before any other.
    loaders: HashSet<&'c str>,
    by_file_name: OnceCell<HashMap<&'c [u8], Vec<&'c ImagePath>>>,
    /// How many places have been looked at.
    looks: Cell<usize>,
}

/// How many objects are followed for each of an image: more than once where `DT_RPATH`s differ.
const VISITS: usize = 16;
/// How many files of a library's name are looked at beyond those in the loader's directories.
const LIKELY: usize = 64;
/// How many places are looked at in all, some seconds' worth: the largest images have 20,000.
const LOOKS: usize = 1 << 21;

impl<'c> Linking<'c> {
    fn new(tree: &'c Tree, arch: Arch, objects: &[Object<'c>]) -> Linking<'c> {
        let loaders = objects
            .iter()
            .filter_map(|object| object.facts.interpreter.as_deref());
        let loaders: HashSet<&str> = loaders
            .map(|path| path.rsplit('/').next().unwrap_or(path))
            .collect();
        // The loader reads the cache alone, which is made of the configuration (ldconfig(8)).
        let has_cache = tree.has("etc/ld.so.cache");
        let configured = has_cache
            .then(|| SearchPaths::new(tree.root(), arch).ok())
            .flatten();
        let mut paths = configured.unwrap_or_else(|| SearchPaths::unconfigured(tree.root(), arch));
        if loaders.iter().any(|name| is_musl(name)) {
            ImagePath::new("usr/local/lib")
                .into_iter()
                .for_each(|path| paths.add_default(path));
        }
        Linking {
            tree,
            paths,
            kind: arch.elf(),
            has_cache,
            loaders,
            by_file_name: OnceCell::new(),
            looks: Cell::new(0),
        }
    }

    fn interpreter_missing(&self, program: &Object<'c>) -> Option<Finding> {
        let interpreter = program.facts.interpreter.as_deref()?;
        let path = ImagePath::new(interpreter).ok();
        let found = path.and_then(|path| self.tree.find(&path).ok());
        let mode = found.map(|(_, item)| item.entry.header.permissions());
        let state = match mode {
            Some(mode) if mode & 0o111 == 0 => format!("which has mode {mode:04o}"),
            Some(_) => return None,
            None => "not in the image".to_owned(),
        };
        let found = format!("its loader is {}, {state}", Shown(interpreter.as_bytes()));
        let expected = "the loader at that path";
        Some(Finding::new(&INTERPRETER_MISSING, found, expected).at(program.item))
    }

    /// Follows `roots` to all libraries they need; what is missing is a finding of `rule`, told of
    /// who needs it, once. `linked` gets whatever was reached.
    fn closure(
        &self,
        roots: impl Iterator<Item = Object<'c>>,
        rule: &'static Rule,
        linked: &mut HashSet<&'c ImagePath>,
    ) -> Vec<Finding> {
        let mut waiting: VecDeque<_> = roots.map(|object| (object, Vec::new())).collect();
        let mut visits = VISITS * (waiting.len() + 256);
        let mut visited: HashSet<(&ImagePath, Vec<SearchDirectory>)> = HashSet::new();
        let mut findings = Vec::new();
        while let Some((object, inherited)) = waiting.pop_front() {
            if visits == 0 || !visited.insert((object.path, inherited.clone())) {
                continue;
            }
            visits -= 1;
            if self.looks.get() > LOOKS {
                findings.push(given_up(&object, rule));
                break;
            }
            let (found, missing, rpaths) = self.needs(&object, &inherited);
            if linked.insert(object.path) {
                findings.extend(self.missing(&object, &missing, rule));
            }
            waiting.extend(found.into_iter().map(|library| (library, rpaths.clone())));
        }
        findings
    }

    /// The libraries that an object needs, those that it will not get, and what it hands on
    /// of `DT_RPATH`s.
    fn needs(
        &self,
        object: &Object<'c>,
        inherited: &[SearchDirectory],
    ) -> (Vec<Object<'c>>, Vec<Lack<'c>>, Vec<SearchDirectory>) {
        let origin = SearchDirectory::same(object.path.parent().unwrap_or_default());
        let asking = Asking {
            facts: object.facts,
            origin: &origin,
            inherited,
        };
        let rpaths = self.paths.rpaths(&asking);
        let search_path = self.paths.search_path(&asking, &rpaths);
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        if search_is_bounded(&search_path).is_err() {
            return (found, missing, rpaths);
        }
        for needed in object
            .facts
            .needed
            .iter()
            .filter(|name| !self.is_of_loader(name))
        {
            let lack = |instead| Lack {
                name: needed,
                instead,
            };
            match self.find(&self.paths.wanted(&asking, &search_path, needed)) {
                Some(Library::Object(library)) => found.push(library),
                Some(Library::NoElf(path)) => missing.push(lack(Some(path))),
                Some(Library::Other) => {}
                None => missing.push(lack(None)),
            }
        }
        (found, missing, rpaths)
    }

    fn find(&self, wanted: &Wanted<'_>) -> Option<Library<'c>> {
        let found = wanted.search(|_, path| Ok::<_, Infallible>(self.probe(&path)));
        let found = found.unwrap_or_default();
        found.or_else(|| self.elsewhere(wanted.file_name))
    }

    /// What is at `path`; what is for another machine the loader passes over.
    fn probe(&self, path: &ImagePath) -> Option<Library<'c>> {
        self.looks.set(self.looks.get() + 1);
        let (real, item) = self.tree.find(path).ok()?;
        let (path, _) = self.tree.entry(&real)?;
        let object = Object::of(self.tree, path, item, self.kind);
        match (self.tree.content(item), object) {
            (_, Some(object)) => Some(Library::Object(object)),
            (Content::Program(facts), None) if facts.is_ok() => None,
            (Content::Text(_) | Content::Opaque, None) if is_looked_into(item) => {
                Some(Library::NoElf(path))
            }
            _ => Some(Library::Other),
        }
    }

    /// A library out of sight that the loader may find all the same: by its cache, or in a directory
    /// for the processor at hand (`glibc-hwcaps`).
    fn elsewhere(&self, file_name: &str) -> Option<Library<'c>> {
        let is_hwcaps = |path: &ImagePath| {
            path.components()
                .any(|name| name == b"glibc-hwcaps" || name == b"hwcaps")
        };
        let places = self.places(file_name).iter();
        let mut seen = places
            .filter(|path| self.has_cache || is_hwcaps(path))
            .take(LIKELY);
        seen.find_map(|path| self.probe(path))
    }

    /// Every path of a file with this name.
    fn places(&self, file_name: &str) -> &[&'c ImagePath] {
        let by_file_name = self.by_file_name.get_or_init(|| {
            let mut by_file_name: HashMap<&[u8], Vec<&ImagePath>> = HashMap::new();
            for (path, _) in self.tree.items() {
                by_file_name.entry(path.file_name()).or_default().push(path);
            }
            by_file_name
        });
        by_file_name
            .get(file_name.as_bytes())
            .map_or(&[], Vec::as_slice)
    }

    /// Whether a name stands for the loader itself, which is there already. To musl several names
    /// are its own (`load_library` in its `ldso/dynlink.c`).
    fn is_of_loader(&self, needed: &str) -> bool {
        let of_musl = [
            "libc.",
            "libpthread.",
            "librt.",
            "libm.",
            "libdl.",
            "libutil.",
            "libxnet.",
        ];
        self.loaders.contains(needed)
            || self.loaders.iter().any(|name| is_musl(name))
                && of_musl.iter().any(|start| needed.starts_with(start))
    }

    fn missing(
        &self,
        object: &Object<'c>,
        missing: &[Lack<'c>],
        rule: &'static Rule,
    ) -> Option<Finding> {
        let first = missing.first()?;
        let names = few(missing.iter().map(|lack| lack.name.as_bytes()));
        let found = match (first.instead, self.places(first.name).first()) {
            (Some(file), _) => format!("it needs {names}; {file} is no ELF file"),
            (None, Some(place)) => {
                format!("it needs {names}; {place} is where the loader does not look")
            }
            (None, None) => format!("it needs {names}, not in the image"),
        };
        let expected = "each library in a directory that the loader searches";
        Some(Finding::new(rule, found, expected).at(object.item))
    }
}

/// Whether a file was looked into that is no ELF file: neither too large for that, nor empty, which is told of it.
fn is_looked_into(item: &Item) -> bool {
    (1..=BINARY_LIMIT).contains(&u64::from(item.entry.header.size))
}

/// Told of the object that would have been next: no sound image comes so far.
fn given_up(object: &Object<'_>, rule: &'static Rule) -> Finding {
    let found = format!("libraries were looked for in {LOOKS} places before its own");
    Finding::new(rule, found, "as many as can be looked at").at(object.item)
}

fn is_musl(loader: &str) -> bool {
    loader.starts_with("ld-musl-")
}
