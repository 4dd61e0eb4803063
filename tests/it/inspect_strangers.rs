//! What users take for an image, as the tools make it that write such files: it is told what it is, and
//! what to do about it.

use std::fs;
use std::path::Path;
use std::process::Command;

use xinitrd::inspect::Guest;
use xinitrd::size::Size;

use crate::guest::{GZIP, PYTHON};
use crate::judged::{archive, directory, file, judged};
use crate::shelf::Shelf;
use crate::support::{Tool, fed, fetched, kernel_of, text};

const BSDTAR: Tool = Tool::of("bsdtar", "libarchive-tools");
const CPIO: Tool = Tool::of("cpio", "cpio");
const LZ4: Tool = Tool::of("lz4", "lz4");
const MKE2FS: Tool = Tool::of("mke2fs", "e2fsprogs");
const XZ: Tool = Tool::of("xz", "xz-utils");

/// A cpio archive of two files, in the format that the arguments name.
fn cpio(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(CPIO.path());
    command.arg("-o").args(arguments).current_dir(directory);
    fed(&mut command, b"init\nlib\n").stdout
}

/// A file system of that type, on a disk or alone.
fn file_system(directory: &Path, kind: &str) -> Vec<u8> {
    let image = directory.join("image");
    fs::write(&image, vec![0; 256 << 10]).unwrap();
    MKE2FS.run(
        &["-q", "-F", "-t", kind, "-O", "^has_journal", text(&image)],
        b"",
    );
    fs::read(image).unwrap()
}

const ZIP: &str = "
import io, sys, zipfile
out = io.BytesIO()
with zipfile.ZipFile(out, 'w') as archive:
    archive.writestr('init', 'x')
sys.stdout.buffer.write(out.getvalue())
";

/// Files, and what is said of each: what it is, and what to do.
fn strangers(tree: &Path) -> Vec<(Vec<u8>, String, &'static str)> {
    fs::write(tree.join("init"), "#!/bin/sh\n").unwrap();
    fs::create_dir(tree.join("lib")).unwrap();
    let newc = cpio(tree, &["-H", "newc"]);
    let gzip = |bytes: &[u8]| GZIP.run(&["-nc"], bytes);
    let tar = BSDTAR.run(
        &["-c", "-f", "-", "--format", "ustar", "-C", text(tree), "."],
        b"",
    );
    let kernel = fetched("kernel-6.1-amd64");
    let release = kernel_of(&kernel);
    let kernel = fs::read(kernel.join(format!("boot/vmlinuz-{release}"))).unwrap();
    let ext4 = file_system(tree, "ext4");
    let alone = |what: &str, bytes: &[u8]| format!("{what}, {}", Size(bytes.len() as u64));
    let within = |what: &str| format!("no cpio header, but {what}");
    let lz4 = LZ4.run(&["-c"], &newc);
    let elf = fs::read(fetched("busybox-amd64").join("bin/busybox")).unwrap();
    let zip = PYTHON.run(&["-c", ZIP], b"");
    let binary = cpio(tree, &["-H", "bin"]);
    let page = b"\n<!DOCTYPE HTML>\n<html><title>404 Not Found</title></html>\n".to_vec();
    vec![
        (
            lz4.clone(),
            alone(
                "an lz4 frame of the format that `lz4` writes without -l",
                &lz4,
            ),
            "Compress it with `lz4 -l`",
        ),
        (
            tar.clone(),
            alone("a tar archive", &tar),
            "Pack the tree with `cpio -o -H newc`",
        ),
        (
            gzip(&tar),
            within("a tar archive"),
            "Pack the tree with `cpio -o -H newc`",
        ),
        (
            elf.clone(),
            alone("an ELF file", &elf),
            "Name the ramdisk: this is a program",
        ),
        (
            kernel.clone(),
            alone("a kernel", &kernel),
            "Name the ramdisk that goes with",
        ),
        (
            ext4.clone(),
            alone("a file system (ext2, ext3 or ext4)", &ext4),
            "Mount it and pack its files",
        ),
        (
            gzip(&ext4),
            String::from("a file system (ext2, ext3 or ext4), "),
            "Mount it and pack its files",
        ),
        (
            b"hsqs\x02\0\0\0".to_vec(),
            alone("a file system (squashfs)", &[0; 8]),
            "Mount it and pack its files",
        ),
        (
            zip.clone(),
            alone("a zip archive", &zip),
            "Unpack it, and name the ramdisk",
        ),
        (
            gzip(&gzip(&newc)),
            within("data that are compressed once more, with gzip"),
            "Unpack it once",
        ),
        (
            gzip(&XZ.run(&["-c"], &newc)),
            within("data that are compressed once more, with xz"),
            "Unpack it once",
        ),
        (
            cpio(tree, &["-H", "odc"]),
            within("a cpio archive in the old format of octal digits (070707)"),
            "Make the archive again with `cpio -o -H newc`",
        ),
        (
            binary.clone(),
            alone("a cpio archive in the old binary format", &binary),
            "Make the archive again with `cpio -o -H newc`: without -H",
        ),
        (
            page.clone(),
            alone("a web page", &page),
            "Download the image again",
        ),
        (
            b"root=/dev/xvda1\n".to_vec(),
            "a text, 16 bytes".to_owned(),
            "Check the path",
        ),
        (
            vec![0; 4096],
            "4096 bytes, and all of them zeros".to_owned(),
            "Check the path",
        ),
        (Vec::new(), "an empty file".to_owned(), "Check the path"),
        (
            b"\x01\x02\x03\x04\x05\x06\x07".to_vec(),
            "7 bytes, neither an archive nor compressed, beginning with `\\x01".to_owned(),
            "Check the path",
        ),
    ]
}

#[test]
fn what_is_no_image_is_told_what_it_is_and_what_to_do() {
    let tree = tempfile::tempdir().unwrap();
    for (bytes, found, cure) in strangers(tree.path()) {
        let inspection = judged(bytes.clone(), &Guest::default());
        let finding = &inspection.findings[0];
        assert_eq!(finding.rule.name, "not-an-image", "{found}: {finding:?}");
        assert!(finding.found.starts_with(&found), "{found}: {finding:?}");
        assert!(finding.cure.starts_with(cure), "{found}: {finding:?}");
        // Of what was not read nothing is missing.
        let others = inspection
            .findings
            .iter()
            .skip(1)
            .map(|finding| finding.rule.name);
        let others: Vec<&str> = others
            .filter(|rule| *rule != "kernel-stops-unpacking")
            .collect();
        assert_eq!(others, [""; 0], "{found}");
        let shelf = Shelf::of(&[("image", &bytes)]);
        let (code, out, said) = shelf.says(&["list", "image"]);
        assert_eq!((code, out.as_str()), (1, ""), "{found}");
        assert!(said.contains(&format!("\n    found:    {found}")), "{said}");
    }
}

#[test]
fn what_stands_behind_an_archive_is_told_what_it_is() {
    let early = archive(&[directory("kernel"), file("kernel/x86", "")]);
    let image = [&early[..], &LZ4.run(&["-c"], &early)].concat();
    let finding = &judged(image, &Guest::default()).findings[0];
    assert_eq!(finding.rule.name, "trailing-bytes");
    assert!(
        finding.cure.starts_with("Compress it with `lz4 -l`"),
        "{finding:?}"
    );
}

#[test]
fn a_tree_that_was_packed_from_above_is_told_so_and_nothing_besides() {
    let above = tempfile::tempdir().unwrap();
    let tree = above.path().join("it");
    fs::create_dir_all(tree.join("lib/modules")).unwrap();
    fs::write(tree.join("init"), "#!/bin/sh\n").unwrap();
    let packed = |find: &str| {
        let words = format!("find {find} | cpio -o -H newc --quiet");
        fed(
            Command::new("sh")
                .args(["-c", &words])
                .current_dir(above.path()),
            b"",
        )
        .stdout
    };
    let rules = |image: Vec<u8>| {
        let findings = judged(image, &Guest::default()).findings;
        findings
            .into_iter()
            .map(|finding| finding.rule.name)
            .collect::<Vec<_>>()
    };
    for find in ["it", "./it", "it/*", "\"$PWD/it\""] {
        assert_eq!(rules(packed(find)), ["below-one-directory"], "{find}");
    }
    let early = archive(&[file("kernel/x86/microcode/GenuineIntel.bin", "")]);
    assert_eq!(
        rules([early, packed("it")].concat()),
        ["below-one-directory"]
    );
    let beside = [packed("it"), archive(&[directory("bin")])].concat();
    assert!(rules(beside).contains(&"no-init"));
}
