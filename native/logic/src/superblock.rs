//! What lies on a device: the file systems a root may have, with UUID and label, and what is none.
//!
//! Sources of the offsets: kernel `fs/ext4/ext4.h`, `fs/xfs/libxfs/xfs_format.h`, `fs/btrfs/` and
//! `include/uapi/linux/btrfs_tree.h`, `include/uapi/linux/msdos_fs.h`, `include/linux/swap.h`; LUKS on-disk
//! format; lvm2 `lib/format_text/layout.h`; `include/uapi/linux/raid/md_p.h`.

use crate::Disk;
use crate::root::Name;
use crate::text::{Parts, Text, is_same_but_for_case, number_at, push_uuid};

/// Bytes of btrfs's label, the longest.
const LABEL_LIMIT: usize = 256;

/// What lies on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// FAT of any width.
    Vfat,
    /// Swap space.
    Swap,
    /// A physical volume of LVM.
    Lvm,
    /// An encrypted volume.
    Luks,
    /// A member of an md array.
    Raid,
    /// A journal that ext3 or ext4 keeps elsewhere.
    Journal,
}

impl Kind {
    /// The name, as `blkid` has it; ext4 for all of its family.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ext => "ext4",
            Kind::Xfs => "xfs",
            Kind::Btrfs => "btrfs",
            Kind::Vfat => "vfat",
            Kind::Swap => "swap",
            Kind::Lvm => "LVM2_member",
            Kind::Luks => "crypto_LUKS",
            Kind::Raid => "linux_raid_member",
            Kind::Journal => "jbd",
        }
    }

    /// Whether this can be mounted, and so be a root.
    #[must_use]
    pub fn is_file_system(self) -> bool {
        matches!(self, Kind::Ext | Kind::Xfs | Kind::Btrfs | Kind::Vfat)
    }
}

/// A superblock, read.
#[derive(Debug, Clone, Default)]
pub struct Superblock {
    /// What it is of; `None` where nothing known lies on the device.
    pub kind: Option<Kind>,
    /// Its UUID; for FAT the volume's number. Empty where it has none.
    pub uuid: Text,
    /// Its label, empty where it has none.
    pub label: Text,
}

/// Where to look for what.
struct Probe {
    kind: Kind,
    magic: [u8; 8],
    magic_length: u8,
    magic_at: u32,
    /// 0 where there is none.
    uuid_at: u32,
    label_at: u32,
    label_length: u16,
}

/// In this order: what may hold remains of another stands before that.
const PROBES: [Probe; 11] = [
    probe(Kind::Luks, b"LUKS\xba\xbe", 0),
    probe(Kind::Lvm, b"LABELONE", 512),
    probe(Kind::Raid, RAID, 4096),
    probe(Kind::Raid, RAID, 0),
    probe(Kind::Swap, b"SWAPSPAC", 4086).identified(1036, 1052, 16),
    probe(Kind::Swap, b"SWAPSPAC", 65526).identified(1036, 1052, 16),
    probe(Kind::Ext, b"\x53\xef", 1080).identified(1128, 1144, 16),
    probe(Kind::Xfs, b"XFSB", 0).identified(32, 108, 12),
    probe(Kind::Btrfs, b"_BHRfS_M", 65600).identified(65568, 65835, 256),
    probe(Kind::Vfat, b"FAT32", 82).identified(67, 71, 11),
    probe(Kind::Vfat, b"FAT1", 54).identified(39, 43, 11),
];

const fn probe(kind: Kind, magic: &[u8], magic_at: u32) -> Probe {
    let mut bytes = [0; 8];
    let (start, _) = bytes.split_at_mut(magic.len());
    start.copy_from_slice(magic);
    Probe {
        kind,
        magic: bytes,
        magic_length: magic.len() as u8,
        magic_at,
        uuid_at: 0,
        label_at: 0,
        label_length: 0,
    }
}

/// `MD_SB_MAGIC`, little-endian.
const RAID: &[u8; 4] = b"\xfc\x4e\x2b\xa9";

/// `s_feature_incompat` of ext4, and its `JOURNAL_DEV`.
const EXT_INCOMPAT: u64 = 1024 + 96;
const EXT_JOURNAL_DEVICE: u8 = 8;

impl Superblock {
    /// What lies on a device of `size` bytes.
    #[must_use]
    pub fn read(disk: &mut dyn Disk, size: u64) -> Superblock {
        let mut superblock = Superblock::default();
        // What lies at the beginning is then the array's, and another member may have newer.
        if ends_as_raid(disk, size) {
            superblock.kind = Some(Kind::Raid);
            return superblock;
        }
        let Some(probe) = PROBES.iter().find(|probe| probe.is_of(disk)) else {
            return superblock;
        };
        superblock.kind = Some(match probe.kind {
            Kind::Ext if is_journal(disk) => Kind::Journal,
            kind => kind,
        });
        if probe.uuid_at > 0 {
            superblock.read_uuid(disk, probe.uuid_at);
            superblock.read_label(disk, probe.label_at, probe.label_length);
        }
        superblock
    }

    /// FAT has a number of four bytes, little-endian.
    fn read_uuid(&mut self, disk: &mut dyn Disk, at: u32) {
        let mut bytes = [0; 16];
        if !disk.read(u64::from(at), &mut bytes) {
            return;
        }
        let text = &mut self.uuid;
        if self.kind == Some(Kind::Vfat) {
            text.push_hexadecimal(number_at(&bytes, 2, 2), 4)
                .push_byte(b'-');
            text.push_hexadecimal(number_at(&bytes, 0, 2), 4);
        } else {
            push_uuid(text, &bytes);
        }
    }

    /// Up to its first NUL; FAT's is filled up with spaces.
    fn read_label(&mut self, disk: &mut dyn Disk, at: u32, length: u16) {
        let mut bytes = [0; LABEL_LIMIT];
        let Some(bytes) = bytes.get_mut(..usize::from(length)) else {
            return;
        };
        if !disk.read(u64::from(at), bytes) {
            return;
        }
        let mut label = Parts::of(bytes, 0).next().unwrap_or_default();
        if self.kind == Some(Kind::Vfat) {
            label = label.trim_ascii_end();
            if label == b"NO NAME" {
                return;
            }
        }
        self.label.push(label);
    }

    /// Whether it is a file system of this UUID, in capitals or not.
    #[must_use]
    pub fn has_uuid(&self, uuid: &[u8]) -> bool {
        self.is_file_system() && is_same_but_for_case(self.uuid.as_bytes(), uuid)
    }

    /// Whether it is a file system of this label.
    #[must_use]
    pub fn has_label(&self, label: Name<'_>) -> bool {
        self.is_file_system() && label.is(self.label.as_bytes())
    }

    fn is_file_system(&self) -> bool {
        self.kind.is_some_and(Kind::is_file_system)
    }
}

/// Whether an array's superblock stands at the end: of version 0.90 in the last whole 64 KiB, of version 1.0 at
/// least 8 KiB before the end.
fn ends_as_raid(disk: &mut dyn Disk, size: u64) -> bool {
    const RESERVED: u64 = 64 << 10;
    let old = (size & !(RESERVED - 1)).checked_sub(RESERVED);
    let new = size.checked_sub(8 << 10).map(|at| at & !0xfff);
    let mut magic = [0; 4];
    [old, new]
        .into_iter()
        .flatten()
        .any(|at| disk.read(at, &mut magic) && &magic == RAID)
}

/// Whether what looks like ext4 is the journal of another.
fn is_journal(disk: &mut dyn Disk) -> bool {
    let mut features = [0];
    disk.read(EXT_INCOMPAT, &mut features) && features[0] & EXT_JOURNAL_DEVICE != 0
}

impl Probe {
    /// With an UUID, and a label of so many bytes.
    const fn identified(self, uuid_at: u32, label_at: u32, label_length: u16) -> Probe {
        Probe {
            uuid_at,
            label_at,
            label_length,
            ..self
        }
    }

    fn is_of(&self, disk: &mut dyn Disk) -> bool {
        let mut bytes = [0; 8];
        let length = usize::from(self.magic_length);
        match (bytes.get_mut(..length), self.magic.get(..length)) {
            (Some(bytes), Some(magic)) => {
                disk.read(u64::from(self.magic_at), bytes) && bytes == magic
            }
            _ => false,
        }
    }
}
