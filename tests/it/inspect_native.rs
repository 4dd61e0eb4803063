//! Images whose `/init` is this program's own: known by it, and judged by what it does. What each fault does was
//! seen on Debian's kernels 6.1 and 6.12.

use std::fs;

use xinitrd::arch::Arch;
use xinitrd::image_path::ImagePath;
use xinitrd::init::{Boot, ModuleLoad, native, texts};
use xinitrd::inspect::Guest;
use xinitrd::inspect::finding::Rule;
use xinitrd::inspect::rules::{all, modules};

use crate::inspect_loading::{guest, module, packed};
use crate::judged::{Made, archive, device, directory, file, found, judged, link, program};
use crate::scene::{Scene, run, words};
use crate::support::{fetched, kernel_of, modules_of};

/// The three modules of virtio's disks, in the order in which they need each other.
const NAMES: [(&str, &str); 3] = [
    ("virtio_ring", "virtio"),
    ("virtio", "virtio"),
    ("virtio_blk", "block"),
];

const INIT: &[u8] = native::program(Arch::X86_64);

/// The modules of a real kernel, by their paths in the image, and Xen's block driver.
fn modules_of_61() -> Vec<Made> {
    let root = fetched("kernel-6.1-amd64");
    let drivers = root.join(modules_of(&root)).join(kernel_of(&root));
    let drivers = drivers.join("kernel/drivers");
    let all = NAMES.into_iter().chain([("xen-blkfront", "block")]);
    let made = all.map(|(name, place)| {
        let path = drivers.join(place).join(format!("{name}.ko"));
        file(format!("lib/{name}.ko"), fs::read(path).unwrap())
    });
    made.collect()
}

/// The list of them, as it is written.
fn list() -> String {
    let names = NAMES.map(|(name, _)| name).into_iter();
    let load = |name| ModuleLoad {
        path: ImagePath::new(format!("lib/{name}.ko")).unwrap(),
        options: String::new(),
    };
    let boot = Boot {
        modules: names.chain(["xen-blkfront"]).map(load).collect(),
        ..Boot::default()
    };
    texts::module_list(&boot).unwrap()
}

/// A sound image with this list.
fn image(list: &str) -> Vec<Made> {
    let directories = ["dev", "etc", "etc/xinitrd", "lib"].map(directory);
    let mut entries = directories.to_vec();
    entries.extend(modules_of_61());
    entries.extend([
        file("etc/xinitrd/modules", list),
        program("init", INIT),
        device("dev/console", 5, 1),
    ]);
    entries
}

/// A sound image but for what has the name of the last entry, which that is in place of.
fn with(entry: Made, name: &str) -> Vec<Made> {
    let mut entries = without(name);
    entries.push(entry);
    entries
}

fn without(name: &str) -> Vec<Made> {
    let mut entries = image(&list());
    entries.retain(|entry| !entry.is_called(name));
    entries
}

/// What all rules find.
fn told(entries: &[Made]) -> Vec<String> {
    let rules: Vec<&'static Rule> = all().collect();
    found(&judged(archive(entries), &Guest::default()), &rules)
}

/// This program's own init, with `from` replaced in it by as many other bytes.
fn changed(from: &str) -> Vec<u8> {
    let mut bytes = INIT.to_vec();
    let at = memchr::memmem::find(&bytes, from.as_bytes()).unwrap();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn the_program_is_known_whatever_lies_beside_it_and_no_other_is_taken_for_it() {
    let beside = || file("etc/xinitrd/modules", "");
    let own = "xinitrd: xinitrd's own program";
    let stranger = "unknown: a static program";
    let padded = [INIT, &[0; 64 << 10]].concat();
    let cases: Vec<(Vec<Made>, &str)> = vec![
        (vec![program("init", INIT), beside()], own),
        (vec![program("init", INIT)], own),
        (vec![program("init", native::program(Arch::I386))], own),
        (vec![program("init", native::program(Arch::Aarch64))], own),
        (vec![link("init", "sbin/x"), program("sbin/x", INIT)], own),
        (
            vec![
                program("x", INIT).numbered(7),
                program("init", "").numbered(7),
            ],
            own,
        ),
        (
            vec![
                program("init", changed("etc/xinitrd/cmdline")),
                beside(),
                file("etc/xinitrd/cmdline", ""),
            ],
            stranger,
        ),
        (
            vec![program("init", changed("etc/xinitrd/modules")), beside()],
            stranger,
        ),
        (vec![program("init", padded), beside()], stranger),
        (
            vec![program("init", &INIT[..INIT.len() / 2]), beside()],
            "xinitrd: no program and no script",
        ),
    ];
    for (number, (entries, expected)) in cases.into_iter().enumerate() {
        let boot = judged(archive(&entries), &Guest::default()).boot;
        let init = boot.init.unwrap().kind;
        assert_eq!(format!("{}: {init}", boot.generator), expected, "{number}");
    }
}

#[test]
fn a_list_is_judged_as_the_program_reads_it() {
    let list = list();
    let ring = "lib/virtio_ring.ko";
    let cases: Vec<(String, Vec<&str>)> = vec![
        (list.clone(), vec![]),
        // What is there already is no fault, and of 512 modules and more none is left out.
        (list.repeat(200), vec![]),
        (format!("/{}", list.replace("\nlib", "\n//lib")), vec![]),
        (
            list.replace(".ko\n", ".ko  \n\n").trim_end().to_owned(),
            vec![],
        ),
        (format!("# disks\n#net\r\n\r\n{list}"), vec![]),
        // The kernel takes a carriage return behind parameters for a blank.
        (list.replacen(".ko\n", ".ko debug=1\r\n", 1), vec![]),
        (
            list.replace('\n', "\r\n"),
            vec![
                "error carriage-returns etc/xinitrd/modules: 4 lines that end with a carriage return",
            ],
        ),
        (
            list.replacen(".ko\n", ".ko\tdebug=1\n", 1),
            vec![
                "error module-loaded-before-its-need lib/virtio.ko: it is loaded, and virtio_ring never",
                "error module-loaded-before-its-need lib/virtio_blk.ko: it is loaded, and virtio_ring never",
                "error init-module-missing init: no lib/virtio_ring.ko\\tdebug=1, but lib/virtio_ring.ko",
            ],
        ),
        (
            format!("{list} {ring}\n"),
            vec!["error init-module-missing init: a line without a path"],
        ),
        (
            format!("{list}lib\n"),
            vec!["error init-module-missing init: no lib"],
        ),
        (
            format!("{list}lib/loop.ko\n"),
            vec!["error init-module-missing init: no lib/loop.ko"],
        ),
        (
            String::new(),
            vec!["error init-loads-nothing init: 4 modules, and none that it loads"],
        ),
        (
            list.replace("lib/xen-blkfront.ko\n", ""),
            vec![
                "warning no-xen-block-driver lib/xen-blkfront.ko: it is there, and the init never loads it",
            ],
        ),
        (
            format!("lib/virtio.ko\n{list}"),
            vec![
                "error module-loaded-before-its-need lib/virtio.ko: it is loaded before virtio_ring",
            ],
        ),
    ];
    for (list, expected) in cases {
        assert_eq!(told(&image(&list)), expected, "{list:.300}");
    }
}

#[test]
fn the_program_needs_nothing_in_its_image_but_what_it_cannot_make() {
    let half = &INIT[..INIT.len() - INIT.len() / 3];
    let cases: Vec<(Vec<Made>, Vec<&str>)> = vec![
        (without("dev/console"), vec![]),
        (
            without("etc/xinitrd/modules"),
            vec!["error init-loads-nothing init: 4 modules, and none that it loads"],
        ),
        // No udev of the image's runs, whose rules might load something.
        (
            with(
                program("lib/systemd/systemd-udevd", ""),
                "etc/xinitrd/modules",
            ),
            vec![
                "error init-loads-nothing init: 4 modules, and none that it loads",
                "error missing-parent lib/systemd/systemd-udevd: /lib/systemd has no entry",
            ],
        ),
        (with(directory("dev/console"), "dev/console"), vec![]),
        (
            with(file("dev/console", ""), "dev/console"),
            vec!["error wrong-console-node dev/console: a file"],
        ),
        (
            with(file("proc", ""), "proc"),
            vec!["error init-directory-missing init: /proc is a file"],
        ),
        (
            with(link("sysroot", "mnt"), "sysroot"),
            vec!["error init-directory-missing init: /sysroot is a link"],
        ),
        (
            with(file("sys", ""), "sys"),
            vec!["warning init-directory-missing init: /sys is a file"],
        ),
        (
            with(file("init", INIT), "init"),
            vec!["error init-not-executable init: mode 0644"],
        ),
        (
            with(program("init", native::program(Arch::Aarch64)), "init"),
            vec!["error elf-wrong-machine init: 64-bit aarch64"],
        ),
    ];
    for (entries, expected) in cases {
        assert_eq!(told(&entries), expected);
    }
    let cut = told(&with(program("init", half), "init"));
    assert!(
        matches!(cut.as_slice(), [line] if line.starts_with("error elf-damaged init: a truncated")),
        "{cut:?}"
    );
}

#[test]
fn the_programs_texts_are_held_against_its_room_and_its_roots() {
    let words = |text: &str| with(file("etc/xinitrd/cmdline", text), "etc/xinitrd/cmdline");
    let options = |length: usize| {
        let options = format!("{:1$}", "a=1", length);
        image(&list().replacen(".ko\n", &format!(".ko {options}\n"), 1))
    };
    let deep = |length: usize| {
        let start = format!("lib/{}/{}/", "d".repeat(255), "e".repeat(255));
        let middle = format!("{}/", "f".repeat(255));
        let file_name = "g".repeat(length - start.len() - middle.len() - 3) + ".ko";
        let directories = [start.as_bytes()[..259].to_vec()].map(directory);
        let mut entries = image(&format!("{}{start}{middle}{file_name}\n", list()));
        entries.extend(directories);
        entries.push(directory(start.trim_end_matches('/')));
        entries.push(directory(format!(
            "{start}{}",
            middle.trim_end_matches('/')
        )));
        entries.push(link(
            format!("{start}{middle}{file_name}"),
            "/lib/virtio.ko",
        ));
        entries
    };
    let unknown = |what: &str| {
        vec![format!(
            "warning init-root-unknown etc/xinitrd/cmdline: {what}"
        )]
    };
    let cut = |what: &str| vec![what.to_owned()];
    let cases: Vec<(Vec<Made>, Vec<String>)> = vec![
        (words("root=UUID=0bad rootfstype=ext4 rw\n"), vec![]),
        (words("root=/dev/disk/by-label/a\\x20b"), vec![]),
        (words("root=202:1\r\n"), vec![]),
        (words("\n"), vec![]),
        (
            words("root=\"vda 1\""),
            unknown("root=vda 1, no form that it knows"),
        ),
        (
            words("root=/dev/disk/by-path/pci-0"),
            unknown("root=/dev/disk/by-path/pci-0, a name that udev gives"),
        ),
        (
            words("root=/dev/nfs"),
            unknown("root=/dev/nfs, a root on the network"),
        ),
        (words(&" ".repeat(4096)), vec![]),
        (
            words(&" ".repeat(4097)),
            cut("warning init-text-cut etc/xinitrd/cmdline: words of 4097 bytes"),
        ),
        (options(1023), vec![]),
        (
            options(1024),
            cut(
                "error init-text-cut etc/xinitrd/modules: parameters of 1024 bytes, of the module virtio_ring",
            ),
        ),
        (deep(1022), vec![]),
    ];
    for (entries, expected) in cases {
        assert_eq!(told(&entries), expected);
    }
    let long = told(&deep(1023));
    assert!(
        matches!(long.as_slice(), [line] if line.starts_with(
            "error init-text-cut etc/xinitrd/modules: a path of 1023 bytes, of the module ggg"
        )),
        "{long:?}"
    );
}

/// What is found of a module of 6.1 or 6.12 that lies there as `name`, and is listed as `listed`.
fn told_of(kernel: &str, format: &str, name: &str, configuration: Option<&str>) -> Vec<String> {
    let (plain, release) = module(kernel);
    let bytes = match format {
        "plain" => plain,
        format => packed(format, &plain),
    };
    let (name, listed) = name.split_once(" as ").unwrap_or((name, name));
    let mut entries = vec![
        directory("lib"),
        file(format!("lib/{name}"), bytes),
        file("etc/xinitrd/modules", format!("lib/{listed}\n")),
        program("init", INIT),
    ];
    if name != listed {
        entries.push(link(format!("lib/{listed}"), name));
    }
    let guest = configuration.map_or_else(Guest::default, |text| guest(&release, text));
    found(&judged(archive(&entries), &guest), modules::RULES)
}

#[test]
fn a_compressed_module_takes_a_kernel_that_unpacks_it_and_a_name_that_says_so() {
    const XZ: &str = "CONFIG_MODULE_DECOMPRESS=y\nCONFIG_MODULE_COMPRESS_XZ=y\n";
    const NONE: &str = "CONFIG_MODULE_COMPRESS_NONE=y\n";
    let (old, new) = ("kernel-6.1-amd64", "kernel-6.12-amd64");
    let (ko, xz) = ("a.ko", "a.ko.xz");
    let by_xz = "a.ko.xz: xz-compressed, and loaded by xinitrd's own init";
    let plain = "a.ko: xz-compressed, and loaded by xinitrd's own init";
    let misnamed =
        "a.ko.xz: not compressed, and called as if it were, and loaded by xinitrd's own init";
    let cases = [
        (old, "plain", ko, None, ("", "")),
        (new, "xz", xz, Some(XZ), ("", "")),
        (new, "xz", xz, None, ("warning", by_xz)),
        (old, "xz", xz, Some(NONE), ("error", by_xz)),
        (new, "xz", ko, Some(XZ), ("error", plain)),
        (new, "plain", xz, Some(XZ), ("error", misnamed)),
        // It goes by the name on the list, wherever that leads.
        (new, "xz", "a.ko as b.ko.xz", Some(XZ), ("", "")),
        (new, "xz", "a.ko.xz as b.ko", Some(XZ), ("error", by_xz)),
        (
            new,
            "gz",
            "a.ko.gz",
            Some(XZ),
            (
                "error",
                "a.ko.gz: gzip-compressed, and loaded by xinitrd's own init",
            ),
        ),
        (
            old,
            "zst",
            "a.ko.zst",
            None,
            (
                "error",
                "a.ko.zst: zstd-compressed, and loaded by xinitrd's own init",
            ),
        ),
    ];
    for (kernel, format, name, configuration, (severity, expected)) in cases {
        let line = format!("{severity} module-compression-unreadable lib/{expected}");
        let expected = Vec::from_iter((!severity.is_empty()).then_some(line));
        let told = told_of(kernel, format, name, configuration);
        assert_eq!(told, expected, "{kernel} {format} {name}");
    }
}

#[test]
fn a_build_is_refused_whose_modules_the_guests_kernel_does_not_unpack() {
    const UNPACKS: &str = "CONFIG_MODULE_DECOMPRESS=y\\nCONFIG_MODULE_COMPRESS_GZIP=y\\n";
    for (configuration, kept, refused) in [
        ("", "--keep-compressed", true),
        (UNPACKS, "--keep-compressed", false),
        ("CONFIG_MODULES=y\\n", "--keep-compressed", true),
        ("", "--json", false),
    ] {
        let scene = Scene::new(&format!(
            "import gzip
put(f'{{D}}/kernel/more.ko.gz', gzip.compress(m.module('more', V)))
os.remove(DEP)
if '{configuration}': put(f'root/boot/config-{{K}}', b'{configuration}')"
        ));
        let args = [
            "--manifest",
            "native",
            "--rootfs",
            "ext3",
            "--with",
            "more",
            kept,
        ];
        let output = run(&mut scene.build(&args));
        let said = words(&output);
        let found =
            said.contains("lib/more.ko.gz\n") && said.contains("(module-compression-unreadable)");
        let expected = (Some(i32::from(refused)), refused, !refused);
        let left = scene.left() == ["initrd.img"];
        assert_eq!(
            (output.status.code(), found, left),
            expected,
            "{configuration} {kept} {said}"
        );
    }
}
