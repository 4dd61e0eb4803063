//! The images that `tests/boot` boots, sound and broken, made and judged without a machine: what
//! docs/verdicts.md holds against boots, here against what is known of each; and those of other builders.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::guest::{EL4_KERNEL, EL5_KERNEL, GZIP, Guest};
use crate::judged::{Made, archive, directory, file, made_by_others, program};
use crate::support::{XINITRD, fed, fetched, kernel_of, text, utf8, xinitrd_prints};

/// What `xinitrd inspect` says of an image.
fn inspected(image: &[u8], options: &[&str]) -> serde_json::Value {
    let mut command = Command::new(XINITRD);
    command.args(["inspect", "--json"]).args(options).arg("-");
    let output = fed(&mut command, image);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{options:?}: {error}: {said}")
    })
}

/// The verdict, the rules of errors, and those of warnings: `bad A B (C)`.
fn verdict(image: &[u8], options: &[&str]) -> String {
    let report = inspected(image, options);
    let rules = |severity: &str| {
        let findings = report["findings"].as_array().unwrap().iter();
        let mut names: Vec<&str> = findings
            .filter(|finding| finding["severity"] == severity)
            .map(|finding| finding["rule"].as_str().unwrap())
            .collect();
        names.dedup();
        names.join(" ")
    };
    let mut words = vec![
        report["verdict"].as_str().unwrap().to_owned(),
        rules("error"),
    ];
    let warnings = rules("warning");
    if !warnings.is_empty() {
        words.push(format!("({warnings})"));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// A guest of Debian's, as `testdata/fetch.sh` has it.
struct Debian {
    root: PathBuf,
    bins: PathBuf,
    kernel: String,
}

impl Debian {
    fn of(kernel: &str, architecture: &str) -> Debian {
        let root = fetched(&format!("kernel-{kernel}"));
        let bins = fetched(&format!("busybox-{architecture}")).join("bin");
        let kernel = kernel_of(&root);
        Debian { root, bins, kernel }
    }

    /// An image, as the program builds it.
    fn image(&self, more: &[&str]) -> Vec<u8> {
        let [root, bins] = [&self.root, &self.bins].map(|path| text(path));
        let given = ["build", "--root", root, "--kernel", &self.kernel];
        let manifest: &[&str] = match more.contains(&"--manifest") {
            true => &[],
            false => &["--manifest", "busybox"],
        };
        let arguments = [
            &given[..],
            &["--bins", bins, "-q", "-o", "-"],
            manifest,
            more,
        ]
        .concat();
        xinitrd_prints(&arguments)
    }

    /// Its verdict, for this guest.
    fn verdict(&self, image: &[u8], options: &[&str]) -> String {
        let root = ["--root", text(&self.root), "--kernel", &self.kernel];
        verdict(image, &[&root, options].concat())
    }
}

/// For QEMU's own machines.
const VIRTIO: [&str; 4] = ["--with", "virtio_blk", "--with", "virtio_pci"];
const DISK: [&str; 4] = ["--device", "virtio_blk", "--device", "virtio_pci"];

#[test]
fn what_is_built_is_judged_clean_for_the_guest_it_is_for() {
    let guests = [
        ("6.1-amd64", "amd64"),
        ("6.12-amd64", "amd64"),
        ("6.1-cloud-amd64", "amd64"),
        ("6.1-arm64", "arm64"),
        ("6.1-i386", "i386"),
    ];
    for (kernel, architecture) in guests {
        let debian = Debian::of(kernel, architecture);
        let image = debian.image(&VIRTIO);
        assert_eq!(debian.verdict(&image, &DISK), "clean", "{kernel}");
        for xen in ["4.10", "4.17", "4.20"] {
            let judged = debian.verdict(&image, &["--xen", xen]);
            assert_eq!(judged, "clean", "{kernel}, Xen {xen}");
        }
    }
    for (generation, kernel) in [("el4", EL4_KERNEL), ("el5", EL5_KERNEL)] {
        let guest = Guest::of_2008(generation, kernel, &[]);
        let output = guest.output();
        xinitrd_prints(&guest.arguments(&["-q", "-o", text(&output)]));
        let image = fs::read(output).unwrap();
        let options = [
            "--xen",
            "3.4",
            "--root",
            text(&guest.root),
            "--kernel",
            kernel,
        ];
        assert_eq!(verdict(&image, &options), "clean", "{generation}");
    }
}

/// `image`, and an archive of these behind it, which is unpacked over it.
fn overlaid(image: &[u8], entries: &[Made]) -> Vec<u8> {
    let mut image = image.to_vec();
    image.resize(image.len().next_multiple_of(4), 0);
    [image, archive(entries)].concat()
}

/// A manifest that does not ask for a driver of disks.
fn without_block_driver() -> String {
    let manifest = utf8(xinitrd_prints(&["manifests", "busybox"]));
    let parts = manifest.split("\n\n");
    let kept = parts.filter(|part| !part.contains("role = \"block\""));
    kept.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn each_broken_image_is_judged_bad_by_the_rule_that_explains_it() {
    let debian = Debian::of("6.1-amd64", "amd64");
    let sound = debian.image(&VIRTIO);
    let plain = GZIP.run(&["-dc"], &sound);
    let place = format!("lib/modules/{}/kernel/fs/ext4/ext4.ko", debian.kernel);
    let module = fs::read(debian.root.join(&place)).unwrap();
    let stranger = fs::read(fetched("busybox-i386").join("bin/busybox")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let manifest = scratch.path().join("manifest.toml");
    fs::write(&manifest, without_block_driver()).unwrap();
    let for_another = debian.image(&["--manifest", text(&manifest)]);

    let gzip = |archive: &[u8]| GZIP.run(&["-nc"], archive);
    let list = utf8(xinitrd_prints_of(&sound, "etc/xinitrd/modules"));
    let reversed: Vec<&str> = list.lines().rev().collect();
    let renamed = replaced(&plain, b"00000000init\0", b"00000000inix\0");
    let strict = [&DISK[..], &["--deny", "elf-wrong-machine"]].concat();
    let cases: Vec<(&str, Vec<u8>, &[&str], &str)> = vec![
        (
            "no-driver",
            debian.image(&[]),
            &DISK,
            "bad no-driver-for-device",
        ),
        (
            "xen-no-blkfront",
            for_another.clone(),
            &["--xen", "4.17"],
            "bad no-xen-block-driver",
        ),
        (
            "no-blkfront",
            for_another,
            &[],
            "warnings (no-xen-block-driver)",
        ),
        (
            "order",
            overlaid(&sound, &[file("etc/xinitrd/modules", reversed.join("\n"))]),
            &DISK,
            "bad module-loaded-before-its-need (xen-several-members)",
        ),
        (
            "cut-module",
            overlaid(&sound, &[file(&place, &module[..50_000])]),
            &DISK,
            "bad elf-damaged (xen-several-members)",
        ),
        (
            "stray-32-bit",
            overlaid(&sound, &[program("bin/busybox", &stranger)]),
            &strict,
            "bad elf-wrong-machine (xen-several-members)",
        ),
        (
            "compat",
            overlaid(&sound, &[program("bin/busybox", &stranger)]),
            &DISK,
            "warnings (xen-several-members elf-wrong-machine)",
        ),
        ("no-init", gzip(&renamed), &DISK, "bad no-init"),
        (
            "cut-image",
            sound[..sound.len() / 2].to_vec(),
            &DISK,
            "bad damaged-compression",
        ),
        (
            "tail",
            [&sound, &b"bytes that are no archive\n"[..]].concat(),
            &DISK,
            "bad trailing-bytes (xen-bytes-after-member)",
        ),
        (
            "old-format",
            [b"070707", &plain[6..]].concat(),
            &[],
            "bad not-an-image",
        ),
        (
            "xen-cut",
            [&sound[..900_000], &[0xff; 4]].concat(),
            &["--xen", "4.17"],
            "bad damaged-compression",
        ),
    ];
    for (name, image, options, expected) in cases {
        assert_eq!(debian.verdict(&image, options), expected, "{name}");
    }
}

/// A file of an image, as `xinitrd cat` prints it.
fn xinitrd_prints_of(image: &[u8], path: &str) -> Vec<u8> {
    let output = fed(Command::new(XINITRD).args(["cat", "-", path]), image);
    assert!(output.status.success());
    output.stdout
}

/// The bytes with the one place that is `from` turned into `to`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut places = memchr::memmem::find_iter(bytes, from);
    let at = places.next().unwrap();
    assert_eq!(places.next(), None);
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// A length that no image has, for the toolstack to find at an end: 512 MiB.
const FALSE_LENGTH: [u8; 4] = [0, 0, 0, 0x20];

#[test]
fn what_stands_behind_a_gzip_member_weighs_by_what_the_toolstack_makes_of_it() {
    let debian = Debian::of("6.1-amd64", "amd64");
    let sound = debian.image(&[]);
    let small = GZIP.run(&["-nc"], &archive(&[directory("small")]));
    let several = "xen-several-members";
    let behind = "xen-bytes-after-member";
    let junk = "bad trailing-bytes";
    let clean = "clean".to_owned();
    let bad = |rule| format!("bad {rule}");
    let warned = |rule| format!("warnings ({rule})");
    let junk_behind = || format!("{junk} ({behind})");
    // For toolstacks that end the creation where inflating fails, that go on, that inflate nothing; for any.
    let cases = [
        (
            "a small archive first",
            [&small[..], &sound[..]],
            [bad(several), bad(several), clean.clone(), warned(several)],
        ),
        (
            "a small archive last",
            [&sound[..], &small[..]],
            [
                bad(several),
                warned(several),
                clean.clone(),
                warned(several),
            ],
        ),
        (
            "zeros",
            [&sound[..], &[0; 4]],
            [bad(behind), warned(behind), clean, warned(behind)],
        ),
        (
            "a false length",
            [&sound[..], &FALSE_LENGTH],
            [junk_behind(), junk_behind(), junk.to_owned(), junk_behind()],
        ),
        (
            "a length beyond all bounds",
            [&sound[..], &[0xff; 4]],
            [junk_behind(), junk_behind(), junk.to_owned(), junk_behind()],
        ),
    ];
    for (name, parts, expected) in cases {
        let image = parts.concat();
        let judged = ["4.10", "4.17", "4.20"].map(|xen| debian.verdict(&image, &["--xen", xen]));
        let unsaid = debian.verdict(&image, &[]);
        assert_eq!([judged.as_slice(), &[unsaid]].concat(), expected, "{name}");
    }
}

#[test]
fn a_device_is_served_by_a_driver_of_its_name_or_pattern_in_the_image_or_the_kernel() {
    let debian = Debian::of("6.12-amd64", "amd64");
    let image = debian.image(&["--with", "virtio_blk"]);
    let lacking = "bad no-driver-for-device";
    for (device, expected) in [
        ("virtio:d00000002v00001AF4", "clean"),
        ("virtio:d00000001v00001AF4", lacking),
        ("xen:vbd", "clean"),
        ("virtio-blk", "clean"),
        ("virtio_pci", "clean"),
        ("nvme", lacking),
    ] {
        assert_eq!(
            debian.verdict(&image, &["--device", device]),
            expected,
            "{device}"
        );
    }
    let alone = ["--device", "virtio_pci"];
    assert_eq!(verdict(&image, &alone), lacking, "no root to ask");
    let both = ["--device", "nvme", "--device", "virtio_net"];
    let findings = inspected(&image, &both)["findings"].clone();
    let expected = findings.as_array().unwrap().iter();
    let expected: Vec<_> = expected
        .map(|finding| finding["expected"].clone())
        .collect();
    assert_eq!(expected, ["a driver for nvme", "a driver for virtio_net"]);
}

/// What is said of an image besides its findings: who made it, its init, how many modules the init is
/// known to load, and whether it loads more, how many modules there are, how many segments.
fn described(image: &[u8]) -> String {
    let report = inspected(image, &[]);
    let maker = &report["made_by"];
    let version = maker["version"].as_str().unwrap_or("?");
    let count = |field: &str| report[field].as_array().unwrap().len();
    let modules: u64 = report["kernels"]
        .as_object()
        .unwrap()
        .values()
        .map(|count| count.as_u64().unwrap())
        .sum();
    let on_demand = match report["loads_on_demand"].as_bool().unwrap() {
        true => "+",
        false => "",
    };
    format!(
        "{} {version}, {}, {}, loads {}{on_demand} of {modules}, segments: {}",
        maker["name"].as_str().unwrap(),
        report["init"]["kind"].as_str().unwrap(),
        report["arch"].as_str().unwrap(),
        count("modules"),
        count("segments"),
    )
}

#[test]
fn what_three_builders_make_is_described_and_judged() {
    let clean = "clean";
    let setuid = "warnings (setuid-file)";
    for (name, description, judged) in [
        (
            "initramfs-tools-list-gzip",
            "initramfs-tools ?, a script for /bin/sh, 64-bit x86_64, loads 5+ of 17, segments: 1",
            clean,
        ),
        (
            "initramfs-tools-list-zstd",
            "initramfs-tools ?, a script for /bin/sh, 64-bit x86_64, loads 5+ of 17, segments: 1",
            clean,
        ),
        (
            "initramfs-tools-microcode",
            "initramfs-tools ?, a script for /bin/sh, 64-bit x86_64, loads 5+ of 747, segments: 2",
            clean,
        ),
        (
            "joined",
            "initramfs-tools ?, a script for /bin/sh, 64-bit x86_64, loads 5+ of 17, segments: 3",
            clean,
        ),
        (
            "dracut-list-gzip",
            "dracut 059-4, a script for /bin/sh, 64-bit x86_64, loads 0+ of 16, segments: 1",
            setuid,
        ),
        (
            "dracut-list-zstd",
            "dracut 059-4, a script for /bin/sh, 64-bit x86_64, loads 0+ of 16, segments: 1",
            setuid,
        ),
        (
            "dracut-microcode",
            "dracut 059-4, systemd, 64-bit x86_64, loads 0+ of 803, segments: 2",
            setuid,
        ),
        (
            "tiny-gzip",
            "tiny-initramfs ?, a static program, 64-bit x86_64, loads 15 of 15, segments: 1",
            clean,
        ),
        (
            "tiny-zstd",
            "tiny-initramfs ?, a static program, 64-bit x86_64, loads 15 of 15, segments: 1",
            clean,
        ),
    ] {
        let image = made_by_others(name);
        assert_eq!(described(&image), description, "{name}");
        assert_eq!(verdict(&image, &[]), judged, "{name}");
    }
}
