//! The modules that an init loads, in its order.

use std::collections::BTreeMap;

use crate::archive::FileType;
use crate::image_path::ImagePath;
use crate::inspect::tree::Tree;
use crate::kmod::name::ModuleName;

use super::generator::Generator;
use super::init::Init;
use super::lists::{self, Asked};
use super::nash;
use super::shell::{self, ModuleCall};
use super::words::{base, text};
use super::{Load, Loader};

/// Where udev's daemon lies, in images of any age.
pub(super) const UDEV: [&str; 8] = [
    "usr/lib/systemd/systemd-udevd",
    "usr/bin/systemd-udevd",
    "lib/systemd/systemd-udevd",
    "usr/lib/udev/udevd",
    "lib/udev/udevd",
    "usr/sbin/udevd",
    "sbin/udevd",
    "usr/bin/udevd",
];

/// The most modules that are told: no kernel has as many.
const LOADS_LIMIT: usize = 1 << 14;

/// Whether something in the image loads modules for the devices it finds.
pub(super) fn on_demand(tree: &Tree, generator: Generator) -> bool {
    let is_there = |path: &&str| {
        let path = ImagePath::new(path);
        path.is_ok_and(|path| tree.find(&path).is_ok())
    };
    generator == Generator::Booster || UDEV.iter().any(is_there)
}

/// What the init of an image loads.
pub(super) fn of(tree: &Tree, generator: Generator, init: Option<&Init>) -> Vec<Load> {
    let script = init.and_then(|init| init.script.as_deref());
    let mut asked = match generator {
        _ if init.is_some_and(Init::is_nash) => nash_loads(script.unwrap_or_default()),
        _ if init.is_some_and(Init::is_native) => lists::native(tree),
        Generator::Xinitrd => lists::files(tree, crate::init::texts::MODULES_PATH),
        Generator::TinyInitramfs => lists::files(tree, "modules"),
        Generator::Dracut => lists::dracut(tree),
        Generator::InitramfsTools => lists::initramfs_tools(tree),
        Generator::Mkinitcpio => lists::mkinitcpio(tree),
        Generator::Booster => lists::booster(tree),
        Generator::Mkinitrd | Generator::URoot | Generator::Unknown => {
            shell_loads(script.unwrap_or_default(), tree)
        }
    };
    asked.truncate(LOADS_LIMIT);
    Places::new(tree).find(asked)
}

fn nash_loads(script: &[u8]) -> Vec<Asked> {
    let commands = nash::commands(script);
    let loads = commands.filter_map(|words| {
        let (program, arguments) = words.split_first()?;
        let is_option = |word: &&&[u8]| word.starts_with(b"-");
        let options = arguments.iter().take_while(is_option).count();
        let (module, options) = arguments.get(options..)?.split_first()?;
        let loader = match base(program) {
            b"insmod" => Loader::Insmod,
            b"modprobe" => Loader::Modprobe,
            _ => return None,
        };
        Some(Asked {
            module: text(module),
            loader,
            options: shell::joined(options),
        })
    });
    loads.collect()
}

/// What the lines of a script load; a file that they ask for first, and that is not there, they do not load.
fn shell_loads(script: &[u8], tree: &Tree) -> Vec<Asked> {
    let is_skipped = |call: &ModuleCall| {
        call.is_tested
            && shell::pattern(call.module.as_bytes()).is_none()
            && !tree.has(&call.module)
    };
    let calls = shell::calls(script).into_iter();
    let calls = calls.filter(|call| !is_skipped(call));
    let asked = calls.map(|call| Asked {
        module: call.module,
        loader: match call.is_file {
            true => Loader::Insmod,
            false => Loader::Modprobe,
        },
        options: call.options,
    });
    asked.collect()
}

/// The most names that are held against patterns in all; a script's own ask for a few thousand.
const NAMES_LIMIT: usize = 1 << 24;

/// Where the modules of an image lie, by name.
struct Places<'t> {
    tree: &'t Tree,
    by_name: BTreeMap<ModuleName, ImagePath>,
    /// The sorted names in the directories that were asked for, by where these really lie.
    listed: BTreeMap<ImagePath, Vec<Vec<u8>>>,
    /// How many names were held against patterns.
    compared: usize,
}

impl<'t> Places<'t> {
    fn new(tree: &'t Tree) -> Places<'t> {
        let mut by_name = BTreeMap::new();
        for (path, _) in tree.items() {
            if let Some(name) = ModuleName::of_file(path.file_name()) {
                by_name.entry(name).or_insert_with(|| path.clone());
            }
        }
        Places {
            tree,
            by_name,
            listed: BTreeMap::new(),
            compared: 0,
        }
    }

    fn find(mut self, asked: Vec<Asked>) -> Vec<Load> {
        let mut loads = Vec::new();
        for asked in asked {
            let files = match asked.loader {
                Loader::Insmod => self.matching(&asked.module),
                Loader::Modprobe => None,
            };
            let modules = files.unwrap_or_else(|| vec![asked.module]);
            let left = LOADS_LIMIT.saturating_sub(loads.len());
            loads.extend(modules.into_iter().take(left).map(|module| Load {
                path: match asked.loader {
                    Loader::Insmod => self.file(&module),
                    Loader::Modprobe => self.by_name.get(&ModuleName::new(&module)).cloned(),
                },
                module,
                loader: asked.loader,
                options: asked.options.clone(),
            }));
        }
        loads
    }

    /// The files that a path with a `*` stands for, in the order in which a shell names them; `None` for any
    /// other path.
    fn matching(&mut self, path: &str) -> Option<Vec<String>> {
        let (directory, start, end) = shell::pattern(path.as_bytes())?;
        let is_spent = self.compared > NAMES_LIMIT;
        let names = self.names(&ImagePath::new(directory).ok()?);
        let names = names.filter(|_| !is_spent).unwrap_or_default();
        let compared = names.len();
        let matching = names.iter().filter(|name| {
            let rest = name.strip_prefix(start);
            rest.is_some_and(|rest| rest.ends_with(end)) && !name.starts_with(b".")
        });
        let files = matching.map(|name| text(&[directory, b"/", name].concat()));
        let files = files.take(LOADS_LIMIT).collect();
        self.compared += compared;
        Some(files)
    }

    /// The names in a directory, in their order.
    fn names(&mut self, directory: &ImagePath) -> Option<&[Vec<u8>]> {
        let (real, _) = self.tree.root().resolve(directory).ok()?;
        let names = self.listed.entry(real).or_insert_with_key(|real| {
            let listed = self.tree.root().list(real);
            let names = listed.map(|(_, names)| names).unwrap_or_default();
            let mut names: Vec<Vec<u8>> = names.into_iter().map(|(name, _)| name).collect();
            names.sort();
            names
        });
        Some(names)
    }

    /// An init's working directory is the root.
    fn file(&self, path: &str) -> Option<ImagePath> {
        let path = ImagePath::new(path).ok()?;
        let (real, item) = self.tree.find(&path).ok()?;
        (item.file_type() == FileType::Regular).then_some(real)
    }
}
