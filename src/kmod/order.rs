//! From what is asked for to what is loaded, in which order.
//!
//! The rules are modprobe's (`libkmod`, `kmod_module_probe_insert_module`): for each module first
//! its soft dependencies of the `pre` kind, then all it needs, then itself, then the `post` kind;
//! each once. Where a module has several `softdep` lines only the first is followed, as modprobe
//! does; the others are included without being loaded.

use std::collections::{HashMap, HashSet};

use super::modinfo::Softdep;
use super::name::ModuleName;
use super::note::Note;
use super::tree::{Found, ModuleId, ModuleTree};
use crate::root::LookupError;

/// The deepest nesting of soft dependencies that is followed; real ones reach 3.
const NESTING_LIMIT: usize = 200;

/// What is to be loaded, and what is only to be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadOrder {
    /// Modules to load, prerequisites first.
    pub load: Vec<ModuleId>,
    /// Modules, with all they need, that go in without being loaded.
    pub include: Vec<ModuleId>,
    /// What was asked for, or needed, and is built into the kernel.
    pub builtin: Vec<ModuleName>,
    needs: HashMap<ModuleId, Vec<ModuleId>>,
}

impl LoadOrder {
    /// All that a module of this order needs, direct or not, prerequisites first.
    #[must_use]
    pub fn needs_of(&self, id: ModuleId) -> &[ModuleId] {
        self.needs.get(&id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Why a load order is none.
#[derive(Debug, thiserror::Error)]
pub enum OrderFault {
    /// Nothing in the tree answers to the name.
    #[error("no module, alias or built-in driver is called {name}")]
    NotFound {
        /// The name.
        name: String,
        /// Names that are spelt nearly so.
        nearest: Vec<String>,
    },
    /// A module needs another that the tree does not have.
    #[error("it needs {needed}, which is neither in the tree nor built in")]
    NeededMissing {
        /// The module.
        module: ModuleId,
        /// What it needs.
        needed: ModuleName,
    },
    /// `modules.dep` does not list what a module says it needs.
    #[error("it needs {needed}, which modules.dep does not list")]
    DepFileStale {
        /// The module.
        module: ModuleId,
        /// What it needs.
        needed: ModuleName,
    },
    /// Modules that need each other.
    #[error("modules need each other: {}", names(circle))]
    Cycle {
        /// The circle, its first element again at its end.
        circle: Vec<ModuleName>,
    },
    /// Soft dependencies nest without end.
    #[error("soft dependencies nest more than {NESTING_LIMIT} deep at {module}")]
    TooDeep {
        /// Where it was given up.
        module: ModuleName,
    },
    /// The tree could not be read.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

fn names(circle: &[ModuleName]) -> String {
    circle
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" -> ")
}

/// Builds a [`LoadOrder`], request by request.
pub struct Resolver<'t, 'r> {
    tree: &'t mut ModuleTree<'r>,
    order: LoadOrder,
    loaded: HashSet<ModuleId>,
    included: HashSet<ModuleId>,
    /// Modules whose turn has come, as kmod marks them.
    visited: HashSet<ModuleId>,
    faults: Vec<OrderFault>,
    /// The circles among them, each from its first module on.
    circles: HashSet<Vec<ModuleId>>,
    /// What later `softdep` lines name.
    left_out: Vec<String>,
}

impl<'t, 'r> Resolver<'t, 'r> {
    /// A resolver with nothing asked for yet.
    #[must_use]
    pub fn new(tree: &'t mut ModuleTree<'r>) -> Self {
        Resolver {
            tree,
            order: LoadOrder::default(),
            loaded: HashSet::new(),
            included: HashSet::new(),
            visited: HashSet::new(),
            faults: Vec::new(),
            circles: HashSet::new(),
            left_out: Vec::new(),
        }
    }

    /// Has the module, or modules, called `name` loaded; that nothing is called so is a fault.
    pub fn require(&mut self, name: &str) {
        if !self.want(name) {
            let nearest =
                crate::nearest::nearest(name, self.tree.names().map(|name| name.to_string()));
            self.fail(OrderFault::NotFound {
                name: name.to_owned(),
                nearest,
            });
        }
    }

    /// Has the module, or modules, called `name` loaded if there are any; says whether there are.
    pub fn want(&mut self, name: &str) -> bool {
        match self.tree.find(name) {
            Ok(Found::Modules(ids)) => {
                for id in ids {
                    self.probe(id, 0);
                }
                true
            }
            Ok(Found::Builtin(name)) => {
                self.count_as_builtin(name);
                true
            }
            Ok(Found::Nothing) => false,
            Err(error) => {
                self.fail(error.into());
                // The fault is told once; that nothing was found would be a second, false one.
                true
            }
        }
    }

    /// Has the module with this id included, with all it needs, and not loaded.
    pub fn include(&mut self, id: ModuleId) {
        let needs = self.needs(id);
        for id in needs.into_iter().chain([id]) {
            if self.included.insert(id) {
                self.order.include.push(id);
            }
        }
    }

    /// Includes what the loaded modules may want later: weak dependencies, and the soft ones that
    /// modprobe would pass over. Reads every loaded module.
    fn include_weakly_wanted(&mut self) {
        self.tree.load(&self.order.load);
        let loaded = self.order.load.clone();
        let weak = loaded
            .iter()
            .flat_map(|&id| self.tree.weakdeps(id))
            .collect::<Vec<_>>();
        for name in weak.into_iter().chain(std::mem::take(&mut self.left_out)) {
            match self.tree.find(&name) {
                Ok(Found::Modules(ids)) => ids.into_iter().for_each(|id| self.include(id)),
                Ok(Found::Builtin(_) | Found::Nothing) => {}
                Err(error) => self.fail(error.into()),
            }
        }
    }

    /// The order, with what it includes but does not load; every module's file has been read and
    /// held against `modules.dep`.
    ///
    /// # Errors
    /// Every fault met since the first request.
    pub fn finish(mut self) -> Result<LoadOrder, Vec<OrderFault>> {
        self.include_weakly_wanted();
        for id in self.order.load.clone() {
            self.compare_with_dep(id);
        }
        self.finish_load_order()
    }

    /// The order alone, for which files are read only where index files are missing.
    ///
    /// # Errors
    /// Every fault met since the first request.
    pub fn finish_load_order(mut self) -> Result<LoadOrder, Vec<OrderFault>> {
        for id in [self.order.load.clone(), self.order.include.clone()].concat() {
            self.needs(id);
        }
        self.check_prerequisites();
        let loaded = &self.loaded;
        self.order.include.retain(|id| !loaded.contains(id));
        if self.faults.is_empty() {
            Ok(self.order)
        } else {
            Err(self.faults)
        }
    }

    fn fail(&mut self, fault: OrderFault) {
        self.faults.push(fault);
    }

    /// Tells a circle once, from whichever of its members it was met.
    fn fail_circle(&mut self, mut circle: Vec<ModuleId>) {
        let first = circle.iter().min().copied();
        let position = circle.iter().position(|id| Some(*id) == first);
        circle.rotate_left(position.unwrap_or(0));
        let again = circle.first().copied();
        if self.circles.insert(circle.clone()) {
            let names = circle.into_iter().chain(again);
            let circle = names.map(|id| self.tree.name(id).clone()).collect();
            self.fail(OrderFault::Cycle { circle });
        }
    }

    fn count_as_builtin(&mut self, name: ModuleName) {
        if !self.order.builtin.contains(&name) {
            self.order.builtin.push(name);
        }
    }

    /// A module's turn: all it needs, each with its soft dependencies, then itself.
    fn probe(&mut self, id: ModuleId, depth: usize) {
        if !self.visited.insert(id) {
            return;
        }
        if depth > NESTING_LIMIT {
            let module = self.tree.name(id).clone();
            return self.fail(OrderFault::TooDeep { module });
        }
        for needed in self.needs(id) {
            self.place(needed, depth);
        }
        self.place(id, depth);
    }

    /// Puts a module into the order, between its soft dependencies.
    fn place(&mut self, id: ModuleId, depth: usize) {
        if self.loaded.contains(&id) {
            return;
        }
        if self.tree.is_assumed_builtin(id) {
            return self.count_as_builtin(self.tree.name(id).clone());
        }
        let mut softdeps = self.tree.softdeps(id).into_iter();
        let Softdep { pre, post } = softdeps.next().unwrap_or_default();
        self.left_out
            .extend(softdeps.flat_map(|later| later.pre.into_iter().chain(later.post)));
        self.probe_softly(id, &pre, depth);
        if self.loaded.insert(id) {
            self.order.load.push(id);
        }
        self.probe_softly(id, &post, depth);
    }

    fn probe_softly(&mut self, user: ModuleId, names: &[String], depth: usize) {
        for name in names {
            match self.tree.find(name) {
                Ok(Found::Modules(ids)) => {
                    ids.into_iter()
                        .for_each(|id| self.probe_soft_one(user, id, depth));
                }
                Ok(Found::Builtin(name)) => self.count_as_builtin(name),
                Ok(Found::Nothing) => self.tree.note(Note::SoftdepMissing {
                    module: self.tree.name(user).clone(),
                    wanted: name.clone(),
                }),
                Err(error) => self.fail(error.into()),
            }
        }
    }

    fn probe_soft_one(&mut self, user: ModuleId, id: ModuleId, depth: usize) {
        if self.visited.contains(&id) && !self.loaded.contains(&id) {
            self.tree.note(Note::SoftCycle {
                module: self.tree.name(user).clone(),
                wanted: self.tree.name(id).clone(),
            });
        }
        self.probe(id, depth + 1);
    }

    /// All that `id` needs, direct or not, prerequisites first, without itself.
    fn needs(&mut self, id: ModuleId) -> Vec<ModuleId> {
        if let Some(known) = self.order.needs.get(&id) {
            return known.clone();
        }
        let needs = match self.tree.listed_needs(id) {
            Some(listed) => listed,
            None => Closure::of(self, id),
        };
        self.order.needs.insert(id, needs.clone());
        needs
    }

    /// What the module itself says it needs and the tree has; what the tree lacks is a fault.
    fn own_needs(&mut self, id: ModuleId) -> Vec<ModuleId> {
        let mut needs = Vec::new();
        for needed in self.tree.modinfo(id).depends() {
            match self.tree.find(&needed.to_string()) {
                Ok(Found::Modules(ids)) => needs.extend(ids),
                Ok(Found::Builtin(name)) => self.count_as_builtin(name),
                Ok(Found::Nothing) => self.fail(OrderFault::NeededMissing { module: id, needed }),
                Err(error) => self.fail(error.into()),
            }
        }
        needs
    }

    /// Holds what `modules.dep` lists for a loaded module against what the module itself says: what
    /// only the module says would be missing in the guest, what only the list says is noted.
    fn compare_with_dep(&mut self, id: ModuleId) {
        let Some(listed) = self.tree.listed_needs(id) else {
            return;
        };
        let own = self.own_needs(id);
        for &needed in own.iter().filter(|need| !listed.contains(need)) {
            let needed = self.tree.name(needed).clone();
            self.fail(OrderFault::DepFileStale { module: id, needed });
        }
        let mut reachable: HashSet<ModuleId> = own.iter().copied().collect();
        for &need in &own {
            reachable.extend(self.needs(need));
        }
        for &extra in listed.iter().filter(|need| !reachable.contains(need)) {
            let (module, listed) = (self.tree.name(id).clone(), self.tree.name(extra).clone());
            self.tree.note(Note::OnlyListed { module, listed });
        }
    }

    /// Proves that whatever a loaded module needs stands before it. Only a `modules.dep` that has a
    /// circle, or leaves out what its own lines lead to, can break that.
    fn check_prerequisites(&mut self) {
        let mut before: HashSet<ModuleId> = HashSet::new();
        let mut late = Vec::new();
        for &id in &self.order.load {
            before.insert(id);
            let there = |need| before.contains(need) || self.tree.is_assumed_builtin(*need);
            let needs = self.order.needs_of(id).iter();
            late.extend(needs.filter(|need| !there(need)).map(|&need| (id, need)));
        }
        for (id, need) in late {
            self.fail_prerequisite(id, need);
        }
    }

    /// Tells why `id` is loaded without what it needs: that needs `id`, too, or a module that lists
    /// `id` does not list it.
    fn fail_prerequisite(&mut self, id: ModuleId, need: ModuleId) {
        if self.order.needs_of(need).contains(&id) {
            return self.fail_circle(vec![id, need]);
        }
        let lists_one = |user: &&ModuleId| {
            let needs = self.order.needs_of(**user);
            needs.contains(&id) && !needs.contains(&need)
        };
        let module = *self.order.load.iter().find(lists_one).unwrap_or(&id);
        let needed = self.tree.name(need).clone();
        self.fail(OrderFault::DepFileStale { module, needed });
    }
}

/// A depth-first walk along what modules say they need, without recursion, for a hostile tree may
/// nest as deep as it has modules.
#[derive(Default)]
struct Closure {
    done: Vec<ModuleId>,
    seen: HashSet<ModuleId>,
    /// The modules on the way, for a look-up.
    open: HashSet<ModuleId>,
    /// The way from the start to where the walk is, with what is left to visit at each.
    way: Vec<(ModuleId, std::vec::IntoIter<ModuleId>)>,
}

impl Closure {
    fn of(resolver: &mut Resolver<'_, '_>, start: ModuleId) -> Vec<ModuleId> {
        let mut closure = Closure::default();
        closure.enter(resolver, start);
        while let Some((id, left)) = closure.way.last_mut() {
            let id = *id;
            match left.next() {
                Some(need) => closure.visit(resolver, need),
                None => {
                    closure.way.pop();
                    closure.open.remove(&id);
                    closure.done.push(id);
                }
            }
        }
        closure.done.pop();
        closure.done
    }

    fn enter(&mut self, resolver: &mut Resolver<'_, '_>, id: ModuleId) {
        self.seen.insert(id);
        self.open.insert(id);
        let needs = resolver.own_needs(id);
        self.way.push((id, needs.into_iter()));
    }

    fn visit(&mut self, resolver: &mut Resolver<'_, '_>, id: ModuleId) {
        if !self.seen.contains(&id) {
            return self.enter(resolver, id);
        }
        if self.open.contains(&id) {
            let way = self.way.iter().map(|(id, _)| *id);
            resolver.fail_circle(way.skip_while(|other| *other != id).collect());
        }
    }
}
