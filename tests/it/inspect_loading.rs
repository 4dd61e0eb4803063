//! Compressed modules, and the programs that are to load them: real modules, Debian's busybox and kmod. What
//! each really loads was seen on Debian's kernels 6.1 and 6.12; tests/boot holds two cases of it.

use std::fs;

use xinitrd::init::busybox;
use xinitrd::inspect::Guest;
use xinitrd::inspect::guest_kernel::GuestKernel;
use xinitrd::inspect::rules::modules;
use xinitrd::root::Root;

use crate::judged::{Made, archive, directory, file, found, judged, link, program};
use crate::readers::Tree;
use crate::support::{Tool, fetched, kernel_of, modules_of};

const GZIP: Tool = Tool::of("gzip", "gzip");
const XZ: Tool = Tool::of("xz", "xz-utils");
const ZSTD: Tool = Tool::of("zstd", "zstd");

/// A real module of kernel 6.1 or 6.12, plain, and its release.
pub fn module(kernel: &str) -> (Vec<u8>, String) {
    let root = fetched(kernel);
    let release = kernel_of(&root);
    let directory = root.join(modules_of(&root)).join(&release);
    let path = directory.join("kernel/drivers/block/xen-blkfront.ko");
    let bytes = match fs::read(&path) {
        Ok(plain) => plain,
        Err(_) => XZ.run(&["-dc"], &fs::read(path.with_extension("ko.xz")).unwrap()),
    };
    (bytes, release)
}

pub fn packed(format: &str, module: &[u8]) -> Vec<u8> {
    match format {
        "gz" => GZIP.run(&["-c"], module),
        "xz" => XZ.run(&["--check=crc32", "-c"], module),
        _ => ZSTD.run(&["-c"], module),
    }
}

/// What runs `insmod`: Debian's static busybox; its kmod, linked to libzstd and liblzma and not to libz; one
/// that opens them when it needs them, as kmod does since 33, and finds none; and one that finds libzstd.
fn loaders(name: &str) -> Vec<Made> {
    let busybox = fs::read(fetched("busybox-amd64").join("bin/busybox")).unwrap();
    let builders = fetched("builders-amd64").join("usr");
    let linked = |path: &str| fs::read(builders.join(path)).unwrap();
    let apart = |path: &str| {
        let bytes = renamed(linked(path), b"libzstd.so.1", b"libqstd.so.1");
        renamed(bytes, b"liblzma.so.5", b"libqzma.so.5")
    };
    let kmod = |bytes: &dyn Fn(&str) -> Vec<u8>| {
        vec![
            program("bin/kmod", bytes("bin/kmod")),
            link("sbin/insmod", "../bin/kmod"),
            file(
                "lib/libkmod.so.2",
                bytes("lib/x86_64-linux-gnu/libkmod.so.2"),
            ),
        ]
    };
    let mut entries = vec![program("bin/busybox", &busybox), directory("sbin")];
    entries.extend(match name {
        "busybox" => vec![],
        // Of a program that is linked to nothing it is not known what it was built with.
        "kmod static" => vec![
            program("bin/kmod", &busybox),
            link("sbin/insmod", "../bin/kmod"),
        ],
        "kmod" => kmod(&linked),
        _ => kmod(&apart),
    });
    if name == "kmod and libzstd" {
        let library = linked("lib/x86_64-linux-gnu/libzstd.so.1");
        entries.push(file("lib/libzstd.so.1.5.4", library));
    }
    entries
}

/// `bytes` with a name in place of another as long, wherever it stands.
fn renamed(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, from).collect();
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    bytes
}

/// A guest whose root has this configuration of the kernel.
pub fn guest(release: &str, configuration: &str) -> Guest {
    let text = format!("==> boot/config-{release} <==\n{configuration}");
    let root = Root::new(Box::new(Tree::read(text.as_bytes())));
    Guest {
        root: Some(GuestKernel::read(&root, release).unwrap()),
        ..Guest::default()
    }
}

#[test]
fn a_compressed_module_is_held_against_what_loads_it_and_the_kernels_configuration() {
    const XZ_ALONE: &str = "CONFIG_MODULE_DECOMPRESS=y\nCONFIG_MODULE_COMPRESS_XZ=y\n";
    const ZSTD_TOO: &str = "CONFIG_MODULE_DECOMPRESS=y\nCONFIG_MODULE_COMPRESS_ZSTD=y\n";
    let (old, new) = ("kernel-6.1-amd64", "kernel-6.12-amd64");
    let error = |told: &str| Some(format!("error {told}"));
    let warning = |told: &str| Some(format!("warning {told}"));
    let cases = [
        (old, "gz", "busybox", None, None),
        (old, "xz", "busybox", None, None),
        (
            old,
            "zst",
            "busybox",
            None,
            error("zstd-compressed, and loaded by busybox 1.35"),
        ),
        (
            new,
            "zst",
            "busybox",
            Some(ZSTD_TOO),
            error("zstd-compressed, and loaded by busybox 1.35"),
        ),
        (old, "zst", "kmod", None, None),
        (old, "xz", "kmod", None, None),
        (
            new,
            "gz",
            "kmod",
            None,
            warning("gzip-compressed, and loaded by kmod"),
        ),
        (
            new,
            "gz",
            "kmod",
            Some(XZ_ALONE),
            error("gzip-compressed, and loaded by kmod"),
        ),
        (
            old,
            "zst",
            "kmod apart",
            None,
            error("zstd-compressed, and loaded by kmod"),
        ),
        (old, "zst", "kmod and libzstd", None, None),
        (old, "zst", "kmod static", None, None),
        (new, "zst", "kmod apart", None, None),
        (new, "zst", "kmod apart", Some(ZSTD_TOO), None),
        (
            new,
            "zst",
            "kmod apart",
            Some(XZ_ALONE),
            error("zstd-compressed, and loaded by kmod"),
        ),
    ];
    for (kernel, format, loader, configuration, expected) in cases {
        let (module, release) = module(kernel);
        let name = format!("lib/xen-blkfront.ko.{format}");
        let mut entries = loaders(loader);
        entries.extend([
            file("etc/xinitrd/modules", format!("{name}\n")),
            file(&name, packed(format, &module)),
            program("init", busybox::INIT),
        ]);
        let guest = match configuration {
            Some(configuration) => guest(&release, configuration),
            None => Guest::default(),
        };
        let told = found(&judged(archive(&entries), &guest), modules::RULES);
        let line = |told: String| {
            let (severity, told) = told.split_once(' ').unwrap();
            format!("{severity} module-compression-unreadable {name}: {told}")
        };
        let expected: Vec<String> = expected.map(line).into_iter().collect();
        assert_eq!(
            told, expected,
            "{kernel} {format} {loader} {configuration:?}"
        );
    }
}

/// What is found of a module that the init has loaded: by `insmod` and its file.
fn told_of(format: &str, init: &str, mut entries: Vec<Made>) -> Vec<String> {
    let name = format!("lib/xen-blkfront.ko.{format}");
    entries.push(file(&name, packed(format, &module("kernel-6.1-amd64").0)));
    entries.push(program("init", init.replace("FILE", &name)));
    let found = found(
        &judged(archive(&entries), &Guest::default()),
        modules::RULES,
    );
    let rule = format!("warning module-compression-unreadable {name}: ");
    let told = found
        .iter()
        .map(|line| line.strip_prefix(&rule).unwrap().to_owned());
    told.collect()
}

#[test]
fn a_static_busybox_may_take_its_own_insmod_before_any_other() {
    let dynamic = fs::read(fetched("builders-amd64").join("usr/bin/busybox")).unwrap();
    for (shell, format, kmod, expected) in [
        ("busybox", "zst", "kmod", None),
        ("busybox", "gz", "kmod", None),
        (
            "busybox",
            "zst",
            "kmod apart",
            Some("zstd-compressed, and loaded by kmod"),
        ),
        ("dynamic", "zst", "kmod", None),
        (
            "dynamic",
            "gz",
            "kmod",
            Some("gzip-compressed, and loaded by kmod"),
        ),
    ] {
        let mut entries = loaders(kmod);
        entries.push(program("bin/dynamic", &dynamic));
        let init = format!("#!/bin/{shell} sh\ninsmod /FILE\n");
        let told = told_of(format, &init, entries);
        assert_eq!(told, Vec::from_iter(expected), "{shell} {format} {kmod}");
    }
}

#[test]
fn busybox_is_known_by_whatever_name_it_is_there() {
    let busybox = fs::read(fetched("busybox-amd64").join("bin/busybox")).unwrap();
    for name in ["sh", "ash", "busybox.static"] {
        let entries = vec![program(format!("bin/{name}"), &busybox)];
        let told = told_of("zst", &format!("#!/bin/{name}\ninsmod /FILE\n"), entries);
        assert_eq!(
            told,
            ["zstd-compressed, and loaded by busybox 1.35"],
            "{name}"
        );
    }
}

#[test]
fn udev_loads_by_kmods_library_whatever_modprobe_is() {
    let builders = fetched("builders-amd64").join("usr");
    let library = fs::read(builders.join("lib/x86_64-linux-gnu/libkmod.so.2")).unwrap();
    let kmod = fs::read(builders.join("bin/kmod")).unwrap();
    let busybox = || loaders("busybox");
    let with_udev = |library: &[u8], mut entries: Vec<Made>| {
        entries.push(program("lib/systemd/systemd-udevd", ""));
        entries.push(file("lib/libkmod.so.2", library));
        entries
    };
    let bare = renamed(library.clone(), b"liblzma.so.5", b"libqzma.so.5");
    let by_busybox = "zstd-compressed, and loaded by busybox 1.35";
    let by_udev = |format: &str| format!("{format}-compressed, and loaded by udev's libkmod");
    for (format, entries, expected) in [
        ("zst", busybox(), Some(by_busybox.to_owned())),
        ("zst", with_udev(&library, busybox()), None),
        ("gz", with_udev(&library, busybox()), Some(by_udev("gzip"))),
        ("xz", with_udev(&library, busybox()), None),
        ("xz", with_udev(&bare, busybox()), Some(by_udev("xz"))),
        // One library that is linked says nothing of another that is looked for.
        (
            "xz",
            with_udev(&bare, vec![file("lib/liblzma.so.5.4.1", &kmod)]),
            None,
        ),
    ] {
        let told = told_of(format, "#!/bin/sh\n", entries);
        assert_eq!(told, Vec::from_iter(expected), "{format}");
    }
}

#[test]
fn the_configuration_is_asked_before_the_version_and_the_modules_own_options_before_both() {
    const ALL: &str =
        "CONFIG_MODULE_DECOMPRESS=y\nCONFIG_MODULE_COMPRESS_ZSTD=y\nCONFIG_MODULE_COMPRESS_XZ=y\n";
    let (module, release) = module("kernel-6.1-amd64");
    let crc64 = XZ.run(&["--check=crc64", "-c"], &module);
    let refused = "xz-compressed, and loaded by kmod";
    for (name, bytes, expected) in [
        ("lib/x.ko.zst", packed("zst", &module), None),
        ("lib/x.ko.xz", packed("xz", &module), None),
        ("lib/x.ko.xz", crc64, Some(refused)),
    ] {
        let mut entries = loaders("kmod apart");
        entries.extend([
            file("etc/xinitrd/modules", format!("{name}\n")),
            file(name, bytes),
            program("init", busybox::INIT),
        ]);
        let told = judged(archive(&entries), &guest(&release, ALL));
        let line = |told| format!("error module-compression-unreadable {name}: {told}");
        let expected = Vec::from_iter(expected.map(line));
        assert_eq!(found(&told, modules::RULES), expected, "{name}");
    }
}
