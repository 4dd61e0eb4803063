//! A kernel's module directory, with as many of depmod's index files as it has.
//!
//! What an index file says is taken from it; where it is missing, from the modules themselves. So
//! a tree that depmod has never seen, as a package holds it, answers the same questions, only
//! later.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::rc::Rc;

use super::aliases::{self, Alias, normalise};
use super::builtin::Builtin;
use super::config::ModprobeConfig;
use super::dep_file::{self, DepLine};
use super::modinfo::{Modinfo, Softdep};
use super::module_file::{self, ModuleFault, ModuleFile};
use super::name::{ModuleName, is_module_file};
use crate::image_path::{BadPath, ImagePath};
use crate::root::{LookupError, Root};

/// A module of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId(usize);

/// What is known of a module from its place alone.
#[derive(Debug)]
struct Module {
    /// Relative to the module directory.
    path: ImagePath,
    name: ModuleName,
    /// What `modules.dep` says it needs, first to be loaded first.
    needs: Option<Vec<ModuleId>>,
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

/// Something seen in a tree that does not stop a build and that its owner may want to know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// Lines of an index file that are none.
    #[error("{file}: {count} lines are not of its format, the first is line {first}; passed over")]
    Garbage {
        /// The file.
        file: String,
        /// How many.
        count: usize,
        /// The number of the first, from 1.
        first: usize,
    },
    /// A module file that `modules.dep` does not list.
    #[error("{module} is not in modules.dep, which seems older: run depmod in the root")]
    NotInDep {
        /// Its path in the module directory.
        module: ImagePath,
    },
    /// `modules.dep` lists a need that the module's own `depends=` does not lead to.
    #[error("{module}: modules.dep says it needs {listed}, the module itself does not")]
    OnlyListed {
        /// The module.
        module: ModuleName,
        /// What only `modules.dep` says it needs.
        listed: ModuleName,
    },
    /// A soft dependency that nothing provides.
    #[error(
        "{module}: its soft dependency {wanted} is not in the tree; left out, as modprobe does"
    )]
    SoftdepMissing {
        /// The module.
        module: ModuleName,
        /// What it would like.
        wanted: String,
    },
    /// Soft dependencies that go round in a circle.
    #[error("{module}: its soft dependency {wanted} leads back to itself; the circle is cut there")]
    SoftCycle {
        /// The module.
        module: ModuleName,
        /// The dependency that leads back.
        wanted: ModuleName,
    },
    /// A module that could not be read while aliases were looked for.
    #[error("{module}: {fault}; its aliases are unknown")]
    Unreadable {
        /// Its path in the module directory.
        module: ImagePath,
        /// Why.
        fault: String,
    },
}

/// Soft or weak dependencies by module.
type ByModule<T> = HashMap<ModuleName, Vec<T>>;

/// A module directory.
pub struct ModuleTree<'r> {
    root: &'r Root,
    directory: ImagePath,
    threads: NonZeroUsize,
    modules: Vec<Module>,
    by_name: HashMap<ModuleName, ModuleId>,
    by_path: HashMap<ImagePath, ModuleId>,
    builtin: Builtin,
    assumed_builtin: HashSet<ModuleName>,
    config: ModprobeConfig,
    softdeps: Option<ByModule<Softdep>>,
    weakdeps: Option<ByModule<String>>,
    aliases: OnceCell<Vec<Alias>>,
    files: RefCell<HashMap<ModuleId, Rc<Result<ModuleFile, ModuleFault>>>>,
    walked: bool,
    notes: RefCell<Vec<Note>>,
}

/// Where modules that override the kernel's own lie, the strongest first (`depmod.d(5)`, and the
/// `search` line distributions ship).
const OVERRIDES: [&[u8]; 3] = [b"updates", b"extra", b"weak-updates"];

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
            modules: Vec::new(),
            by_name: HashMap::new(),
            by_path: HashMap::new(),
            builtin: Builtin::parse(builtin.as_deref(), builtin_modinfo.as_deref()),
            assumed_builtin: HashSet::new(),
            config,
            softdeps: index("modules.softdep")?.map(|text| parse_softdeps(&text)),
            weakdeps: index("modules.weakdep")?.map(|text| parse_weakdeps(&text)),
            aliases: OnceCell::new(),
            files: RefCell::default(),
            walked: false,
            notes: RefCell::default(),
        };
        if let Some(text) = index("modules.alias")? {
            tree.aliases = OnceCell::from(aliases::parse(&text));
        }
        match index("modules.dep")? {
            Some(text) => tree.index_dep_file(&text)?,
            None => tree.walk_all()?,
        }
        Ok(tree)
    }

    fn index_dep_file(&mut self, text: &[u8]) -> Result<(), LookupError> {
        let (lines, garbage) = dep_file::parse(text);
        if let Some(&first) = garbage.first() {
            let file = self.shown(&ImagePath::new("modules.dep")?);
            self.note(Note::Garbage {
                file,
                count: garbage.len(),
                first,
            });
        }
        for line in &lines {
            self.add(line.module.clone());
        }
        for DepLine { module, needs } in lines {
            let needs = needs.into_iter().rev().map(|path| self.add(path)).collect();
            let id = self.add(module);
            if let Some(module) = self.modules.get_mut(id.0) {
                module.needs.get_or_insert(needs);
            }
        }
        for directory in OVERRIDES {
            self.walk_into(&self.directory.join(directory)?)?;
        }
        self.prefer_overrides();
        Ok(())
    }

    /// Has every need mean the strongest module of its name: a `modules.dep` older than an override
    /// still names the kernel's own.
    fn prefer_overrides(&mut self) {
        let strongest: Vec<ModuleId> = (0..self.modules.len())
            .map(|n| {
                self.by_name
                    .get(self.name(ModuleId(n)))
                    .copied()
                    .unwrap_or(ModuleId(n))
            })
            .collect();
        for need in self
            .modules
            .iter_mut()
            .flat_map(|module| module.needs.iter_mut().flatten())
        {
            *need = strongest.get(need.0).copied().unwrap_or(*need);
        }
    }

    /// Finds every module there is; those known already stay as they are.
    fn walk_all(&mut self) -> Result<(), LookupError> {
        self.walked = true;
        self.walk_into(&self.directory.clone())
    }

    fn walk_into(&mut self, directory: &ImagePath) -> Result<(), LookupError> {
        let depth = self.directory.components().count();
        let indexed = !self.modules.is_empty();
        let paths = match self.root.walk(directory, &is_module_file) {
            Err(error) if error.is_missing() => return Ok(()),
            found => found?,
        };
        for path in self.in_modules_order(paths, depth)? {
            if !self.by_path.contains_key(&path) {
                if indexed {
                    self.note(Note::NotInDep {
                        module: path.clone(),
                    });
                }
                self.add(path);
            }
        }
        Ok(())
    }

    /// Paths made relative to the module directory, in the order of `modules.order`, which is the
    /// kernel's link order and decides which of several modules behind one alias comes first.
    fn in_modules_order(
        &self,
        paths: Vec<ImagePath>,
        depth: usize,
    ) -> Result<Vec<ImagePath>, LookupError> {
        let text = self.index("modules.order")?.unwrap_or_default();
        let position: HashMap<Vec<u8>, usize> = text
            .split(|&b| b == b'\n')
            .enumerate()
            .map(|(n, line)| (line.to_vec(), n))
            .collect();
        let mut relative = Vec::with_capacity(paths.len());
        for path in paths {
            let below: Vec<&[u8]> = path.components().skip(depth).collect();
            let path = ImagePath::new(below.join(&b'/'))?;
            let unpacked = super::name::unpacked_file_name(path.as_bytes());
            let order = position.get(unpacked).copied().unwrap_or(usize::MAX);
            relative.push((order, path));
        }
        relative.sort_unstable();
        Ok(relative.into_iter().map(|(_, path)| path).collect())
    }

    /// Adds the module at `path`, or finds it: the strongest path of a name is what the name means.
    fn add(&mut self, path: ImagePath) -> ModuleId {
        if let Some(&id) = self.by_path.get(&path) {
            return id;
        }
        let id = ModuleId(self.modules.len());
        let name = ModuleName::new(path.file_name());
        let weaker = self
            .by_name
            .get(&name)
            .is_some_and(|&other| rank(self.path(other)) <= rank(&path));
        if !weaker {
            self.by_name.insert(name.clone(), id);
        }
        self.by_path.insert(path.clone(), id);
        self.modules.push(Module {
            path,
            name,
            needs: None,
        });
        id
    }

    fn index(&self, name: &str) -> Result<Option<Vec<u8>>, LookupError> {
        read_index(self.root, &self.directory, name)
    }

    fn note(&self, note: Note) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Keeps a note with those of the tree.
    pub(super) fn remark(&self, note: Note) {
        self.note(note);
    }

    /// What was seen on the way, each thing once.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.notes.borrow().clone()
    }

    /// The module's path in the module directory.
    #[must_use]
    pub fn path(&self, id: ModuleId) -> &ImagePath {
        &self.module(id).path
    }

    /// The module's name.
    #[must_use]
    pub fn name(&self, id: ModuleId) -> &ModuleName {
        &self.module(id).name
    }

    // An id is an index into this very list, handed out when the module was pushed to it.
    #[allow(clippy::indexing_slicing)]
    fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.0]
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

    /// Every module's id, in the order of the index.
    pub fn ids(&self) -> impl Iterator<Item = ModuleId> + use<> {
        (0..self.modules.len()).map(ModuleId)
    }

    /// Names of modules and of built-in ones, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &ModuleName> {
        self.by_name.keys().chain(self.builtin.names())
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
        if let Some(&id) = self.by_name.get(&ModuleName::new(name)) {
            return Found::Modules(vec![id]);
        }
        let by_alias = self.find_alias(name.as_bytes());
        if !by_alias.is_empty() {
            return Found::Modules(by_alias);
        }
        match self.builtin.find(name.as_bytes()) {
            Some(name) => Found::Builtin(name),
            None => Found::Nothing,
        }
    }

    fn find_alias(&self, name: &[u8]) -> Vec<ModuleId> {
        let normalised = normalise(name);
        let mut ids: Vec<ModuleId> = Vec::new();
        for alias in self
            .aliases()
            .iter()
            .filter(|alias| alias.matches(&normalised))
        {
            if let Some(&id) = self
                .by_name
                .get(&alias.module)
                .filter(|id| !ids.contains(id))
            {
                ids.push(id);
            }
        }
        ids
    }

    /// All aliases: those of `modules.alias`, or where there is none the modules' own.
    fn aliases(&self) -> &[Alias] {
        self.aliases.get_or_init(|| {
            let ids: Vec<ModuleId> = self.ids().collect();
            let infos = module_file::scan(self.root, &self.full_paths(&ids), self.threads);
            let mut found = Vec::new();
            for (id, info) in ids.into_iter().zip(infos) {
                match info {
                    Ok(info) => {
                        let name = self.name(id);
                        found.extend(info.all("alias").map(|a| Alias::new(a, name.clone())));
                    }
                    Err(fault) => self.note(Note::Unreadable {
                        module: self.path(id).clone(),
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

    /// Reads the files of `ids` that were not read yet, several at a time.
    pub fn load(&self, ids: &[ModuleId]) {
        let missing: Vec<ModuleId> = ids
            .iter()
            .copied()
            .filter(|id| !self.files.borrow().contains_key(id))
            .collect();
        let loaded = module_file::load(self.root, &self.full_paths(&missing), self.threads);
        let entries = missing.into_iter().zip(loaded.into_iter().map(Rc::new));
        self.files.borrow_mut().extend(entries);
    }

    /// The module's file, read once.
    pub fn file(&self, id: ModuleId) -> Rc<Result<ModuleFile, ModuleFault>> {
        self.load(&[id]);
        let known = self.files.borrow().get(&id).cloned();
        known.unwrap_or_else(|| Rc::new(Err(ModuleFault::Lookup(LookupError::Missing))))
    }

    /// Hands the module's file over; it is read again if it is asked for again.
    pub fn take_file(&self, id: ModuleId) -> Rc<Result<ModuleFile, ModuleFault>> {
        let file = self.file(id);
        self.files.borrow_mut().remove(&id);
        file
    }

    /// Puts back a file that was taken.
    pub fn put_back(&self, id: ModuleId, file: Rc<Result<ModuleFile, ModuleFault>>) {
        self.files.borrow_mut().insert(id, file);
    }

    /// What the module says of itself; nothing where it cannot be read, which is reported when its
    /// file is judged.
    #[must_use]
    pub fn modinfo(&self, id: ModuleId) -> Modinfo {
        match self.file(id).as_ref() {
            Ok(file) => file.modinfo.clone(),
            Err(_) => Modinfo::default(),
        }
    }

    /// What `modules.dep` says the module needs, first to be loaded first; `None` where it has no
    /// line for it.
    #[must_use]
    pub fn listed_needs(&self, id: ModuleId) -> Option<&[ModuleId]> {
        self.module(id).needs.as_deref()
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
            Some(listed) => weakdeps.extend(listed.get(name).cloned().unwrap_or_default()),
            None => weakdeps.extend(self.modinfo(id).weakdeps()),
        }
        weakdeps
    }
}

/// An index file of a module directory, where there is one.
fn read_index(
    root: &Root,
    directory: &ImagePath,
    name: &str,
) -> Result<Option<Vec<u8>>, LookupError> {
    let path = directory.join(name.as_bytes())?;
    root.at(&path, root.read_if_there(&path))
}

/// `softdep MODULE pre: A post: B` a line, as in a configuration.
fn parse_softdeps(text: &[u8]) -> ByModule<Softdep> {
    let mut config = ModprobeConfig::default();
    config.add(text);
    let mut by_module = ByModule::new();
    for (module, softdep) in config.softdeps {
        by_module.entry(module).or_default().push(softdep);
    }
    by_module
}

/// `weakdep MODULE A B` a line.
fn parse_weakdeps(text: &[u8]) -> ByModule<String> {
    let mut config = ModprobeConfig::default();
    config.add(text);
    let mut by_module = ByModule::new();
    for (module, names) in config.weakdeps {
        by_module.entry(module).or_default().extend(names);
    }
    by_module
}
