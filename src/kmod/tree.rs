//! A kernel's module directory, with as many of depmod's index files as it has.
//!
//! What an index file says is taken from it; where it is missing, from the modules themselves. So
//! a tree that depmod has never seen, as a package holds it, answers the same questions, only
//! later.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use indexmap::{IndexMap, IndexSet};

use super::aliases::{AliasIndex, Cost};
use super::builtin::Builtin;
use super::config::ModprobeConfig;
use super::dep_file::{DepFile, Needs};
use super::lines::lines;
use super::modinfo::{Modinfo, Softdep};
use super::module_file::{self, Depth, ModuleFault, ModuleFile};
use super::name::{ModuleName, is_module_file};
use super::note::Note;
use crate::image_path::{BadPath, ImagePath};
use crate::root::{LookupError, Root, if_there};

/// A module of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId(usize);

/// What is known of a module from its place alone.
#[derive(Debug)]
struct Module {
    /// Relative to the module directory.
    path: ImagePath,
    /// Where `modules.dep` says what it needs.
    listed: Option<Needs>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// These modules, in load order.
    Modules(Vec<ModuleId>),
    /// A driver that the kernel has built in.
    Builtin(ModuleName),
    /// Nothing.
    Nothing,
}

/// The files that were read, or why they could not be.
type Loaded = HashMap<ModuleId, Result<ModuleFile, ModuleFault>>;

/// Soft or weak dependencies by module.
type ByModule<T> = HashMap<ModuleName, Vec<T>>;

/// A module directory.
pub struct ModuleTree<'r> {
    root: &'r Root,
    directory: ImagePath,
    threads: NonZeroUsize,
    /// By name, each at its strongest path; a [`ModuleId`] is a place in it.
    modules: IndexMap<ModuleName, Module>,
    dep_file: DepFile,
    builtin: Builtin,
    /// What it has cost to ask for what is built in.
    builtin_cost: Cost,
    assumed_builtin: HashSet<ModuleName>,
    config: ModprobeConfig,
    softdeps: Option<ByModule<Softdep>>,
    weakdeps: Option<ByModule<Vec<String>>>,
    aliases: OnceCell<AliasIndex>,
    files: RefCell<Loaded>,
    walked: bool,
    notes: RefCell<IndexSet<Note>>,
}

/// Where modules that override the kernel's own lie, the strongest first: `updates` as depmod has it
/// of itself, the others as Red Hat's `search` line names them (`depmod.d(5)`). That line has
/// `weak-updates` after the kernel's own; here what was added to a tree is taken to be meant.
const OVERRIDES: [&[u8]; 3] = [b"updates", b"extra", b"weak-updates"];

/// Names that depmod passes over wherever they stand (`depmod_modules_search_dir` in kmod's
/// `tools/depmod.c`): by them a module directory leads to the kernel's sources.
const NOT_SEARCHED: [&[u8]; 2] = [b"build", b"source"];

/// How strong a path is: the lower the stronger.
fn rank(path: &ImagePath) -> usize {
    let top = path.components().next().unwrap_or_default();
    OVERRIDES
        .iter()
        .position(|name| *name == top)
        .unwrap_or(OVERRIDES.len())
}

impl<'r> ModuleTree<'r> {
    /// Opens `directory`, `lib/modules/RELEASE` in `root`, and reads what index files it has.
    /// `threads` bounds how many read modules at a time.
    ///
    /// # Errors
    /// When the directory, or an index file in it, cannot be read.
    pub fn open(
        root: &'r Root,
        directory: &ImagePath,
        config: ModprobeConfig,
        threads: NonZeroUsize,
    ) -> Result<Self, LookupError> {
        let index = |name: &str| read_index(root, directory, name);
        let builtin = index("modules.builtin")?;
        let builtin_modinfo = index("modules.builtin.modinfo")?;
        let mut tree = ModuleTree {
            root,
            directory: directory.clone(),
            threads,
            modules: IndexMap::new(),
            dep_file: DepFile::default(),
            builtin: Builtin::parse(builtin.as_deref(), builtin_modinfo.as_deref()),
            builtin_cost: Cost::default(),
            assumed_builtin: HashSet::new(),
            config,
            softdeps: index("modules.softdep")?.map(|text| by_module(config_of(&text).softdeps)),
            weakdeps: index("modules.weakdep")?.map(|text| by_module(config_of(&text).weakdeps)),
            aliases: OnceCell::new(),
            files: RefCell::default(),
            walked: false,
            notes: RefCell::default(),
        };
        if let Some(text) = index("modules.alias")? {
            tree.aliases = OnceCell::from(AliasIndex::new(text));
        }
        match index("modules.dep")? {
            Some(text) => tree.index_dep_file(text)?,
            None => tree.walk_all()?,
        }
        Ok(tree)
    }

    fn index_dep_file(&mut self, text: Vec<u8>) -> Result<(), LookupError> {
        let dep_file = DepFile::new(text);
        let mut garbage = Vec::new();
        for line in dep_file.lines() {
            match line {
                Ok((path, needs)) => {
                    self.add(path, Some(needs));
                }
                Err(number) => garbage.push(number),
            }
        }
        self.dep_file = dep_file;
        self.note_garbage(&garbage);
        for directory in OVERRIDES {
            self.walk_into(&self.directory.join(directory)?)?;
        }
        Ok(())
    }

    /// Notes that lines of `modules.dep` are none.
    fn note_garbage(&self, lines: &[usize]) {
        if let Some(&first) = lines.first() {
            self.note(Note::Garbage {
                file: self.shown(&ImagePath::new("modules.dep").unwrap_or_default()),
                count: lines.len(),
                first,
            });
        }
    }

    /// Finds every module there is; those known already stay as they are. What is called like a
    /// module and cannot be used is one only where nothing else is: depmod passes it over, and
    /// whoever asks for it is to be told what is wrong with it.
    fn walk_all(&mut self) -> Result<(), LookupError> {
        self.walked = true;
        let unusable = self.walk_into(&self.directory.clone())?;
        for path in self.unknown(unusable)? {
            let name = ModuleName::new(path.file_name());
            if self.id(&name).is_none() && self.find_builtin(name.as_bytes()).is_none() {
                self.add(path, None);
            }
        }
        Ok(())
    }

    /// Finds the modules in `directory`; gives the paths that are called so and cannot be used.
    fn walk_into(&mut self, directory: &ImagePath) -> Result<Vec<ImagePath>, LookupError> {
        let walked = match self.root.walk(directory, &is_module_file, &NOT_SEARCHED) {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            walked => walked?,
        };
        for path in self.in_modules_order(self.unknown(walked.files)?)? {
            if !self.dep_file.is_empty() {
                let module = self.shown(&path);
                self.note(Note::NotInDep { module });
            }
            self.add(path, None);
        }
        Ok(walked.unusable)
    }

    /// Those of `paths` that would be a module's, made relative to the module directory.
    fn unknown(&self, paths: Vec<ImagePath>) -> Result<Vec<ImagePath>, BadPath> {
        let depth = self.directory.components().count();
        let mut unknown = Vec::with_capacity(paths.len());
        for path in paths {
            let below: Vec<&[u8]> = path.components().skip(depth).collect();
            let path = ImagePath::new(below.join(&b'/'))?;
            if !self.has(&ModuleName::new(path.file_name()), &path) {
                unknown.push(path);
            }
        }
        Ok(unknown)
    }

    /// Paths in the order of `modules.order`, which is the kernel's link order and decides which of
    /// several modules behind one alias comes first.
    fn in_modules_order(&self, paths: Vec<ImagePath>) -> Result<Vec<ImagePath>, LookupError> {
        if paths.is_empty() {
            return Ok(paths);
        }
        let text = self.index("modules.order")?.unwrap_or_default();
        let position: HashMap<&[u8], usize> = lines(&text).zip(0..).collect();
        let mut ordered: Vec<(usize, ImagePath)> = paths
            .into_iter()
            .map(|path| {
                let unpacked = super::name::unpacked_file_name(path.as_bytes());
                (position.get(unpacked).copied().unwrap_or(usize::MAX), path)
            })
            .collect();
        ordered.sort_unstable();
        Ok(ordered.into_iter().map(|(_, path)| path).collect())
    }

    /// Adds the module at `path`, unless there is one of its name at a path as strong.
    fn add(&mut self, path: ImagePath, listed: Option<Needs>) -> ModuleId {
        let name = ModuleName::new(path.file_name());
        match self.id(&name) {
            Some(id) if self.has(&name, &path) => id,
            _ => ModuleId(self.modules.insert_full(name, Module { path, listed }).0),
        }
    }

    /// Whether there is a module called `name` at a path as strong as `path`.
    fn has(&self, name: &ModuleName, path: &ImagePath) -> bool {
        let known = self.modules.get(name);
        known.is_some_and(|module| rank(&module.path) <= rank(path))
    }

    fn id(&self, name: &ModuleName) -> Option<ModuleId> {
        self.modules.get_index_of(name).map(ModuleId)
    }

    fn index(&self, name: &str) -> Result<Option<Vec<u8>>, LookupError> {
        read_index(self.root, &self.directory, name)
    }

    /// Keeps a note with those of the tree.
    pub(super) fn note(&self, note: Note) {
        self.notes.borrow_mut().insert(note);
    }

    /// What was seen on the way, each thing once.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.notes.borrow().iter().cloned().collect()
    }

    /// The module's path in the module directory.
    #[must_use]
    pub fn path(&self, id: ModuleId) -> &ImagePath {
        &self.module(id).path
    }

    /// The module's name.
    #[must_use]
    pub fn name(&self, id: ModuleId) -> &ModuleName {
        self.entry(id).0
    }

    fn module(&self, id: ModuleId) -> &Module {
        self.entry(id).1
    }

    // An id is a place in this very map, handed out when the module was put there.
    #[allow(clippy::expect_used)]
    fn entry(&self, id: ModuleId) -> (&ModuleName, &Module) {
        self.modules.get_index(id.0).expect("a module of this tree")
    }

    /// How a person names a path of the module directory.
    #[must_use]
    pub fn shown(&self, path: &ImagePath) -> String {
        match self.in_root(path) {
            Ok(path) => self.root.shown(&path),
            Err(_) => path.to_string(),
        }
    }

    /// A path of the module directory as one of the root.
    fn in_root(&self, path: &ImagePath) -> Result<ImagePath, BadPath> {
        ImagePath::new([self.directory.as_bytes(), b"/", path.as_bytes()].concat())
    }

    /// Every module, in the order of the index.
    pub fn ids(&self) -> impl Iterator<Item = ModuleId> + use<> {
        (0..self.modules.len()).map(ModuleId)
    }

    /// Names of modules and of built-in ones, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = ModuleName> {
        self.modules.keys().cloned().chain(self.builtin.names())
    }

    /// The configuration the tree was opened with.
    #[must_use]
    pub fn config(&self) -> &ModprobeConfig {
        &self.config
    }

    /// Has `name` count as built in, whatever the tree says.
    pub fn assume_builtin(&mut self, name: ModuleName) {
        self.assumed_builtin.insert(name);
    }

    /// Whether the user says the module is built in.
    #[must_use]
    pub fn is_assumed_builtin(&self, id: ModuleId) -> bool {
        self.assumed_builtin.contains(self.name(id))
    }

    /// What `name` stands for, asked as modprobe asks: the configuration's aliases, modules by
    /// name, aliases, what is built in.
    ///
    /// # Errors
    /// When the tree has to be walked or scanned for it and cannot be read.
    pub fn find(&mut self, name: &str) -> Result<Found, LookupError> {
        let module_name = ModuleName::new(name);
        if self.assumed_builtin.contains(&module_name) {
            return Ok(Found::Builtin(module_name));
        }
        for target in self.config.aliased(name.as_bytes()) {
            // An alias may name another alias, but only of the tree: circles end here.
            let found = self.find_in_tree(&target.to_string())?;
            if found != Found::Nothing {
                return Ok(found);
            }
        }
        self.find_in_tree(name)
    }

    fn find_in_tree(&mut self, name: &str) -> Result<Found, LookupError> {
        let found = self.find_indexed(name);
        if found != Found::Nothing || self.walked {
            return Ok(found);
        }
        self.walk_all()?;
        Ok(self.find_indexed(name))
    }

    fn find_indexed(&self, name: &str) -> Found {
        if let Some(id) = self.id(&ModuleName::new(name)) {
            return Found::Modules(vec![id]);
        }
        let by_alias = self.find_alias(name.as_bytes());
        if !by_alias.is_empty() {
            return Found::Modules(by_alias);
        }
        match self.find_builtin(name.as_bytes()) {
            Some(name) => Found::Builtin(name),
            None => Found::Nothing,
        }
    }

    fn find_builtin(&self, name: &[u8]) -> Option<ModuleName> {
        self.builtin.find(name, &self.builtin_cost)
    }

    fn find_alias(&self, name: &[u8]) -> Vec<ModuleId> {
        let mut ids: Vec<ModuleId> = Vec::new();
        for module in self.aliases().matching(name) {
            if let Some(id) = self.id(&module).filter(|id| !ids.contains(id)) {
                ids.push(id);
            }
        }
        if self.aliases().is_spent() {
            self.note(Note::AliasesGivenUp);
        }
        ids
    }

    /// All aliases: those of `modules.alias`, or where there is none the modules' own.
    fn aliases(&self) -> &AliasIndex {
        self.aliases.get_or_init(|| {
            let ids: Vec<ModuleId> = self.ids().collect();
            let infos = module_file::scan(self.root, &self.full_paths(&ids), self.threads);
            let mut found = AliasIndex::default();
            for (id, info) in ids.into_iter().zip(infos) {
                match info {
                    Ok(info) => info
                        .all("alias")
                        .for_each(|alias| found.push(alias, self.name(id))),
                    Err(fault) => self.note(Note::Unreadable {
                        module: self.shown(self.path(id)),
                        fault: fault.to_string(),
                    }),
                }
            }
            found
        })
    }

    fn full_paths(&self, ids: &[ModuleId]) -> Vec<Result<ImagePath, BadPath>> {
        ids.iter().map(|&id| self.in_root(self.path(id))).collect()
    }

    /// Reads what the files of `ids` say that were not read yet, several at a time.
    pub fn load(&self, ids: &[ModuleId]) {
        self.load_to(Depth::Facts, ids, |files, id| !files.contains_key(id));
    }

    /// Reads the files of `ids` that were not read whole yet, several at a time.
    pub fn load_whole(&self, ids: &[ModuleId]) {
        self.load_to(Depth::Whole, ids, |files, id| match files.get(id) {
            Some(Ok(file)) => file.content.is_none(),
            known => known.is_none(),
        });
    }

    fn load_to(
        &self,
        depth: Depth,
        ids: &[ModuleId],
        is_missing: impl Fn(&Loaded, &ModuleId) -> bool,
    ) {
        let known = self.files.borrow();
        let missing = ids.iter().copied().filter(|id| is_missing(&known, id));
        let missing: Vec<ModuleId> = missing.collect();
        drop(known);
        let paths = self.full_paths(&missing);
        let loaded = module_file::load(self.root, &paths, depth, self.threads);
        self.files
            .borrow_mut()
            .extend(missing.into_iter().zip(loaded));
    }

    /// Asks the module's file, which is read once; `None` where it cannot be used.
    pub fn ask<T>(&self, id: ModuleId, question: impl FnOnce(&ModuleFile) -> T) -> Option<T> {
        self.load(&[id]);
        let files = self.files.borrow();
        files.get(&id)?.as_ref().ok().map(question)
    }

    /// Hands over what is wrong with those of `ids` that were read and cannot be used.
    pub fn take_faults(&self, ids: &[ModuleId]) -> Vec<(ModuleId, ModuleFault)> {
        let mut files = self.files.borrow_mut();
        let bad = |id: &ModuleId| matches!(files.get(id), Some(Err(_)));
        let bad: Vec<ModuleId> = ids.iter().copied().filter(bad).collect();
        let faults = bad
            .into_iter()
            .filter_map(|id| Some((id, files.remove(&id)?.err()?)));
        faults.collect()
    }

    /// Hands the module's file over.
    pub fn take_file(&self, id: ModuleId) -> Option<ModuleFile> {
        self.files.borrow_mut().remove(&id)?.ok()
    }

    /// What the module says of itself; nothing where it cannot be read, which is reported when its
    /// file is judged.
    #[must_use]
    pub fn modinfo(&self, id: ModuleId) -> Modinfo {
        self.ask(id, |file| file.modinfo.clone())
            .unwrap_or_default()
    }

    /// What `modules.dep` says the module needs, first to be loaded first; `None` where it has no
    /// line for it. A `modules.dep` older than an override still names the kernel's own module: the
    /// strongest of its name is meant.
    pub fn listed_needs(&mut self, id: ModuleId) -> Option<Vec<ModuleId>> {
        let needs = self.module(id).listed.clone()?;
        let paths: Option<Vec<ImagePath>> = self.dep_file.needs(&needs).collect();
        let Some(paths) = paths else {
            self.note_garbage(&[needs.line]);
            return None;
        };
        let mut ids: Vec<ModuleId> = Vec::with_capacity(paths.len());
        for path in paths.into_iter().rev() {
            let known = self.id(&ModuleName::new(path.file_name()));
            ids.push(known.unwrap_or_else(|| self.add(path, None)));
        }
        Some(ids)
    }

    /// The module's soft dependencies, configuration first.
    #[must_use]
    pub fn softdeps(&self, id: ModuleId) -> Vec<Softdep> {
        let name = self.name(id);
        let configured = self
            .config
            .softdeps
            .iter()
            .filter(|(module, _)| module == name);
        let mut softdeps: Vec<Softdep> = configured.map(|(_, softdep)| softdep.clone()).collect();
        match &self.softdeps {
            Some(listed) => softdeps.extend(listed.get(name).cloned().unwrap_or_default()),
            None => softdeps.extend(self.modinfo(id).softdeps()),
        }
        softdeps
    }

    /// What the module may want later, configuration first.
    #[must_use]
    pub fn weakdeps(&self, id: ModuleId) -> Vec<String> {
        let name = self.name(id);
        let configured = self
            .config
            .weakdeps
            .iter()
            .filter(|(module, _)| module == name);
        let mut weakdeps: Vec<String> = configured.flat_map(|(_, names)| names.clone()).collect();
        match &self.weakdeps {
            Some(listed) => {
                weakdeps.extend(listed.get(name).into_iter().flatten().flatten().cloned())
            }
            None => weakdeps.extend(self.modinfo(id).weakdeps()),
        }
        weakdeps
    }
}

/// The largest index file that is read, in bytes: a distribution's have 2 MiB at most, and what is
/// known of a line takes more memory than the line.
const INDEX_LIMIT: u64 = 16 << 20;

/// An index file of a module directory, where there is one.
fn read_index(
    root: &Root,
    directory: &ImagePath,
    name: &str,
) -> Result<Option<Vec<u8>>, LookupError> {
    let path = directory.join(name.as_bytes())?;
    root.at(&path, if_there(root.read_at_most(&path, INDEX_LIMIT)))
}

/// An index file in the form of a configuration, as `modules.softdep` and `modules.weakdep` are.
fn config_of(text: &[u8]) -> ModprobeConfig {
    let mut config = ModprobeConfig::default();
    config.add(text);
    config
}

fn by_module<T>(lines: Vec<(ModuleName, T)>) -> ByModule<T> {
    let mut by_module = ByModule::new();
    for (module, said) in lines {
        by_module.entry(module).or_default().push(said);
    }
    by_module
}
