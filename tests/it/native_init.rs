//! The native manifest's images and the programs in them, held against GNU cpio, readelf and sha256sum; their
//! boots are in `tests/boot`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use xinitrd::image_path::ImagePath;
use xinitrd::init::{Boot, ModuleLoad, native};
use xinitrd_native_logic::modules::modules;
use xinitrd_native_logic::settings::Settings;

use crate::guest::{GZIP, scratch};
use crate::init_readers;
use crate::scene::assert_refused;
use crate::support::{Tool, fetched, kernel_of, modules_of, text, utf8, xinitrd, xinitrd_prints};

const CPIO: Tool = Tool::of("cpio", "cpio");
const READELF: Tool = Tool::of("readelf", "binutils");
const SHA256SUM: Tool = Tool::of("sha256sum", "coreutils");

/// Bytes that a program may have: fewer than these.
const SIZE_LIMIT: usize = 24 << 10;

/// The architectures: as the program calls them, as readelf calls class and machine, and the largest page.
const ARCHITECTURES: [(&str, &str, &str, u64); 3] = [
    ("x86_64", "ELF64", "Advanced Micro Devices X86-64", 4 << 10),
    ("i386", "ELF32", "Intel 80386", 4 << 10),
    ("aarch64", "ELF64", "AArch64", 64 << 10),
];

fn prebuilt(architecture: &str) -> PathBuf {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("native/prebuilt");
    programs.join(architecture)
}

/// A guest of Debian's, an image built for it with no option but these, its report and its archive.
struct Built {
    root: PathBuf,
    kernel: String,
    report: Value,
    archive: Vec<u8>,
}

impl Built {
    fn of(kernel: &str, more: &[&str]) -> Built {
        let root = fetched(kernel);
        let scratch = scratch();
        let image = scratch.path().join("image");
        let given = ["build", "--json", "--root", text(&root), "-o", text(&image)];
        let report = xinitrd_prints(&[&given, more].concat());
        Built {
            kernel: kernel_of(&root),
            root,
            report: serde_json::from_slice(&report).unwrap(),
            archive: GZIP.run(&["-dc"], &fs::read(image).unwrap()),
        }
    }

    fn names(&self) -> BTreeSet<String> {
        let listed = utf8(CPIO.run(&["-it", "--quiet"], &self.archive));
        listed.lines().map(str::to_owned).collect()
    }

    fn file(&self, path: &str) -> Vec<u8> {
        CPIO.run(&["-i", "--quiet", "--to-stdout", path], &self.archive)
    }
}

#[test]
fn an_image_is_the_program_its_two_texts_and_the_kernels_modules() {
    for (kernel, architecture) in [
        ("kernel-6.1-amd64", "x86_64"),
        ("kernel-6.1-i386", "i386"),
        ("kernel-6.1-arm64", "aarch64"),
    ] {
        let built = Built::of(kernel, &["--with", "virtio_blk"]);
        assert_eq!(built.report["arch"], architecture);
        assert_eq!(built.report["manifest"], "native");
        assert!(built.file("init") == fs::read(prebuilt(architecture)).unwrap());
        let list = built.file("etc/xinitrd/modules");
        let paths = modules(&list).map(|module| utf8(module.path.to_vec()));
        let paths: Vec<String> = paths.collect();
        let structure = [
            "dev",
            "dev/console",
            "etc",
            "etc/xinitrd",
            "lib",
            "proc",
            "sys",
            "sysroot",
        ];
        let files = ["init", "etc/xinitrd/modules", "etc/xinitrd/cmdline"];
        let expected = structure.into_iter().chain(files).map(str::to_owned);
        let expected: BTreeSet<String> = expected.chain(paths.iter().cloned()).collect();
        assert_eq!(built.names(), expected, "{kernel}");
        let own = built.root.join(modules_of(&built.root)).join(&built.kernel);
        for (path, module) in paths
            .iter()
            .zip(built.report["modules"].as_array().unwrap())
        {
            assert_eq!(module["path"], format!("/{path}"));
            let source = Path::new(module["source"].as_str().unwrap());
            assert!(source.canonicalize().unwrap().starts_with(&own));
            assert!(built.file(path) == fs::read(source).unwrap(), "{path}");
        }
        let last = paths.last().unwrap();
        assert_eq!(last, "lib/virtio_blk.ko", "{kernel}: in load order");
    }
}

#[test]
fn a_root_of_fat_gets_the_code_pages_that_its_mount_asks_for() {
    let built = Built::of("kernel-6.1-amd64", &["--rootfs", "vfat"]);
    let list = utf8(built.file("etc/xinitrd/modules"));
    let names: Vec<&str> = list.lines().skip(2).collect();
    let expected = [
        "lib/fat.ko",
        "lib/vfat.ko",
        "lib/nls_cp437.ko",
        "lib/nls_ascii.ko",
        "lib/nls_iso8859-1.ko",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_report_names_the_program_as_it_names_every_other() {
    let built = Built::of("kernel-6.1-arm64", &[]);
    let binaries = built.report["binaries"].as_array().unwrap();
    let [program] = binaries.as_slice() else {
        panic!("one program in {binaries:?}");
    };
    let path = prebuilt("aarch64");
    let sum = utf8(SHA256SUM.run(&[text(&path)], b""));
    let (sum, _) = sum.split_once(' ').unwrap();
    let expected = serde_json::json!({
        "path": "/init",
        "source": "comes with xinitrd",
        "size": fs::metadata(&path).unwrap().len(),
        "sha256": sum,
        "dynamic": false,
        "kind": "64-bit aarch64",
    });
    assert_eq!(*program, expected);
    let reason = built.report["manifest_reason"].as_str().unwrap();
    assert!(
        reason.ends_with(" is in native's range, 2.6.24 and later"),
        "{reason}"
    );
    assert_eq!(built.report["notes"], serde_json::json!([]));
}

#[test]
fn directories_of_programs_are_taken_and_what_becomes_of_them_is_told() {
    let busybox = fetched("busybox-amd64").join("bin");
    let bins = ["--bins", text(&busybox)];
    let said =
        "nothing is taken from --bins: manifest native has no program of the guest's; busybox has";
    let built = Built::of("kernel-6.1-amd64", &bins);
    assert_eq!(built.report["notes"], serde_json::json!([said]));
    let named = [&bins[..], &["--manifest", "busybox"]].concat();
    let built = Built::of("kernel-6.1-amd64", &named);
    assert_eq!(built.report["notes"], serde_json::json!([]));
}

/// A dry run for a kernel of Debian's.
fn planned(arguments: &[&str]) -> Output {
    let root = fetched("kernel-6.1-amd64");
    let given = ["build", "--dry-run", "--root", text(&root)];
    xinitrd(&[&given, arguments].concat())
}

#[test]
fn a_root_that_no_manifest_serves_is_refused_and_none_is_chosen_in_its_stead() {
    let disk = "expected: a disk or a partition: native activates no volume group, starts no array and opens no \
                encrypted disk";
    let none = "do:       give a plain root device; no manifest that comes with xinitrd does more for kernel 6.1";
    let elsewhere = "is on no disk of the guest";
    let network =
        "do:       give a root on a disk: no manifest that comes with xinitrd has one on a network";
    for (option, value, says) in [
        ("--root-device", "/dev/VolGroup00/LogVol00", [disk, none]),
        ("--root-device", "/dev/mapper/group-root", [disk, none]),
        ("--root-device", "/dev/mapper/secret", [disk, none]),
        ("--root-device", "/dev/md0", [disk, none]),
        ("--root-device", "/dev/nfs", [elsewhere, network]),
        ("--root-device", "nfs:192.0.2.1:/srv", [elsewhere, network]),
        ("--rootfs", "nfs", [elsewhere, network]),
        (
            "--root-device",
            "/dev/disk/by-id/a",
            [
                "is a name that udev gives, and the image has no udev",
                "do:       name it by its node, or by UUID=, LABEL=, PARTUUID= or PARTLABEL=",
            ],
        ),
    ] {
        let output = planned(&[option, value]);
        let said = utf8(output.stderr);
        assert_eq!(output.status.code(), Some(1), "{value}: {said}");
        assert!(said.starts_with(&format!("xinitrd: {option}\n")), "{said}");
        for words in says {
            assert!(said.contains(words), "{value}: no `{words}` in\n{said}");
        }
    }
}

#[test]
fn a_manifest_that_serves_the_root_is_named_where_there_is_one_for_the_kernel() {
    let arguments = &["--manifest", "native", "--rootfs", "ext3"];
    let volume = [
        &arguments[..],
        &["--root-device", "/dev/VolGroup00/LogVol00"],
    ]
    .concat();
    let secret = [&arguments[..], &["--root-device", "/dev/mapper/secret"]].concat();
    assert_refused(&[
        (
            "",
            &volume,
            1,
            &["do:       say --manifest el4, whose init does\n"],
        ),
        (
            "",
            &secret,
            1,
            &["no manifest that comes with xinitrd does more for kernel 2.6.9\n"],
        ),
        // No manifest has a root on a network, those with nash neither.
        (
            "",
            &["--root-device", "/dev/nfs"],
            1,
            &["--root-device\n", "is on no disk of the guest"],
        ),
    ]);
}

#[test]
fn what_is_said_of_the_root_and_its_modules_is_what_the_program_reads() {
    let root = "LABEL=the root";
    let arguments = [
        "--root-device",
        root,
        "--rootfs",
        "xfs",
        "--root-options",
        "noatime,rw,logbufs=8",
    ];
    let built = Built::of("kernel-6.1-amd64", &arguments);
    let line = built.file("etc/xinitrd/cmdline");
    let settings = Settings::of(&line, b"console=hvc0");
    assert_eq!(
        (settings.root, settings.likely, settings.types),
        (root.as_bytes(), &b"xfs"[..], &b""[..])
    );
    assert_eq!(
        (settings.flags, settings.writable),
        (&b"noatime,logbufs=8"[..], true)
    );
    let load = |path: &str, options: &str| ModuleLoad {
        path: ImagePath::new(path).unwrap(),
        options: options.to_owned(),
    };
    let long = "a=".repeat(511);
    for device in [
        "/dev/xvda1",
        "UUID=1-2",
        "202:1",
        "PARTUUID=a-1",
        "/dev/disk/by-label/a\\x20b",
    ] {
        let boot = Boot {
            modules: vec![
                load("lib/a.ko", ""),
                load("lib/b.ko.zst", " x=1 y=\"2 3\" "),
                load("c", &long),
            ],
            root_device: Some(device.to_owned()),
            rootfs: "ext4".to_owned(),
            root_options: Some("defaults,ro,errors=panic,,data=journal".to_owned()),
            ..Boot::default()
        };
        native::texts(&boot).unwrap();
        init_readers::read_back(&boot);
    }
}

#[test]
fn each_program_is_small_and_names_no_place_of_its_making() {
    for (architecture, ..) in ARCHITECTURES {
        let bytes = fs::read(prebuilt(architecture)).unwrap();
        let size = bytes.len();
        assert!(size < SIZE_LIMIT, "{architecture}: {size} bytes");
        let text = String::from_utf8_lossy(&bytes);
        for place in places_of_this_machine() {
            assert!(!text.contains(&place), "{architecture} names {place}");
        }
    }
}

#[test]
fn each_program_is_static_and_of_its_machine() {
    for (architecture, class, machine, _) in ARCHITECTURES {
        let said = readelf(architecture);
        for (label, value) in [
            ("Class:", class),
            ("Machine:", machine),
            ("Type:", "EXEC (Executable file)"),
        ] {
            let mut lines = said.lines().map(str::trim);
            let found = lines.find_map(|line| line.strip_prefix(label));
            assert_eq!(found.map(str::trim), Some(value), "{architecture}");
        }
        let unwanted = |segment: &Segment| ["INTERP", "DYNAMIC"].contains(&segment.kind.as_str());
        let found = segments(&said).into_iter().find(unwanted);
        assert_eq!(found, None, "{architecture}");
    }
}

#[test]
fn no_byte_of_a_program_may_be_written_and_run_and_none_loses_its_rights_to_a_neighbour() {
    for (architecture, _, _, page) in ARCHITECTURES {
        let segments = segments(&readelf(architecture));
        for Segment { kind, flags, .. } in &segments {
            let both = flags.contains('W') && flags.contains('E');
            assert!(!both, "{architecture}: {kind} {flags}");
        }
        // The kernel maps whole pages, those of a segment over those of the one before.
        let loaded = segments.iter().filter(|segment| segment.kind == "LOAD");
        let loaded: Vec<&Segment> = loaded.collect();
        assert!(!loaded.is_empty(), "{architecture}");
        for pair in loaded.windows(2) {
            let shared = pair[0].end.div_ceil(page) > pair[1].start / page;
            let same = pair[0].flags == pair[1].flags;
            assert!(!shared || same, "{architecture}: {pair:#x?}");
        }
    }
}

fn readelf(architecture: &str) -> String {
    utf8(READELF.run(&["-hlW", text(&prebuilt(architecture))], b""))
}

/// A segment, as readelf tells it: its type, its flags, and where it lies in memory.
#[derive(Debug, PartialEq)]
struct Segment {
    kind: String,
    flags: String,
    start: u64,
    end: u64,
}

/// The segments in readelf's words: `Type Offset VirtAddr PhysAddr FileSiz MemSiz Flg Align`, with spaces in `Flg`.
fn segments(said: &str) -> Vec<Segment> {
    let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
    let table = said.lines().skip_while(|line| !line.contains("VirtAddr"));
    let rows = table
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.take_while(|words| !words.is_empty());
    let segments = rows.filter(|words| words.len() > 7).map(|words| Segment {
        kind: words[0].to_owned(),
        flags: words[6..words.len() - 1].concat(),
        start: number(words[2]),
        end: number(words[2]) + number(words[5]),
    });
    segments.collect()
}

/// What a compiler may leave of the paths that it has seen.
fn places_of_this_machine() -> Vec<String> {
    let home = std::env::var("HOME").ok().map(|home| format!("{home}/"));
    let home = home.filter(|home| home.len() > 2);
    let known = [
        env!("CARGO_MANIFEST_DIR"),
        ".cargo",
        ".rustup",
        "/rustc/",
        "native/logic",
        ".rs",
    ];
    known.into_iter().map(str::to_owned).chain(home).collect()
}

/// The program for what this host is.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_that_somebody_starts_by_hand_does_nothing_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Command::new(prebuilt("x86_64"));
    let output = program.current_dir(&directory).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        said,
        "xinitrd: this is for a kernel to start, as process 1\n"
    );
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}
