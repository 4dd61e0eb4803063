//! `xinitrd resolve`: the load order alone.

use std::io::{self, Write};

use serde::Serialize;

use super::guest::{Guest, Kernel};
use super::observer::Observer;
use super::obstacles::Obstacles;
use super::{json, output_error, print, threads};
use crate::cli::ResolveArgs;
use crate::error::Error;
use crate::image_path::Shown;
use crate::kmod::config::ModprobeConfig;
use crate::kmod::name::ModuleName;
use crate::kmod::order::{LoadOrder, Resolver};
use crate::kmod::tree::{ModuleId, ModuleTree};
use crate::problem::Problem;
use crate::report::{GENERATOR, SCHEMA_VERSION};
use crate::root::Root;

/// The load order, for pipelines.
#[derive(Serialize)]
struct Resolved {
    schema_version: u32,
    generator: &'static str,
    kernel: String,
    modules: Vec<ResolvedModule>,
    builtin: Vec<String>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct ResolvedModule {
    name: String,
    path: String,
    needs: Vec<String>,
}

/// Prints what loading the modules of `args` takes, in load order.
///
/// # Errors
/// When one is not to be found, the order cannot be made, or something cannot be read.
pub fn run(args: &ResolveArgs) -> Result<(), Error> {
    let mut obstacles = Obstacles::default();
    let guest = Guest::open(&args.kernel, &Observer::idle(), &mut obstacles);
    let resolved = guest.root.as_ref().zip(guest.kernel);
    let resolved = resolved.and_then(|(root, kernel)| {
        let tree = open_tree(args, root, &kernel, guest.config);
        let mut tree = obstacles.keep(tree)?;
        let order = obstacles.keep_all(load_order(args, &mut tree))?;
        Some((kernel, tree, order))
    });
    let (kernel, tree, order) = obstacles.none_before(resolved)?;
    if args.json {
        return print(&json(&document(kernel.name, &tree, &order)).map_err(output_error)?);
    }
    for note in tree.notes() {
        // `eprintln!` would panic on a standard error that is full or closed.
        let _ = writeln!(io::stderr(), "xinitrd: note: {}", Shown::words(&note));
    }
    print(&if args.tree {
        forest(&tree, &order)
    } else {
        lines(&tree, &order)
    })
}

fn open_tree<'r>(
    args: &ResolveArgs,
    root: &'r Root,
    kernel: &Kernel,
    config: ModprobeConfig,
) -> Result<ModuleTree<'r>, Problem> {
    let directory = &kernel.modules;
    let tree = ModuleTree::open(root, directory, config, threads(&args.kernel));
    let mut tree = tree.map_err(|error| Problem::of_lookup(root.shown(directory), error))?;
    for name in &args.kernel.builtin {
        tree.assume_builtin(ModuleName::new(name));
    }
    Ok(tree)
}

fn load_order(args: &ResolveArgs, tree: &mut ModuleTree<'_>) -> Result<LoadOrder, Vec<Problem>> {
    let mut resolver = Resolver::new(tree);
    args.modules.iter().for_each(|name| resolver.require(name));
    resolver.finish_load_order().map_err(|faults| {
        let problem = |fault| Problem::of_order(tree, fault);
        faults.into_iter().map(problem).collect()
    })
}

/// The modules' paths, one a line.
fn lines(tree: &ModuleTree<'_>, order: &LoadOrder) -> String {
    let paths = order.load.iter().map(|&id| tree.shown(tree.path(id)));
    paths.map(|path| path + "\n").collect()
}

fn document(kernel: String, tree: &ModuleTree<'_>, order: &LoadOrder) -> Resolved {
    let name = |id: ModuleId| tree.name(id).to_string();
    let module = |&id: &ModuleId| ResolvedModule {
        name: name(id),
        path: tree.shown(tree.path(id)),
        needs: order.needs_of(id).iter().map(|&need| name(need)).collect(),
    };
    Resolved {
        schema_version: SCHEMA_VERSION,
        generator: GENERATOR,
        kernel,
        modules: order.load.iter().map(module).collect(),
        builtin: order.builtin.iter().map(ToString::to_string).collect(),
        notes: tree.notes().iter().map(|note| Shown::words(note)).collect(),
    }
}

/// Each module that no other of the order needs, with what it needs under it.
fn forest(tree: &ModuleTree<'_>, order: &LoadOrder) -> String {
    let needed = |id: &ModuleId| {
        order
            .load
            .iter()
            .any(|&user| order.needs_of(user).contains(id))
    };
    let mut text = String::new();
    for &id in order.load.iter().filter(|id| !needed(id)) {
        text += &format!("{}\n", tree.shown(tree.path(id)));
        for &need in order.needs_of(id) {
            text += &format!("  {}\n", tree.shown(tree.path(need)));
        }
    }
    text
}
