//! The load order of every module of real kernels, against modprobe's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::slice;
use std::thread;

use xinitrd::host::directory::DirectoryFiles;
use xinitrd::image_path::ImagePath;
use xinitrd::kmod::config::ModprobeConfig;
use xinitrd::kmod::order::Resolver;
use xinitrd::kmod::tree::ModuleTree;
use xinitrd::root::Root;

use crate::scene::{KERNEL, Scene, run, words};
use crate::support::{Tool, fetched, kernel_of, modules_of, text, utf8, xinitrd, xinitrd_prints};

const MODPROBE: Tool = Tool::of("modprobe", "kmod");
const DEPMOD: Tool = Tool::of("depmod", "kmod");

/// What loading a module takes: paths in the module directory in load order, and built-in drivers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Loads {
    paths: Vec<String>,
    builtin: BTreeSet<String>,
}

/// What modprobe says loading `name` takes.
fn modprobe(root: &Path, kernel: &str, name: &str) -> Loads {
    let arguments = ["-C", "/dev/null", "-d", text(root), "-S", kernel];
    let said = MODPROBE.run(&[&arguments[..], &["--show-depends", name]].concat(), b"");
    let directory = format!("{}/{}/{kernel}/", text(root), modules_of(root));
    let mut loads = Loads::default();
    for line in utf8(said).lines() {
        match line.trim_end().split_once(' ').unwrap() {
            ("insmod", path) => {
                let path = path.strip_prefix(&directory).unwrap().to_owned();
                if !loads.paths.contains(&path) {
                    loads.paths.push(path);
                }
            }
            ("builtin", name) => drop(loads.builtin.insert(name.to_owned())),
            _ => panic!("modprobe says {line}"),
        }
    }
    loads
}

/// What each module needs by `modules.dep`, all paths in the module directory.
fn modules_dep(root: &Path, kernel: &str) -> BTreeMap<String, Vec<String>> {
    let file = root.join("lib/modules").join(kernel).join("modules.dep");
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| {
        let (module, needs) = line.split_once(':').unwrap();
        let needs = needs.split_whitespace().map(str::to_owned).collect();
        (module.to_owned(), needs)
    });
    lines.collect()
}

/// The name a module's file gives it.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap();
    file.split_once(".ko").unwrap().0.replace('-', "_")
}

/// What the command says loading `names`, one after the other, takes.
fn command(root: &Path, kernel: &str, names: &[String]) -> Loads {
    let mut arguments = vec![
        "resolve",
        "--json",
        "--root",
        text(root),
        "--kernel",
        kernel,
    ];
    arguments.extend(names.iter().map(String::as_str));
    let report = xinitrd_prints(&arguments);
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let directory = format!("{}/{}/{kernel}/", text(root), modules_of(root));
    let list = |key: &str| report[key].as_array().unwrap().iter();
    let path = |module: &serde_json::Value| {
        let path = module["path"].as_str().unwrap();
        path.strip_prefix(&directory).unwrap().to_owned()
    };
    Loads {
        paths: list("modules").map(path).collect(),
        builtin: list("builtin")
            .map(|name| name.as_str().unwrap().to_owned())
            .collect(),
    }
}

/// What `ask` says of every one of `names`, asked from two threads.
fn answers(names: &[String], ask: impl Fn(&String) -> Loads + Sync) -> HashMap<String, Loads> {
    let ask = |names: &[String]| -> Vec<(String, Loads)> {
        let asked = names.iter().map(|name| (name.clone(), ask(name)));
        asked.collect()
    };
    let (left, right) = names.split_at(names.len() / 2);
    thread::scope(|scope| {
        let left = scope.spawn(|| ask(left));
        let right = ask(right);
        left.join().unwrap().into_iter().chain(right).collect()
    })
}

fn with_tree<T>(root: &Path, kernel: &str, work: impl FnOnce(&mut ModuleTree<'_>) -> T) -> T {
    let directory = ImagePath::new(format!("{}/{kernel}", modules_of(root))).unwrap();
    let root = Root::new(Box::new(DirectoryFiles::new(root).unwrap()));
    let threads = NonZeroUsize::new(2).unwrap();
    work(&mut ModuleTree::open(&root, &directory, ModprobeConfig::default(), threads).unwrap())
}

fn resolve(tree: &mut ModuleTree<'_>, name: &str) -> Loads {
    let mut resolver = Resolver::new(tree);
    resolver.require(name);
    let order = resolver
        .finish_load_order()
        .unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
    Loads {
        paths: order
            .load
            .iter()
            .map(|&id| utf8(tree.path(id).as_bytes().to_vec()))
            .collect(),
        builtin: order.builtin.iter().map(ToString::to_string).collect(),
    }
}

/// The same modules as modprobe has, each after all it needs by `modules.dep`.
fn agrees_without_index(ours: &Loads, theirs: &Loads, dep: &BTreeMap<String, Vec<String>>) -> bool {
    let in_order = ours
        .paths
        .iter()
        .enumerate()
        .all(|(n, path)| dep[path].iter().all(|need| ours.paths[..n].contains(need)));
    let set = |loads: &Loads| loads.paths.iter().cloned().collect::<BTreeSet<_>>();
    in_order
        && ours.paths.len() == theirs.paths.len()
        && set(ours) == set(theirs)
        && ours.builtin == theirs.builtin
}

/// Holds our answer for every module against modprobe's, and prints how many agree.
fn hold(
    what: &str,
    oracle: &HashMap<String, Loads>,
    mut ours: impl FnMut(&String) -> Loads,
    agrees: impl Fn(&Loads, &Loads) -> bool,
) {
    let mut wrong = Vec::new();
    for (name, theirs) in oracle {
        let ours = ours(name);
        if !agrees(&ours, theirs) {
            wrong.push(format!("{name}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    let (right, all) = (oracle.len() - wrong.len(), oracle.len());
    let count = format!("{what}: {right} of {all} modules agree with modprobe");
    // What the macros print, cargo keeps to itself when the test passes.
    let line = format!("{count}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
    let first = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{count}\n{first}");
}

fn agrees_with_modprobe_with_and_without_index(name: &str) {
    let (plain, indexed) = (fetched(name), fetched(&format!("{name}-depmod")));
    let kernel = kernel_of(&plain);
    let dep = modules_dep(&indexed, &kernel);
    assert!(dep.len() > 3000, "a whole kernel has thousands of modules");
    let names: Vec<String> = dep.keys().map(|path| name_of(path)).collect();
    let oracle = answers(&names, |name| modprobe(&indexed, &kernel, name));
    assert_eq!(oracle.len(), names.len(), "no two modules of a name");

    let mut ours = answers(&names, |name| {
        command(&indexed, &kernel, slice::from_ref(name))
    });
    let what = format!("{name}, with depmod's files");
    hold(
        &what,
        &oracle,
        |name| ours.remove(name).unwrap(),
        |ours, theirs| ours == theirs,
    );

    let agrees = |ours: &Loads, theirs: &Loads| agrees_without_index(ours, theirs, &dep);
    with_tree(&plain, &kernel, |tree| {
        let what = format!("{name}, without them");
        hold(&what, &oracle, |name| resolve(tree, name), agrees);
    });
    // A command for each would read the whole tree each time.
    let mut all = Loads::default();
    for loads in oracle.values() {
        all.paths.extend(loads.paths.iter().cloned());
        all.builtin.extend(loads.builtin.iter().cloned());
    }
    all.paths.sort();
    all.paths.dedup();
    let ours = command(&plain, &kernel, &names);
    assert!(agrees(&ours, &all), "{name}, without them, all at once");
}

#[test]
fn every_module_of_debian_12_loads_as_modprobe_has_it() {
    agrees_with_modprobe_with_and_without_index("kernel-6.1-amd64");
}

#[test]
fn every_module_of_debian_13_loads_as_modprobe_has_it() {
    agrees_with_modprobe_with_and_without_index("kernel-6.12-amd64");
}

/// The beginning of a `resolve`, and the kernel it is of.
fn resolve_in(root: &Path) -> ([String; 5], String) {
    let kernel = kernel_of(root);
    let arguments = ["resolve", "--root", text(root), "--kernel", &kernel];
    (arguments.map(str::to_owned), kernel)
}

#[test]
fn the_command_prints_several_modules_in_modprobes_order() {
    let names = ["xenblk", "xennet", "ext4"];
    for name in ["kernel-6.1-amd64-depmod", "kernel-6.12-amd64-depmod"] {
        let root = fetched(name);
        let (arguments, kernel) = resolve_in(&root);
        let arguments = arguments.iter().map(String::as_str).chain(names);
        let printed = utf8(xinitrd_prints(&arguments.collect::<Vec<_>>()));
        let directory = format!("{}/lib/modules/{kernel}/", text(&root));
        let mut expected: Vec<String> = Vec::new();
        for path in names
            .iter()
            .flat_map(|name| modprobe(&root, &kernel, name).paths)
        {
            if !expected.contains(&path) {
                expected.push(path);
            }
        }
        let ours: Vec<&str> = printed
            .lines()
            .map(|line| line.strip_prefix(&directory).unwrap())
            .collect();
        assert_eq!(ours, expected, "{name}");
    }
}

#[test]
fn a_usr_merged_package_unpacked_alone_is_read_where_it_lies() {
    let root = fetched("kernel-6.12-amd64");
    let kernel = kernel_of(&root);
    let printed = xinitrd_prints(&["resolve", "--root", text(&root), "xenblk"]);
    let directory = format!("{}/{}/{kernel}/", text(&root), modules_of(&root));
    let ours = utf8(printed);
    let ours: Vec<&str> = ours
        .lines()
        .map(|line| line.strip_prefix(&directory).unwrap())
        .collect();
    let theirs = modprobe(&fetched("kernel-6.12-amd64-depmod"), &kernel, "xenblk");
    assert_eq!(ours, theirs.paths);
}

#[test]
fn a_mistyped_module_is_answered_with_the_nearest_name() {
    for (root, typed, meant) in [
        ("kernel-6.1-amd64-depmod", "xen-blkfrnt", "xen_blkfront"),
        ("kernel-6.1-amd64-depmod", "etx4", "ext4"),
        ("kernel-6.1-amd64", "xen_netfrnt", "xen_netfront"),
    ] {
        let (arguments, _) = resolve_in(&fetched(root));
        let arguments = arguments.iter().map(String::as_str).chain([typed]);
        let output = xinitrd(&arguments.collect::<Vec<_>>());
        let said = utf8(output.stderr);
        assert_eq!((output.status.code(), output.stdout), (Some(1), vec![]));
        let answered = said.contains(typed) && said.contains(meant);
        assert!(answered, "{said:?} should name {typed} and {meant}");
    }
}

/// A tree without an index: a directory that is a link, and one that only a link leads to; names
/// that depmod passes over, as directories and as a link; files that are links, some leading nowhere.
const LINKED: &str = r#"
os.remove(DEP)
os.rename(f"{D}/kernel/fs", "root/fs")
os.symlink("../../../../fs", f"{D}/kernel/fs")
put("root/far/two/two.ko", m.module("two", V))
os.symlink("../../../../../far", f"{D}/kernel/drivers/far")
put("root/src/inner.ko", m.module("inner", V))
os.symlink("../../../src", f"{D}/source")
put(f"{D}/build/xenblk.ko", m.module("xenblk", V))
put(f"{D}/kernel/net/build/deep.ko", m.module("deep", V))
put("root/weak/one.ko", m.module("one", V))
os.mkdir(f"{D}/weak-updates")
os.symlink("../../../../weak/one.ko", f"{D}/weak-updates/one.ko")
os.symlink("gone.ko", f"{D}/weak-updates/xennet.ko")
os.symlink("gone.ko", f"{D}/kernel/zz.ko")
"#;

#[test]
fn a_tree_without_an_index_has_the_modules_that_depmod_finds() {
    let scene = Scene::new(LINKED);
    let root = scene.path("root");
    let ours: BTreeSet<String> = with_tree(&root, KERNEL, |tree| {
        let ids: Vec<_> = tree.ids().collect();
        let paths = ids.into_iter().map(|id| tree.path(id).as_bytes().to_vec());
        paths.map(utf8).collect()
    });
    DEPMOD.run(&["-b", text(&root), KERNEL], b"");
    let theirs: BTreeSet<String> = modules_dep(&root, KERNEL).into_keys().collect();
    // The link that leads nowhere is kept, to be told when it is asked for.
    let dangling = BTreeSet::from(["kernel/zz.ko".to_owned()]);
    assert_eq!(&ours - &theirs, dangling);
    assert_eq!(&theirs - &ours, BTreeSet::new());
    assert!(theirs.contains("kernel/drivers/far/two/two.ko"));
}

#[test]
fn a_module_that_is_a_link_to_nowhere_is_named_when_it_is_asked_for() {
    for recipe in [LINKED, "os.symlink('gone.ko', f'{D}/kernel/zz.ko')"] {
        let scene = Scene::new(recipe);
        let output = run(&mut scene.build(&["--with", "zz"]));
        let said = words(&output);
        let link = format!("root/lib/modules/{KERNEL}/kernel/zz.ko\n");
        assert!(said.contains(&link), "{said}");
        assert!(said.contains("zz.ko -> gone.ko leads nowhere"), "{said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        let output = run(&mut scene.build(&[]));
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    }
}
