//! `xinitrd resolve`: the load order alone.

use serde::Serialize;

use super::{
    choose_kernel, in_root, json, modprobe_config, module_directory, open_root, print, threads,
};
use crate::cli::ResolveArgs;
use crate::error::Error;
use crate::kmod::name::ModuleName;
use crate::kmod::order::{LoadOrder, Resolver};
use crate::kmod::tree::{ModuleId, ModuleTree};
use crate::report::SCHEMA_VERSION;

/// The load order, for pipelines.
#[derive(Serialize)]
struct Resolved {
    schema_version: u32,
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
    let root = open_root(&args.kernel.root)?;
    let kernel = choose_kernel(&args.kernel, &root)?;
    let config = modprobe_config(&args.kernel, &root)?;
    let directory = module_directory(&kernel);
    let tree = ModuleTree::open(&root, &directory, config, threads(&args.kernel));
    let mut tree = in_root(&root, &directory, tree)?;
    for name in &args.kernel.builtin {
        tree.assume_builtin(ModuleName::new(name));
    }
    let mut resolver = Resolver::new(&mut tree);
    args.modules.iter().for_each(|name| resolver.require(name));
    let order = resolver.finish_load_order().map_err(Error::Order)?;
    if !args.json {
        tree.notes()
            .iter()
            .for_each(|note| eprintln!("xinitrd: note: {note}"));
    }
    let host_path = |id: ModuleId| tree.shown(tree.path(id));
    if args.json {
        print(&json(&resolved(kernel, &tree, &order))?)
    } else if args.tree {
        print(&forest(&tree, &order))
    } else {
        print(
            &order
                .load
                .iter()
                .map(|&id| host_path(id) + "\n")
                .collect::<String>(),
        )
    }
}

fn resolved(kernel: String, tree: &ModuleTree<'_>, order: &LoadOrder) -> Resolved {
    let name = |id: ModuleId| tree.name(id).to_string();
    let module = |&id: &ModuleId| ResolvedModule {
        name: name(id),
        path: tree.shown(tree.path(id)),
        needs: order.needs_of(id).iter().map(|&need| name(need)).collect(),
    };
    Resolved {
        schema_version: SCHEMA_VERSION,
        kernel,
        modules: order.load.iter().map(module).collect(),
        builtin: order.builtin.iter().map(ToString::to_string).collect(),
        notes: tree.notes().iter().map(ToString::to_string).collect(),
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
