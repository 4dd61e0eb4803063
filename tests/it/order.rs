//! What is loaded, in which order, and what only goes in: rules that no real kernel's tree shows alone.

use std::num::NonZeroUsize;

use xinitrd::image_path::ImagePath;
use xinitrd::kmod::config::ModprobeConfig;
use xinitrd::kmod::order::Resolver;
use xinitrd::kmod::tree::{ModuleId, ModuleTree};
use xinitrd::root::Root;

use crate::guest::{EL4_KERNEL, Guest};
use crate::readers::Tree;
use crate::support::{text, utf8, xinitrd, xinitrd_prints};

/// What a build with these arguments would load, in order.
fn loads(arguments: &[&str]) -> Vec<String> {
    let dry = [arguments, &["--dry-run", "--json"]].concat();
    let report = xinitrd_prints(&dry);
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let modules = report["modules"].as_array().unwrap().iter();
    let loaded = modules.filter(|module| module["loaded"] == true);
    let names = loaded.map(|module| module["name"].as_str().unwrap().to_owned());
    names.collect()
}

const TREE: &str = "\
==> lib/modules/1/modules.dep <==
k/a.ko: k/b.ko k/c-d.ko
k/b.ko: k/c-d.ko
k/c-d.ko:
k/early.ko:
k/late.ko:
k/other.ko:
k/weak.ko: k/weaker.ko k/c-d.ko
k/weaker.ko:
k/e.ko:
==> lib/modules/1/modules.softdep <==
softdep a pre: early in post: late
softdep a pre: other
==> lib/modules/1/modules.weakdep <==
weakdep a weak
==> lib/modules/1/modules.alias <==
alias x-1_* e
==> lib/modules/1/modules.builtin <==
k/in.ko
==> lib/modules/1/updates/e.ko <==
";

/// What was asked for; what is loaded, what goes in beside it, and what is built in.
type Case<'a> = (&'a [&'a str], &'a str, &'a str, &'a str);

/// The order of modprobe (libkmod, `kmod_module_probe_insert_module`): prerequisites, then soft
/// ones, then the module, then those it wants after it. Later softdep lines and weak ones go in.
const CASES: [Case<'_>; 4] = [
    (
        &["a"],
        "k/c-d.ko k/b.ko k/early.ko k/a.ko k/late.ko",
        "k/weaker.ko k/weak.ko k/other.ko",
        "in",
    ),
    (&["x_1-2"], "updates/e.ko", "", ""),
    (&["in", "e", "b"], "updates/e.ko k/c-d.ko k/b.ko", "", "in"),
    (&["c_d", "e"], "k/c-d.ko updates/e.ko", "", ""),
];

#[test]
fn requests_load_by_modprobes_rules() {
    for (wanted, load, include, builtin) in CASES {
        let root = Root::new(Box::new(Tree::read(TREE.as_bytes())));
        let directory = ImagePath::new("lib/modules/1").unwrap();
        let (config, one) = (ModprobeConfig::default(), NonZeroUsize::MIN);
        let mut tree = ModuleTree::open(&root, &directory, config, one).unwrap();
        let mut resolver = Resolver::new(&mut tree);
        wanted.iter().for_each(|name| resolver.require(name));
        let order = resolver.finish().unwrap();
        let path = |&id: &ModuleId| String::from_utf8_lossy(tree.path(id).as_bytes()).into_owned();
        let paths = |ids: &[ModuleId]| ids.iter().map(path).collect::<Vec<_>>().join(" ");
        let names = order.builtin.iter().map(ToString::to_string);
        let found = (
            paths(&order.load),
            paths(&order.include),
            names.collect::<Vec<_>>().join(" "),
        );
        let expected = (load.to_owned(), include.to_owned(), builtin.to_owned());
        assert_eq!(found, expected, "{wanted:?}");
    }
}

#[test]
fn preloads_come_first_then_drivers_storage_the_root_file_system_and_the_rest() {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &["--with-extra"]);
    let [root, bins] = [&guest.root, &guest.bins].map(|path| text(path));
    let given = [
        "build", "--kernel", EL4_KERNEL, "--root", root, "--bins", bins,
    ];
    let wanted = ["--with", "dm-zero", "--preload", "raid1"];
    let expected = [
        "raid1", "xenblk", "xennet", "scsi_mod", "sd_mod", "aic79xx", "dm_mod", "jbd", "ext3",
        "dm_zero",
    ];
    assert_eq!(loads(&[&given[..], &wanted].concat()), expected);
}

#[test]
fn storage_that_is_omitted_is_left_out_and_other_storage_is_not() {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &["--with-extra"]);
    let volume = "--root-device=/dev/VolGroup00/LogVol00";
    let array = "--root-device=/dev/md0";
    for (more, dm, raid) in [
        (&[][..], true, false),
        (&["--omit-lvm-modules", "--omit-raid-modules"], false, false),
        (&[volume], true, false),
        (&[array], true, true),
    ] {
        let loads = loads(&guest.arguments(more));
        let found =
            ["dm_mod", "raid1", "scsi_mod"].map(|name| loads.iter().any(|load| load == name));
        assert_eq!(found, [dm, raid, false], "{more:?}");
    }
}

#[test]
fn a_root_whose_drivers_are_left_out_or_missing_is_refused() {
    let volume = "--root-device=/dev/VolGroup00/LogVol00";
    let array = "--root-device=/dev/md0";
    for (variant, more, found) in [
        (
            "--with-extra",
            [volume, "--omit-lvm-modules"],
            "--omit-lvm-modules, and root /dev/VolGroup00/LogVol00",
        ),
        (
            "--with-extra",
            [array, "--omit-raid-modules"],
            "--omit-raid-modules, and root /dev/md0",
        ),
        (
            "--bits-of=nash=x86_64",
            [array, "--omit-lvm-modules"],
            "no RAID driver: none of linear, raid0, raid1, raid10, raid5, raid456",
        ),
    ] {
        let guest = Guest::of_2008("el4", EL4_KERNEL, &[variant]);
        let done = xinitrd(&guest.arguments(&[&more[..], &["--dry-run"]].concat()));
        let said = utf8(done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("    found:    {found}")), "{said}");
    }
}
