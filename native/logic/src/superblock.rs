//! What lies on a device: the file systems a root may have, with UUID and label, and what is none.
//!
//! Sources of the offsets: kernel `fs/ext4/ext4.h`, `fs/xfs/libxfs/xfs_format.h`, `fs/btrfs/` and
//! `include/uapi/linux/btrfs_tree.h`, `include/uapi/linux/msdos_fs.h`, `include/linux/swap.h`; LUKS on-disk
//! format; lvm2 `lib/format_text/layout.h`; `include/uapi/linux/raid/md_p.h`.

use crate::Disk;
use crate::text::Text;

/// Bytes that the longest UUID takes, and a NUL.
pub const UUID_LIMIT: usize = 37;
/// Bytes of btrfs's label, the longest, and a NUL.
pub const LABEL_LIMIT: usize = 257;

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
    /// A member of an md array whose superblock stands before its data.
    Raid,
    /// A journal that ext3 or ext4 keeps elsewhere.
    Journal,
}

impl Kind {
    /// The name, as `blkid` has it where that is one.
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
#[derive(Debug, Clone)]
pub struct Superblock {
    /// What it is of.
    pub kind: Kind,
    /// Its UUID; for FAT the volume's number. Empty where it has none.
    pub uuid: Text<UUID_LIMIT>,
    /// Its label, empty where it has none.
    pub label: Text<LABEL_LIMIT>,
}

/// Where to look for what.
struct Probe {
    kind: Kind,
    magic_at: u64,
    magic: &'static [u8],
    uuid: Option<(u64, Form)>,
    label: Option<(u64, usize)>,
}

/// How an identifier is written.
#[derive(Clone, Copy)]
enum Form {
    Uuid,
    FatNumber,
}

/// In this order: what may hold remains of another stands before that.
const PROBES: [Probe; 14] = [
    probe(Kind::Luks, 0, b"LUKS\xba\xbe"),
    probe(Kind::Lvm, 512, b"LABELONE"),
    probe(Kind::Lvm, 0, b"LABELONE"),
    probe(Kind::Lvm, 1024, b"LABELONE"),
    probe(Kind::Lvm, 1536, b"LABELONE"),
    probe(Kind::Raid, 4096, b"\xfc\x4e\x2b\xa9"),
    probe(Kind::Raid, 0, b"\xfc\x4e\x2b\xa9"),
    identified(Kind::Swap, 4086, b"SWAPSPACE2", 1036, 1052, 16),
    identified(Kind::Swap, 65526, b"SWAPSPACE2", 1036, 1052, 16),
    identified(Kind::Ext, 1080, b"\x53\xef", 1128, 1144, 16),
    identified(Kind::Xfs, 0, b"XFSB", 32, 108, 12),
    identified(Kind::Btrfs, 65600, b"_BHRfS_M", 65568, 65835, 256),
    fat(82, b"FAT32   ", 67),
    fat(54, b"FAT1", 39),
];

const fn probe(kind: Kind, magic_at: u64, magic: &'static [u8]) -> Probe {
    Probe {
        kind,
        magic_at,
        magic,
        uuid: None,
        label: None,
    }
}

const fn identified(
    kind: Kind,
    magic_at: u64,
    magic: &'static [u8],
    uuid_at: u64,
    label_at: u64,
    label_length: usize,
) -> Probe {
    Probe {
        kind,
        magic_at,
        magic,
        uuid: Some((uuid_at, Form::Uuid)),
        label: Some((label_at, label_length)),
    }
}

/// FAT has its label behind its number.
const fn fat(magic_at: u64, magic: &'static [u8], number_at: u64) -> Probe {
    Probe {
        kind: Kind::Vfat,
        magic_at,
        magic,
        uuid: Some((number_at, Form::FatNumber)),
        label: Some((number_at + 4, 11)),
    }
}

/// `s_feature_incompat` of ext4, and its `JOURNAL_DEV`.
const EXT_INCOMPAT: u64 = 1024 + 96;
const EXT_JOURNAL_DEVICE: u8 = 8;

impl Superblock {
    /// What lies on a device, where that is anything known.
    #[must_use]
    pub fn read(disk: &mut impl Disk) -> Option<Superblock> {
        let disk: &mut dyn Disk = disk;
        let probe = PROBES.iter().find(|probe| probe.is_of(disk))?;
        let mut superblock = Superblock {
            kind: probe.kind,
            uuid: Text::default(),
            label: Text::default(),
        };
        let mut features = [0];
        if probe.kind == Kind::Ext
            && disk.read(EXT_INCOMPAT, &mut features)
            && features[0] & EXT_JOURNAL_DEVICE != 0
        {
            superblock.kind = Kind::Journal;
        }
        if let Some((at, form)) = probe.uuid {
            superblock.read_uuid(disk, at, form);
        }
        if let Some((at, length)) = probe.label {
            superblock.read_label(disk, at, length);
        }
        Some(superblock)
    }

    fn read_uuid(&mut self, disk: &mut dyn Disk, at: u64, form: Form) {
        let mut bytes = [0; 16];
        match form {
            Form::Uuid if disk.read(at, &mut bytes) => push_uuid(&mut self.uuid, &bytes),
            Form::FatNumber
                if disk.read(at, bytes.first_chunk_mut::<4>().unwrap_or(&mut [0; 4])) =>
            {
                let [a, b, c, d, ..] = bytes;
                for (place, byte) in [d, c, b, a].into_iter().enumerate() {
                    if place == 2 {
                        self.uuid.push_byte(b'-');
                    }
                    self.uuid.push_hexadecimal(u32::from(byte), 2);
                }
            }
            _ => {}
        }
    }

    /// Up to its first NUL; FAT's is filled up with spaces.
    fn read_label(&mut self, disk: &mut dyn Disk, at: u64, length: usize) {
        let mut bytes = [0; LABEL_LIMIT - 1];
        let Some(bytes) = bytes.get_mut(..length) else {
            return;
        };
        if !disk.read(at, bytes) {
            return;
        }
        let mut label = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        if self.kind == Kind::Vfat {
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
        self.kind.is_file_system()
            && !self.uuid.is_empty()
            && self.uuid.as_bytes().eq_ignore_ascii_case(uuid)
    }
}

impl Probe {
    fn is_of(&self, disk: &mut dyn Disk) -> bool {
        let mut bytes = [0; 16];
        bytes
            .get_mut(..self.magic.len())
            .is_some_and(|bytes| disk.read(self.magic_at, bytes) && bytes == self.magic)
    }
}

/// Sixteen bytes in the order they stand: `8-4-4-4-12` digits.
pub(crate) fn push_uuid<const N: usize>(text: &mut Text<N>, bytes: &[u8; 16]) {
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push_byte(b'-');
        }
        text.push_hexadecimal(u32::from(*byte), 2);
    }
}
