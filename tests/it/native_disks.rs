//! What the native init makes of disks, by its own logic: file systems and partition tables that the real tools
//! made, as util-linux's blkid and sfdisk read them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use xinitrd_native_logic::Disk;
use xinitrd_native_logic::partition::{Geometry, Partition};
use xinitrd_native_logic::superblock::{Kind, Superblock};
use xinitrd_native_logic::text::Text;

use crate::support::{Tool, fed, utf8};

const BLKID: Tool = Tool::of("blkid", "util-linux");
const MKSWAP: Tool = Tool::of("mkswap", "util-linux");
const MKE2FS: Tool = Tool::of("mke2fs", "e2fsprogs");
const MKFS_XFS: Tool = Tool::of("mkfs.xfs", "xfsprogs");
const MKFS_BTRFS: Tool = Tool::of("mkfs.btrfs", "btrfs-progs");
const MKFS_VFAT: Tool = Tool::of("mkfs.vfat", "dosfstools");
const SFDISK: Tool = Tool::of("sfdisk", "fdisk");

struct Image(File);

impl Disk for Image {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        self.0.read_exact_at(into, offset).is_ok()
    }
}

/// An empty file of `mebibytes`, as a path for tools.
fn blank(directory: &Path, mebibytes: u64) -> String {
    let path = directory.join("disk");
    File::create(&path)
        .unwrap()
        .set_len(mebibytes << 20)
        .unwrap();
    path.to_str().unwrap().to_owned()
}

fn said(text: &Text) -> &str {
    std::str::from_utf8(text.as_bytes()).unwrap()
}

/// Type, UUID and label, as blkid has them; the number of a FAT in small letters.
fn by_blkid(disk: &str) -> [String; 3] {
    let value = |name| {
        let output = fed(
            Command::new(BLKID.path()).args(["-p", "-o", "value", "-s", name, disk]),
            b"",
        );
        utf8(output.stdout).trim_end_matches('\n').to_owned()
    };
    let label = match value("LABEL") {
        // FAT's own label comes by another name where its root directory has none.
        label if label.is_empty() => value("LABEL_FATBOOT"),
        label => label,
    };
    [value("TYPE"), value("UUID").to_lowercase(), label]
}

/// What the init makes of it.
fn superblock(disk: &str) -> Superblock {
    let size = fs::metadata(disk).unwrap().len();
    Superblock::read(&mut Image(File::open(disk).unwrap()), size)
}

/// The same by the init.
fn by_init(disk: &str) -> [String; 3] {
    let read = superblock(disk);
    let kind = read.kind.map_or("", Kind::name);
    [kind, said(&read.uuid), said(&read.label)].map(str::to_owned)
}

#[test]
fn superblocks_are_read_as_blkid_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let long = "a label of btrfs, which may be as long as a paragraph ".repeat(4);
    for (tool, arguments, mebibytes) in [
        (
            MKE2FS,
            &["-q", "-F", "-t", "ext4", "-L", "sixteen bytes ok"][..],
            8,
        ),
        (MKE2FS, &["-q", "-F", "-t", "ext4", "-b", "4096"], 64),
        (MKE2FS, &["-q", "-F", "-t", "ext4", "-L", "kühl"], 8),
        (MKE2FS, &["-q", "-F", "-O", "journal_dev", "-b", "4096"], 8),
        (MKFS_XFS, &["-q", "-f", "-L", "twelve bytes"], 300),
        (MKFS_XFS, &["-q", "-f", "-s", "size=4096"], 300),
        (MKFS_BTRFS, &["-q", "-f", "-L", long.trim()], 128),
        (MKFS_VFAT, &["-F", "32", "-n", "A B"], 64),
        (MKFS_VFAT, &["-F", "16", "-n", "ELEVEN CHRS"], 32),
        (MKFS_VFAT, &["-F", "12", "-i", "0badcafe"], 4),
        (MKSWAP, &["-q", "-L", "swap"], 8),
        (MKSWAP, &["-q", "-p", "65536"], 8),
        (Tool::of("true", "coreutils"), &[], 1),
    ] {
        let disk = blank(directory.path(), mebibytes);
        tool.run(&[arguments, &[&disk]].concat(), b"");
        let want = match arguments {
            [] => Default::default(),
            _ => by_blkid(&disk),
        };
        assert_eq!(by_init(&disk), want, "{arguments:?}");
    }
}

#[test]
fn what_is_no_file_system_is_no_root_whatever_its_uuid() {
    const UUID: &str = "5bd1e995-a3c0-4d2e-9f10-0b1c2d3e4f50";
    let directory = tempfile::tempdir().unwrap();
    for (tool, arguments, is_root) in [
        (MKE2FS, &["-q", "-F", "-t", "ext4", "-U", UUID][..], true),
        (
            MKE2FS,
            &["-q", "-F", "-O", "journal_dev", "-b", "4096", "-U", UUID],
            false,
        ),
        (MKSWAP, &["-q", "-U", UUID], false),
    ] {
        let disk = blank(directory.path(), 8);
        tool.run(&[arguments, &[&disk]].concat(), b"");
        let read = superblock(&disk);
        assert_eq!(said(&read.uuid), UUID);
        let capitals = UUID.to_uppercase();
        assert_eq!(read.has_uuid(capitals.as_bytes()), is_root, "{arguments:?}");
    }
}

/// A superblock of `md_p.h` and no more of it than blkid wants: the magic, then words at offsets.
fn raid(disk: &str, at: u64, words: &[(u64, u32)]) {
    let file = File::options().write(true).open(disk).unwrap();
    let magic = (0, 0xa92b_4efc);
    for (offset, word) in words.iter().chain([&magic]) {
        file.write_all_at(&word.to_le_bytes(), at + offset).unwrap();
    }
}

#[test]
fn a_member_of_an_array_is_no_root_wherever_its_superblock_stands() {
    const SIZE: u64 = 64 << 20;
    let directory = tempfile::tempdir().unwrap();
    for (version, size, at, words) in [
        ("0.90", SIZE, SIZE - (64 << 10), &[(8, 90), (32, 65472)][..]),
        (
            "0.90, odd size",
            SIZE + 5 * 512,
            SIZE - (64 << 10),
            &[(8, 90), (32, 65472)],
        ),
        ("1.0", SIZE, SIZE - (8 << 10), &[(4, 1), (0x90, 131_056)]),
        (
            "1.0, odd size",
            SIZE + 5 * 512,
            SIZE - (8 << 10),
            &[(4, 1), (0x90, 131_056)],
        ),
        ("1.1", SIZE, 0, &[(4, 1)]),
        ("1.2", SIZE, 4096, &[(4, 1), (0x90, 8)]),
    ] {
        let disk = blank(directory.path(), size >> 20);
        MKE2FS.run(&["-q", "-F", "-t", "ext4", &disk], b"");
        File::options()
            .write(true)
            .open(&disk)
            .unwrap()
            .set_len(size)
            .unwrap();
        let uuid = by_blkid(&disk)[1].clone();
        assert!(superblock(&disk).has_uuid(uuid.as_bytes()), "{version}");
        raid(&disk, at, words);
        assert_eq!(by_blkid(&disk)[0], "linux_raid_member", "{version}");
        assert_eq!(by_init(&disk)[0], "linux_raid_member", "{version}");
        assert!(!superblock(&disk).has_uuid(uuid.as_bytes()), "{version}");
    }
}

/// UUID and name of each partition by the table's own tool.
fn by_sfdisk(disk: &str) -> Vec<(String, String)> {
    let said = SFDISK.run(&["--json", disk], b"");
    let table: serde_json::Value = serde_json::from_slice(&said).unwrap();
    let table = &table["partitiontable"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let signature = text(&table["id"]).trim_start_matches("0x").to_owned();
    let partitions = table["partitions"].as_array().unwrap().iter();
    let identity = partitions.map(|partition| match text(&table["label"]).as_str() {
        "gpt" => (
            text(&partition["uuid"]).to_lowercase(),
            text(&partition["name"]),
        ),
        _ => {
            let node = text(&partition["node"]);
            let number = node
                .trim_start_matches(disk)
                .trim_start_matches('p')
                .parse::<u32>();
            (
                format!("{signature}-{:02x}", number.unwrap()),
                String::new(),
            )
        }
    });
    identity.collect()
}

/// The same by the init.
fn by_table(disk: &str, count: u32) -> Vec<(String, String)> {
    let geometry = Geometry {
        block: 512,
        size: fs::metadata(disk).unwrap().len(),
    };
    let read = |number| {
        let partition = Partition::read(&mut Image(File::open(disk).unwrap()), geometry, number);
        (
            said(&partition.uuid).to_owned(),
            said(&partition.label).to_owned(),
        )
    };
    (1..=count).map(read).collect()
}

#[test]
fn partition_tables_are_read_as_sfdisk_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let gpt =
        "label: gpt\nsize=1M\nsize=1M, name=\"guest root\"\nsize=1M, name=\"räksmörgås 🐧\"\n";
    let mbr = "label: dos\nlabel-id: 0x00adcafe\nsize=1M\nsize=4M, type=5\nsize=1M\nsize=1M\n";
    for (table, count) in [(gpt, 3), (mbr, 2)] {
        let disk = blank(directory.path(), 16);
        SFDISK.run(&["--quiet", &disk], table.as_bytes());
        let want = by_sfdisk(&disk);
        assert!(want.len() >= count as usize, "{want:?}");
        let read = by_table(&disk, count);
        assert_eq!(read, want[..count as usize], "{table}");
        // Beyond the table there is nothing.
        let nothing = by_table(&disk, 200).pop().unwrap();
        assert_eq!(nothing.0.is_empty(), table == gpt, "{nothing:?}");
    }
}

#[test]
fn the_copy_of_a_gpt_serves_where_the_first_header_is_no_good() {
    const HEADER: u64 = 512;
    let directory = tempfile::tempdir().unwrap();
    // Gone; another magic; and a table elsewhere, which the checksum alone tells.
    for (at, spoilt) in [(0, &[0; 512][..]), (0, b"EFI part"), (72, b"\x09")] {
        let disk = blank(directory.path(), 16);
        SFDISK.run(&["--quiet", &disk], b"label: gpt\nsize=1M, name=root\n");
        let want = by_sfdisk(&disk);
        let file = File::options().write(true).open(&disk).unwrap();
        file.write_all_at(spoilt, HEADER + at).unwrap();
        assert_eq!(by_table(&disk, 1), want, "{at}");
    }
}
