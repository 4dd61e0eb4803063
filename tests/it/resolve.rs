//! The load order of every module of real kernels, against modprobe's own.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use xinitrd::host::directory::DirectoryFiles;
use xinitrd::image_path::ImagePath;
use xinitrd::kmod::config::ModprobeConfig;
use xinitrd::kmod::order::Resolver;
use xinitrd::kmod::tree::ModuleTree;
use xinitrd::parallel;
use xinitrd::root::Root;

/// A module, and the files loading it takes, relative to the module directory.
type Loads = Vec<(String, Vec<String>)>;

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

/// A tree that testdata/fetch.sh brings, and the one kernel in it.
fn fetched(name: &str) -> (PathBuf, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fetch.sh");
    let run = Command::new(&script).arg(name).output().unwrap();
    let error = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "testdata/fetch.sh {name}: {error}");
    let root = PathBuf::from(String::from_utf8(run.stdout).unwrap().trim());
    let kernel = std::fs::read_dir(root.join("lib/modules"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    (root, kernel.file_name().into_string().unwrap())
}

/// What xinitrd would load for each module of the tree.
fn own_orders(root: &Path, kernel: &str) -> Loads {
    let files = Root::new(Box::new(DirectoryFiles::new(root).unwrap()));
    let directory = ImagePath::new(format!("lib/modules/{kernel}")).unwrap();
    let mut tree = ModuleTree::open(&files, &directory, ModprobeConfig::default(), two()).unwrap();
    let mut orders = Vec::new();
    for id in tree.ids() {
        let name = tree.name(id).to_string();
        let mut resolver = Resolver::new(&mut tree);
        resolver.require(&name);
        let order = resolver.finish_load_order().unwrap();
        let paths = order
            .load
            .iter()
            .map(|&id| tree.path(id).to_string())
            .collect();
        orders.push((name, paths));
    }
    orders.sort();
    orders
}

/// What modprobe would: its `insmod` lines, each once. modprobe is of the package kmod.
fn modprobe_orders(root: &Path, kernel: &str, names: Vec<String>) -> Loads {
    let marker = format!("/lib/modules/{kernel}");
    parallel::map(names, two(), |name| {
        let run = Command::new("/usr/sbin/modprobe")
            .args([
                "-C",
                "/dev/null",
                "-S",
                kernel,
                "--show-depends",
                &name,
                "-d",
            ])
            .arg(root)
            .output()
            .expect("modprobe is missing: apt-get install kmod");
        let mut paths = Vec::new();
        for line in String::from_utf8(run.stdout).unwrap().lines() {
            let Some(file) = line.strip_prefix("insmod ") else {
                continue;
            };
            let path = file.split_once(&marker).unwrap().1.trim().to_owned();
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        (name, paths)
    })
}

fn agrees_with_modprobe(indexed: &str, bare: &str) {
    let (root, kernel) = fetched(indexed);
    let own = own_orders(&root, &kernel);
    assert!(own.len() > 3000, "{indexed} has only {} modules", own.len());
    let theirs = modprobe_orders(
        &root,
        &kernel,
        own.iter().map(|(name, _)| name.clone()).collect(),
    );
    let differing: Vec<_> = own
        .iter()
        .zip(&theirs)
        .filter(|(own, theirs)| own != theirs)
        .collect();
    assert!(
        differing.is_empty(),
        "{} differ, the first: {:?}",
        differing.len(),
        differing[0]
    );
    println!("{indexed}: {} of {} modules agree", own.len(), theirs.len());

    let (root, kernel) = fetched(bare);
    let bare_own = own_orders(&root, &kernel);
    assert_eq!(bare_own.len(), theirs.len());
    let prerequisites = alone(&theirs);
    for ((name, own), (_, theirs)) in bare_own.iter().zip(&theirs) {
        let set = |paths: &[String]| paths.iter().cloned().collect::<HashSet<_>>();
        assert_eq!(set(own), set(theirs), "{name}, without an index");
        let mut before = HashSet::new();
        for path in own {
            // What modprobe loads on the way to a module comes before it here too; soft
            // dependencies that lead round in a circle have no order to keep.
            let missing = prerequisites(path)
                .into_iter()
                .find(|p| set(own).contains(p) && !before.contains(p));
            assert_eq!(missing, None, "{name}: before {path}");
            before.insert(path.clone());
        }
    }
    println!(
        "{bare}: {} of {} modules agree",
        bare_own.len(),
        theirs.len()
    );
}

/// For a module's path, what `modules.dep` says it needs, by modprobe's orders of the tree: what
/// stands before it in its own order and is itself loaded without it.
fn alone(orders: &Loads) -> impl Fn(&str) -> Vec<String> {
    let by_path: std::collections::HashMap<String, Vec<String>> = orders
        .iter()
        .filter_map(|(name, order)| {
            let own = order.iter().position(|path| names(path) == *name)?;
            Some((order[own].clone(), order[..own].to_vec()))
        })
        .collect();
    move |path| {
        let before = by_path.get(path).cloned().unwrap_or_default();
        let leads_back = |p: &String| by_path.get(p).is_some_and(|b| b.iter().any(|q| q == path));
        before.into_iter().filter(|p| !leads_back(p)).collect()
    }
}

fn names(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap();
    file.split(".ko").next().unwrap().replace('-', "_")
}

#[test]
fn every_module_of_a_6_1_kernel_loads_as_modprobe_loads_it() {
    agrees_with_modprobe("kernel-6.1-amd64-depmod", "kernel-6.1-amd64");
}

#[test]
fn every_module_of_a_6_12_kernel_loads_as_modprobe_loads_it() {
    agrees_with_modprobe("kernel-6.12-amd64-depmod", "kernel-6.12-amd64");
}
