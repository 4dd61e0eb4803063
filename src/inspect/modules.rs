//! The modules of an image as rules see them: by name, by what they export, by when they are loaded.
//!
//! In: the tree, and how the image boots. Out: [`Modules`]. A module that several kernels have is
//! one for each: `lib/modules/RELEASE` says whose it is.

use std::collections::{HashMap, HashSet};

use super::boot::{Boot, Loader};
use super::guest_kernel::GuestKernel;
use super::module::InspectedModule;
use super::picture::{Content, Item};
use super::tree::Tree;
use crate::archive::FileType;
use crate::image_path::{ImagePath, Shown};
use crate::kernel_version::is_directory_of;
use crate::kmod::MODULE_PLACES;
use crate::kmod::aliases::Cost;
use crate::kmod::builtin::Builtin;
use crate::kmod::name::ModuleName;

/// A module, and where it lies.
pub struct Member<'c> {
    /// Its path.
    pub path: &'c ImagePath,
    /// Its entry.
    pub item: &'c Item,
    /// What it says of itself.
    pub module: &'c InspectedModule,
    /// Its name, by its file.
    pub name: ModuleName,
    /// The release whose directory it lies in, or is lent to; `None` where it lies in no such directory.
    pub directory: Option<&'c [u8]>,
    /// Whether it lies in `weak-updates`, or a link there leads to it.
    pub is_weak: bool,
}

/// Every module of an image that can be read.
pub struct Modules<'c> {
    /// Sorted by path.
    pub members: Vec<Member<'c>>,
    by_name: HashMap<ModuleName, Vec<usize>>,
    by_place: HashMap<Place<'c>, Vec<usize>>,
    /// Those that are there and cannot be read.
    unread: HashSet<ModuleName>,
    /// What all lists of the image say.
    builtin: Builtin,
    kernel: Option<&'c GuestKernel>,
    /// What looking through aliases of what is built in has cost.
    cost: Cost,
}

/// A module's name, and the release whose directory it lies in.
type Place<'c> = (ModuleName, Option<&'c [u8]>);

/// How many modules of one name, and how many providers of one symbol, are looked at: hostile images
/// have thousands.
const ALIKE: usize = 64;

/// Adds to what is alike, as far as it is looked at.
pub(super) fn push<T>(alike: &mut Vec<T>, one: T) {
    if alike.len() < ALIKE {
        alike.push(one);
    }
}

impl<'c> Modules<'c> {
    /// The modules of `tree` that lie in no release's directory, or in one that `counts`; `kernel` is what the
    /// guest's root says of its kernel.
    #[must_use]
    pub fn new(
        tree: &'c Tree,
        kernel: Option<&'c GuestKernel>,
        counts: impl Fn(&[u8]) -> bool,
    ) -> Modules<'c> {
        let lent = lent(tree);
        let members: Vec<Member<'c>> = tree
            .items()
            .filter_map(|(path, item)| Member::of(tree, path, item, &lent))
            .filter(|member| member.directory.is_none_or(&counts))
            .collect();
        let mut by_name: HashMap<ModuleName, Vec<usize>> = HashMap::new();
        let mut by_place: HashMap<Place<'c>, Vec<usize>> = HashMap::new();
        for (number, member) in members.iter().enumerate() {
            let place = (member.name.clone(), member.directory);
            push(by_name.entry(member.name.clone()).or_default(), number);
            push(by_place.entry(place).or_default(), number);
        }
        let directories: HashSet<&[u8]> = members
            .iter()
            .filter_map(|member| member.directory)
            .collect();
        let lists = directories.into_iter().filter_map(|release| {
            let release = String::from_utf8_lossy(release);
            let at = |place| tree.text(&format!("{place}/{release}/modules.builtin"));
            MODULE_PLACES.into_iter().find_map(at)
        });
        Modules {
            unread: unread(tree),
            builtin: Builtin::parse(lists, None),
            members,
            by_name,
            by_place,
            kernel,
            cost: Cost::default(),
        }
    }

    /// The modules called `name` that `user` may be linked to, by number: those of its kernel.
    pub fn for_user<'m>(
        &'m self,
        user: &Member<'c>,
        name: &ModuleName,
    ) -> impl Iterator<Item = usize> + 'm {
        let at = |directory| self.by_place.get(&(name.clone(), directory));
        let (own, loose) = match user.directory {
            Some(directory) => (at(Some(directory)), at(None)),
            None => (self.by_name.get(name), None),
        };
        own.into_iter().chain(loose).flatten().copied()
    }

    /// Whether a file of this name is there, though no module could be read from it.
    #[must_use]
    pub fn is_unread(&self, name: &ModuleName) -> bool {
        self.unread.contains(name)
    }

    /// Whether module `number` may be of the same kernel as `user`.
    #[must_use]
    pub fn are_related(&self, user: &Member<'c>, number: usize) -> bool {
        let other = self.members.get(number).and_then(|other| other.directory);
        match (user.directory, other) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        }
    }

    /// Whether a driver is built into the kernel, as the guest's root or a list in the image says.
    #[must_use]
    pub fn is_builtin(&self, name: &[u8]) -> bool {
        let guest = self.kernel.map(|kernel| &kernel.builtin);
        let mut lists = [&self.builtin].into_iter().chain(guest);
        lists.any(|list| list.find(name, &self.cost).is_some())
    }

    /// Which modules export each symbol, by number.
    #[must_use]
    pub fn exporters(&self) -> HashMap<&'c [u8], Vec<Provider>> {
        let mut exporters: HashMap<&[u8], Vec<Provider>> = HashMap::new();
        for (number, member) in self.members.iter().enumerate() {
            for symbol in member.module.symbols.exports.iter() {
                let crc = symbol.crc;
                let provider = Provider { number, crc };
                push(exporters.entry(symbol.name).or_default(), provider);
            }
        }
        exporters
    }

    /// When each module is loaded; `None` where the order is not known.
    #[must_use]
    pub fn order(&self, boot: &Boot, tree: &Tree) -> Option<Order> {
        let at: HashMap<&ImagePath, usize> = self
            .members
            .iter()
            .enumerate()
            .map(|(number, member)| (member.path, number))
            .collect();
        let mut order = Order::default();
        for load in &boot.loads {
            let path = load.path.as_ref();
            let real = path.and_then(|path| Some(tree.find(path).ok()?.0));
            let number = real.and_then(|path| at.get(&path).copied());
            match number {
                Some(number) if load.loader == Loader::Insmod => order.load_file(number),
                Some(number) => self.load_with_needs(number, &mut order),
                None if load.loader == Loader::Insmod => {}
                None => {
                    let named = self.by_name.get(&ModuleName::new(&load.module));
                    for &number in named.into_iter().flatten() {
                        self.load_with_needs(number, &mut order);
                    }
                }
            }
        }
        (!boot.loads.is_empty()).then_some(order)
    }

    /// What modprobe loads: the module, and all it needs before it.
    fn load_with_needs(&self, number: usize, order: &mut Order) {
        let mut waiting = vec![number];
        let mut needed = Vec::new();
        while let Some(number) = waiting.pop() {
            let is_new = order.place(number).is_none() && order.followed.insert(number);
            if let Some(member) = self.members.get(number).filter(|_| is_new) {
                needed.push(number);
                let depends = member.module.modinfo.depends();
                waiting.extend(depends.iter().flat_map(|name| self.for_user(member, name)));
            }
        }
        needed
            .into_iter()
            .rev()
            .for_each(|number| order.load(number));
    }
}

/// A module that exports a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its number.
    pub number: usize,
    /// The CRC of the symbol's type, where it is told.
    pub crc: Option<u32>,
}

/// When modules are loaded.
#[derive(Debug, Default)]
pub struct Order {
    /// For each module its place in the order.
    at: HashMap<usize, usize>,
    /// The modules that are loaded by their files, as insmod does: nobody looks after their needs.
    pub by_file: Vec<usize>,
    /// Those whose needs have been loaded: where all need all, following them for each takes for ever.
    followed: HashSet<usize>,
}

impl Order {
    fn load_file(&mut self, number: usize) {
        if !self.at.contains_key(&number) {
            self.by_file.push(number);
        }
        self.load(number);
    }

    fn load(&mut self, number: usize) {
        let next = self.at.len();
        self.at.entry(number).or_insert(next);
    }

    /// The place of module `number`, if it is loaded.
    #[must_use]
    pub fn place(&self, number: usize) -> Option<usize> {
        self.at.get(&number).copied()
    }
}

impl<'c> Member<'c> {
    /// Whether it is of the kernel that has its modules in `directory`.
    #[must_use]
    pub fn is_of(&self, directory: &str) -> bool {
        let release = self.module.release().unwrap_or_default();
        is_directory_of(directory.as_bytes(), release.as_bytes())
    }

    fn of(
        tree: &'c Tree,
        path: &'c ImagePath,
        item: &'c Item,
        lent: &HashMap<ImagePath, &'c [u8]>,
    ) -> Option<Member<'c>> {
        let Content::Module(module) = tree.content(item) else {
            return None;
        };
        let borrower = lent.get(path).copied();
        Some(Member {
            path,
            item,
            module: module.as_ref().as_ref().ok()?,
            name: ModuleName::of_file(path.file_name())?,
            directory: borrower.or_else(|| release_directory(path)),
            is_weak: borrower.is_some() || lies_in_weak_updates(path),
        })
    }
}

/// The names of files that lie where modules do, and could not be read as such.
fn unread(tree: &Tree) -> HashSet<ModuleName> {
    let unread = tree.items().filter_map(|(path, item)| {
        let name = ModuleName::of_file(path.file_name())?;
        release_directory(path)?;
        let is_read = matches!(tree.content(item), Content::Module(module) if module.is_ok());
        (item.file_type() == FileType::Regular && !is_read).then_some(name)
    });
    unread.collect()
}

/// The most links in `weak-updates` that are followed: real kernels have some dozen.
const WEAK_LINKS: usize = 4096;

/// The modules that links in `weak-updates` lead to, and the release whose directory each link lies in:
/// Red Hat's packages of drivers leave a module with the release that it was built for, and lend it
/// to later kernels of the same interface.
fn lent(tree: &Tree) -> HashMap<ImagePath, &[u8]> {
    let links = tree.items().filter(|(path, item)| {
        item.file_type() == FileType::Symlink
            && lies_in_weak_updates(path)
            && ModuleName::of_file(path.file_name()).is_some()
    });
    let lent = links
        .take(WEAK_LINKS)
        .filter_map(|(path, _)| Some((tree.find(path).ok()?.0, release_directory(path)?)));
    lent.collect()
}

fn lies_in_weak_updates(path: &ImagePath) -> bool {
    path.components().any(|name| name == b"weak-updates")
}

/// The release in `lib/modules/RELEASE`.
fn release_directory(path: &ImagePath) -> Option<&[u8]> {
    let mut components = path.components();
    let modules = components.find(|name| *name == b"modules");
    let release = modules.and_then(|_| components.next())?;
    // Not the module's own name: some lie flat in `lib/modules`.
    components.next().map(|_| release)
}

/// A few of several names, and how many there are, as text.
#[must_use]
pub fn few<'n>(names: impl Iterator<Item = &'n [u8]>) -> String {
    const SHOWN: usize = 3;
    const LONGEST: usize = 80;
    let (mut text, mut count) = (String::new(), 0);
    for name in names {
        count += 1;
        if count <= SHOWN {
            let separator = if count == 1 { "" } else { ", " };
            let name = name.get(..LONGEST).unwrap_or(name);
            text.push_str(&format!("{separator}{}", Shown(name)));
        }
    }
    match count {
        0..=SHOWN => text,
        _ => format!("{text} and {} more", count - SHOWN),
    }
}
