//! The kernel modules of an image, judged: real ones, each spoilt in one way.

use std::collections::BTreeSet;
use std::fs;

use xinitrd::elf::symbols::{Binding, read};
use xinitrd::host::directory::DirectoryFiles;
use xinitrd::inspect::Guest;
use xinitrd::inspect::finding::Rule;
use xinitrd::inspect::guest_kernel::GuestKernel;
use xinitrd::inspect::rules::{drivers, elf, index, kernels, modules, symbols};
use xinitrd::kernel_version::{KernelVersion, NamedKernel};
use xinitrd::root::Root;
use xinitrd::xen_version::XenVersion;

use crate::judged::{Made, archive, file, found, judged, link, program};
use crate::readers::Tree;
use crate::support::{Tool, fetched, kernel_of};

const ZSTD: Tool = Tool::of("zstd", "zstd");
/// What ends a module that Debian has signed.
const SIGNATURE: &[u8] = b"~Module signature appended~\n";
/// Modules in an order in which they load, each after all it needs.
const MODULES: [&str; 5] = [
    "lib/crc16.ko",
    "fs/mbcache.ko",
    "fs/jbd2/jbd2.ko",
    "fs/ext4/ext4.ko",
    "drivers/block/xen-blkfront.ko",
];

/// A module: its name, and its file.
type Module = (String, Vec<u8>);

fn rules() -> Vec<&'static Rule> {
    let topics = [
        kernels::RULES,
        modules::RULES,
        symbols::RULES,
        drivers::RULES,
    ];
    topics.concat()
}

fn release() -> String {
    kernel_of(&fetched("kernel-6.1-amd64"))
}

fn real_modules() -> Vec<Module> {
    let kernel = fetched("kernel-6.1-amd64");
    let directory = kernel
        .join("lib/modules")
        .join(kernel_of(&kernel))
        .join("kernel");
    let module = |path: &str| {
        let name = path.rsplit('/').next().unwrap();
        (name.to_owned(), fs::read(directory.join(path)).unwrap())
    };
    MODULES.map(module).to_vec()
}

/// `bytes` with one stretch replaced by another as long.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + from.len()].copy_from_slice(to);
    bytes
}

/// A module of another release, its digit and all else alike.
fn aged(bytes: &[u8]) -> Vec<u8> {
    replaced(bytes, b"vermagic=6.1.", b"vermagic=5.1.")
}

/// A module that was built against another version of `symbol`.
fn misbuilt(bytes: &[u8], symbol: &str) -> Vec<u8> {
    let symbols = read(bytes).unwrap().1;
    let need = symbols
        .needs
        .iter()
        .find(|need| need.name == symbol.as_bytes());
    let crc = u64::from(need.unwrap().crc.unwrap());
    let record = |crc: u64| [&crc.to_le_bytes(), symbol.as_bytes(), b"\0"].concat();
    replaced(bytes, &record(crc), &record(crc ^ 1))
}

/// An image whose nash loads `loads`, one file after the other, out of `lib`.
fn image(modules: &[Module], loads: &[&str]) -> Vec<u8> {
    let loads: String = loads
        .iter()
        .map(|name| format!("insmod /lib/{name}\n"))
        .collect();
    let init = program("init", format!("#!/bin/nash\n{loads}"));
    let files = modules
        .iter()
        .map(|(name, bytes)| file(format!("lib/{name}"), bytes));
    let entries: Vec<Made> = [init].into_iter().chain(files).collect();
    archive(&entries)
}

fn names(modules: &[Module]) -> Vec<&str> {
    modules.iter().map(|(name, _)| name.as_str()).collect()
}

/// What is found in the image of `modules`, loaded in their order.
fn in_order(modules: &[Module], guest: &Guest) -> Vec<String> {
    found(&judged(image(modules, &names(modules)), guest), &rules())
}

/// The sound image with one of its modules changed, or without it.
fn with(name: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<Module> {
    let modules = real_modules().into_iter();
    let change = |(own, bytes): Module| match own == name {
        true => Some((own, change(&bytes)?)),
        false => Some((own, bytes)),
    };
    modules.filter_map(change).collect()
}

#[test]
fn a_module_that_is_not_of_its_kernel_or_lacks_what_it_needs_is_found_once() {
    let packed = |(name, bytes): Module| match name.as_str() {
        "crc16.ko" => (format!("{name}.zst"), ZSTD.run(&["-c"], &aged(&bytes))),
        _ => (name, aged(&bytes)),
    };
    let vermagic = "SMP preempt mod_unload modversions";
    let other = format!(
        "vermagic \"{}\"",
        release().replacen("6.1", "5.1", 1) + " " + vermagic
    );
    let cases: [(&str, Vec<Module>, Vec<String>); 7] = [
        ("sound", real_modules(), vec![]),
        (
            "without a need",
            with("jbd2.ko", |_| None),
            vec!["error module-dependency-missing lib/ext4.ko: it needs jbd2, not in the image".to_owned()],
        ),
        (
            "of another release",
            with("mbcache.ko", |bytes| Some(aged(bytes))),
            vec![format!("warning module-vermagic-mismatch lib/mbcache.ko: {other}")],
        ),
        (
            "built against another version",
            with("ext4.ko", |bytes| Some(misbuilt(bytes, "mb_cache_create"))),
            vec!["error module-symbol-crc lib/ext4.ko: it was built against another version of mb_cache_create".to_owned()],
        ),
        (
            "without the driver",
            with("xen-blkfront.ko", |_| None),
            vec!["warning no-xen-block-driver -: 4 modules, none of them for xen:vbd".to_owned()],
        ),
        (
            "stripped",
            with("ext4.ko", |bytes| Some(bytes.strip_suffix(SIGNATURE).unwrap().to_vec())),
            vec!["warning module-signature-stripped lib/ext4.ko: no signature".to_owned()],
        ),
        (
            "compressed",
            real_modules().into_iter().map(packed).collect(),
            vec![format!(
                "error module-compression-unreadable lib/crc16.ko.zst: zstd-compressed, and loaded by an unknown program",
            )],
        ),
    ];
    for (case, modules, expected) in cases {
        assert_eq!(in_order(&modules, &Guest::default()), expected, "{case}");
    }
}

#[test]
fn modules_are_loaded_after_what_they_need() {
    let modules = real_modules();
    let early = "error module-loaded-before-its-need lib/ext4.ko: it is loaded";
    for (loads, expected) in [
        (
            &["crc16.ko", "mbcache.ko", "jbd2.ko", "ext4.ko"][..],
            vec![],
        ),
        (
            &["crc16.ko", "mbcache.ko", "ext4.ko", "jbd2.ko"],
            vec![format!("{early} before jbd2")],
        ),
        (
            &["crc16.ko", "mbcache.ko", "ext4.ko"],
            vec![format!("{early}, and jbd2 never")],
        ),
        (
            &["ext4.ko", "mbcache.ko"],
            vec![format!("{early} before mbcache, and crc16, jbd2 never")],
        ),
    ] {
        let inspection = judged(image(&modules, loads), &Guest::default());
        assert_eq!(found(&inspection, modules::RULES), expected, "{loads:?}");
    }
}

#[test]
fn what_modprobe_loads_needs_an_index_and_no_order() {
    let release = release();
    let directory = format!("lib/modules/{release}");
    let init = program(
        "init",
        "#!/bin/nash\nmodprobe ext4\nmodprobe xen-blkfront\n",
    );
    let files = real_modules().into_iter();
    let files = files.map(|(name, bytes)| file(format!("{directory}/{name}"), bytes));
    let mut entries: Vec<Made> = [init].into_iter().chain(files).collect();
    let lines = |entries: &[Made]| {
        let inspection = judged(archive(entries), &Guest::default());
        found(&inspection, &rules())
    };
    let expected = format!(
        "error modules-dep-missing -: modprobe is asked for ext4, and /lib/modules/{release} has no index"
    );
    assert_eq!(lines(&entries), [expected]);
    entries.push(file(
        format!("{directory}/modules.dep"),
        "ext4.ko: jbd2.ko\n",
    ));
    assert_eq!(lines(&entries), [""; 0]);
    let old = release.replacen("6.1", "5.1", 1);
    let (name, bytes) = real_modules().swap_remove(0);
    entries.push(file(format!("lib/modules/{old}/{name}"), aged(&bytes)));
    entries.push(file(
        format!("lib/modules/{old}/modules.dep"),
        "crc16.ko:\n",
    ));
    let expected = format!("warning several-kernels -: modules of {old}, {release}");
    assert_eq!(lines(&entries), [expected]);
}

#[test]
fn of_a_kernel_that_the_guest_does_not_boot_nothing_is_missed_and_nothing_counts() {
    let release = release();
    let old = release.replacen("6.1", "5.1", 1);
    let at = |release: &str, name: &str, bytes: Vec<u8>| {
        file(format!("lib/modules/{release}/{name}"), bytes)
    };
    // Without what ext4 needs, and not all in the index.
    let loose = |name: &str| ["ext4.ko", "xen-blkfront.ko"].contains(&name);
    let others = real_modules().into_iter().filter(|(name, _)| loose(name));
    let others = others.map(|(name, bytes)| at(&old, &name, aged(&bytes)));
    let own = |is_in: &dyn Fn(&str) -> bool| {
        let own = real_modules().into_iter().filter(|(name, _)| is_in(name));
        own.map(|(name, bytes)| at(&release, &name, bytes))
            .collect::<Vec<_>>()
    };
    let init = "#!/bin/nash\nmodprobe ext4\nmodprobe xen-blkfront\n";
    let rest = vec![
        program("init", init),
        at(
            &release,
            "modules.dep",
            b"ext4.ko: jbd2.ko mbcache.ko crc16.ko\njbd2.ko:\nmbcache.ko:\ncrc16.ko:\nxen-blkfront.ko:\n".to_vec(),
        ),
        at(&old, "modules.dep", b"gone.ko:\n".to_vec()),
    ];
    let rest: Vec<Made> = rest.into_iter().chain(others).collect();
    let of = |own: Vec<Made>, release: Option<&str>| {
        let guest = Guest {
            release: release.map(str::to_owned),
            xen: Some(XenVersion::new(4, 17)),
            ..Guest::default()
        };
        let image = archive(&[&rest[..], &own[..]].concat());
        let all = [&rules()[..], index::RULES].concat();
        let lines = found(&judged(image, &guest), &all);
        let rule = |line: String| line.split(' ').nth(1).unwrap().to_owned();
        lines.into_iter().map(rule).collect::<BTreeSet<_>>()
    };
    let said = Some(release.as_str());
    let set = |rules: &[&str]| {
        rules
            .iter()
            .map(|&rule| rule.to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(of(own(&|_| true), said), set(&["several-kernels"]));
    let without_driver = own(&|name| name != "xen-blkfront.ko");
    assert_eq!(
        of(without_driver, said),
        set(&["several-kernels", "no-xen-block-driver"])
    );
    assert_eq!(
        of(own(&|_| true), None),
        set(&[
            "several-kernels",
            "module-dependency-missing",
            "modules-dep-stale"
        ])
    );
}

#[test]
fn a_module_that_cannot_be_read_is_not_told_to_be_missing() {
    let release = release();
    let modules = real_modules().into_iter().map(|(name, bytes)| {
        let bytes = if name == "jbd2.ko" { Vec::new() } else { bytes };
        file(format!("lib/modules/{release}/{name}"), bytes)
    });
    let image = archive(&modules.collect::<Vec<_>>());
    let topics = [elf::RULES, &rules()[..]].concat();
    let lines = found(&judged(image, &Guest::default()), &topics);
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert!(
        line.starts_with(&format!("error elf-damaged lib/modules/{release}/jbd2.ko")),
        "{line}"
    );
}

#[test]
fn a_module_that_weak_updates_lend_is_of_the_kernel_that_it_is_lent_to() {
    let release = release();
    let directory = format!("lib/modules/{release}");
    let lender = format!("lib/modules/{}/extra", release.replacen("6.1", "5.1", 1));
    let files = real_modules()
        .into_iter()
        .map(|(name, bytes)| match name.as_str() {
            "ext4.ko" => file(format!("{lender}/{name}"), aged(&bytes)),
            _ => file(format!("{directory}/{name}"), bytes),
        });
    let others = [
        program(
            "init",
            "#!/bin/nash\nmodprobe ext4\nmodprobe xen-blkfront\n",
        ),
        file(format!("{directory}/modules.dep"), "ext4.ko: jbd2.ko\n"),
        link(
            format!("{directory}/weak-updates/ext4.ko"),
            format!("/{lender}/ext4.ko"),
        ),
    ];
    let entries: Vec<Made> = files.chain(others).collect();
    let inspection = judged(archive(&entries), &Guest::default());
    assert_eq!(found(&inspection, &rules()), [""; 0]);
}

/// What the guest's root says: the kernel exports all that the real modules need of it.
fn guest(spoil: impl Fn(&str) -> Option<String>) -> Guest {
    let modules = real_modules();
    let all: Vec<_> = modules
        .iter()
        .map(|(_, bytes)| read(bytes).unwrap().1)
        .collect();
    let own: Vec<&[u8]> = all
        .iter()
        .flat_map(|one| one.exports.iter())
        .map(|one| one.name)
        .collect();
    let mut lines = String::new();
    for need in all.iter().flat_map(|one| one.needs.iter()) {
        if need.binding != Binding::Weak && !own.contains(&need.name) {
            let (crc, name) = (need.crc.unwrap_or(0), String::from_utf8_lossy(need.name));
            let line = format!("0x{crc:08x}\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n");
            lines.extend(spoil(&line));
        }
    }
    let release = release();
    let path = format!("usr/src/linux-headers-{release}/Module.symvers");
    let tree = Tree::read(format!("==> {path} <==\n{lines}").as_bytes());
    let root = Root::new(Box::new(tree));
    Guest {
        root: Some(GuestKernel::read(&root, &release).unwrap()),
        ..Guest::default()
    }
}

#[test]
fn symbols_are_held_against_the_kernels_own_list() {
    const LINE: &str = "\txenbus_gather\t";
    let whole = guest(|line| Some(line.to_owned()));
    assert_eq!(in_order(&real_modules(), &whole), [""; 0]);
    let lacking = guest(|line| (!line.contains(LINE)).then(|| line.to_owned()));
    let expected = "error module-symbol-missing lib/xen-blkfront.ko: it uses xenbus_gather, which nothing exports";
    assert_eq!(in_order(&real_modules(), &lacking), [expected]);
    let differing = guest(|line| {
        Some(match line.contains(LINE) {
            true => format!("0x00000001{LINE}vmlinux\tEXPORT_SYMBOL\t\n"),
            false => line.to_owned(),
        })
    });
    let expected = "error module-symbol-crc lib/xen-blkfront.ko: it was built against another version of xenbus_gather";
    assert_eq!(in_order(&real_modules(), &differing), [expected]);
}

#[test]
fn an_image_is_held_against_the_guest_that_was_named() {
    let modules = real_modules();
    let of_old = Guest {
        kernel: Some(KernelVersion::new(2, 6, 18)),
        ..Guest::default()
    };
    let expected = format!("error other-kernels-modules -: modules of {}", release());
    assert_eq!(in_order(&modules, &of_old), [expected.as_str()]);
    let of_series = Guest {
        kernel: Some(KernelVersion::new(6, 1, 192)),
        ..Guest::default()
    };
    assert_eq!(in_order(&modules, &of_series), [""; 0]);
    for (of, expected) in [
        (release(), vec![]),
        (
            release().replace("-amd64", "-cloud-amd64"),
            vec![expected.clone()],
        ),
    ] {
        let named: NamedKernel = of.parse().unwrap();
        let of_release = Guest {
            kernel: Some(named.version),
            release: named.release,
            ..Guest::default()
        };
        assert_eq!(in_order(&modules, &of_release), expected, "{of}");
    }
    let without = with("xen-blkfront.ko", |_| None);
    let of_xen = Guest {
        xen: Some(XenVersion::new(4, 17)),
        ..Guest::default()
    };
    let expected = "error no-xen-block-driver -: 4 modules, none of them for xen:vbd";
    assert_eq!(in_order(&without, &of_xen), [expected]);
    let tree = format!(
        "==> lib/modules/{}/modules.builtin <==\nkernel/drivers/block/xen-blkfront.ko\n",
        release()
    );
    let root = Root::new(Box::new(Tree::read(tree.as_bytes())));
    let built_in = Guest {
        root: Some(GuestKernel::read(&root, &release()).unwrap()),
        ..of_xen
    };
    assert_eq!(in_order(&without, &built_in), [""; 0]);
}

/// What begins the note of a build: three lengths, and a name (elf(5)).
const BUILD_NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";

/// A module of another build of the same source.
fn rebuilt(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .windows(BUILD_NOTE.len())
        .position(|window| window == BUILD_NOTE);
    let mut bytes = bytes.to_vec();
    bytes[start.unwrap() + BUILD_NOTE.len()] ^= 0xff;
    bytes
}

#[test]
fn modules_are_held_against_those_of_the_guests_root() {
    let kernel = fetched("kernel-6.1-amd64");
    let root = || Root::new(Box::new(DirectoryFiles::new(&kernel).unwrap()));
    let own = GuestKernel::read(&root(), &release()).unwrap();
    let guest = Guest {
        root: Some(own.with_modules(root()).unwrap()),
        ..Guest::default()
    };
    let unsigned = |(name, bytes): Module| (name, bytes.strip_suffix(SIGNATURE).unwrap().to_vec());
    let unsigned: Vec<Module> = real_modules().into_iter().map(unsigned).collect();
    assert_eq!(in_order(&real_modules(), &guest), [""; 0]);
    assert_eq!(in_order(&unsigned, &Guest::default()), [""; 0]);
    let mut expected = MODULES.map(|path| {
        let name = path.rsplit('/').next().unwrap();
        format!("warning module-signature-stripped lib/{name}: no signature")
    });
    expected.sort();
    assert_eq!(in_order(&unsigned, &guest), expected);
    let other = with("ext4.ko", |bytes| Some(rebuilt(bytes)));
    let found = in_order(&other, &guest);
    let line = "warning module-differs-from-root lib/ext4.ko: build ";
    assert!(found.len() == 1 && found[0].starts_with(line), "{found:?}");
    let packed = with("ext4.ko", |bytes| Some(ZSTD.run(&["-c"], bytes)));
    let found = in_order(&packed, &guest);
    assert!(
        !found.iter().any(|line| line.contains("differs")),
        "{found:?}"
    );
}

#[test]
fn an_index_tells_of_each_module_where_it_lies_and_what_it_needs() {
    let directory = format!("lib/modules/{}", release());
    let whole = "crc16.ko:\nmbcache.ko:\njbd2.ko:\next4.ko: jbd2.ko mbcache.ko crc16.ko\nxen-blkfront.ko:\nother.ko:\n";
    let packed = whole.replace("ext4.ko:", "ext4.ko.xz:");
    let without = whole.replace(" jbd2.ko ", " ");
    let unlisted = whole.replace("xen-blkfront.ko:\n", "");
    let told = |name: &str| format!("{directory}/modules.dep is wrong about {name}");
    let list = "conf/modules";
    for (index, init, expected) in [
        (whole, "", None),
        (&packed, "modprobe ext4\n", Some(("warning", "ext4"))),
        (&without, "modprobe ext4\n", Some(("warning", "ext4"))),
        (
            &unlisted,
            "modprobe ext4\n",
            Some(("warning", "xen_blkfront")),
        ),
        (&unlisted, "insmod /x.ko\n", None),
        (&unlisted, list, Some(("error", "xen_blkfront"))),
        (&packed, list, Some(("warning", "ext4"))),
    ] {
        let files = real_modules().into_iter();
        let files = files.map(|(name, bytes)| file(format!("{directory}/{name}"), bytes));
        let mut entries: Vec<Made> = files.collect();
        entries.push(file(format!("{directory}/modules.dep"), index));
        // What tells initramfs-tools, whose init loads all of a list.
        if init == list {
            entries.push(file("conf/initramfs.conf", ""));
            entries.push(file("scripts/functions", ""));
            entries.push(file(list, "xen-blkfront\n"));
        }
        entries.push(program("init", format!("#!/bin/sh\n{init}")));
        let lines = found(&judged(archive(&entries), &Guest::default()), index::RULES);
        let expected =
            expected.map(|(weight, name)| format!("{weight} modules-dep-stale -: {}", told(name)));
        assert_eq!(lines, Vec::from_iter(expected), "{init}");
    }
}
