//! What a disk's partition table says of a partition: `PARTUUID` and `PARTLABEL`.
//!
//! Sources: UEFI specification, "GUID Partition Table"; kernel `block/partitions/efi.c` and `msdos.c`.

use crate::Disk;
use crate::text::Text;

/// Bytes that the longest identity takes, and a NUL.
pub const PARTUUID_LIMIT: usize = 37;
/// Bytes that 36 units of UTF-16 take at most in UTF-8, and a NUL.
pub const PARTLABEL_LIMIT: usize = 36 * 3 + 1;

/// A partition's identity.
#[derive(Debug, Clone, Default)]
pub struct Partition {
    /// The GPT's UUID of it, or the MBR's signature and its number; empty where the disk has no table.
    pub uuid: Text<PARTUUID_LIMIT>,
    /// Its name in a GPT.
    pub label: Text<PARTLABEL_LIMIT>,
}

/// The disk that a partition is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of a logical block, by which a GPT counts.
    pub block: u64,
    /// Bytes of all of it; the GPT's copy is in the last block.
    pub size: u64,
}

/// A protective MBR has this type for its one partition.
const PROTECTIVE: u8 = 0xee;
const ENTRY_TYPES: [u64; 4] = [450, 466, 482, 498];

impl Partition {
    /// What the table of `disk` says of the partition with this number, which is from 1.
    #[must_use]
    pub fn read(disk: &mut impl Disk, geometry: Geometry, number: u32) -> Partition {
        let disk: &mut dyn Disk = disk;
        let mut partition = Partition::default();
        let mut signature = [0; 2];
        if !disk.read(510, &mut signature) || signature != [0x55, 0xaa] {
            return partition;
        }
        // A GPT counts only behind a protective MBR, as in the kernel.
        if !is_protected(disk) {
            partition.read_mbr(disk, number);
        } else if !partition.read_gpt(disk, geometry, geometry.block, number) {
            partition.read_gpt(
                disk,
                geometry,
                geometry.size.saturating_sub(geometry.block),
                number,
            );
        }
        partition
    }

    fn read_mbr(&mut self, disk: &mut dyn Disk, number: u32) {
        let mut signature = [0; 4];
        if disk.read(440, &mut signature) {
            self.uuid.push_hexadecimal(u32::from_le_bytes(signature), 8);
            self.uuid.push_byte(b'-');
            self.uuid.push_hexadecimal(number, 2);
        }
    }

    /// Whether there was a header at `header`.
    fn read_gpt(
        &mut self,
        disk: &mut dyn Disk,
        geometry: Geometry,
        header: u64,
        number: u32,
    ) -> bool {
        let mut magic = [0; 8];
        if !disk.read(header, &mut magic) || &magic != b"EFI PART" {
            return false;
        }
        let entry = entry_at(disk, geometry.block, header, number);
        let mut bytes = [0; 128];
        if entry.is_some_and(|entry| disk.read(entry, &mut bytes)) {
            self.read_entry(&bytes);
        }
        true
    }

    fn read_entry(&mut self, entry: &[u8; 128]) {
        let (head, name) = entry.split_at(56);
        if let Some([a, b, c, d, e, f, g, h, rest @ ..]) =
            head.get(16..32).and_then(<[u8]>::first_chunk::<16>)
        {
            // The first three fields are numbers, and little-endian.
            let [i, j, k, l, m, n, o, p] = *rest;
            let bytes = [*d, *c, *b, *a, *f, *e, *h, *g, i, j, k, l, m, n, o, p];
            crate::superblock::push_uuid(&mut self.uuid, &bytes);
        }
        let units = name
            .as_chunks::<2>()
            .0
            .iter()
            .map(|unit| u16::from_le_bytes(*unit));
        for character in char::decode_utf16(units.take_while(|unit| *unit != 0)) {
            let mut utf8 = [0; 4];
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.label.push(character.encode_utf8(&mut utf8).as_bytes());
        }
    }
}

fn is_protected(disk: &mut dyn Disk) -> bool {
    ENTRY_TYPES.iter().any(|at| {
        let mut kind = [0];
        disk.read(*at, &mut kind) && kind == [PROTECTIVE]
    })
}

/// Where the entry of a partition begins, by the header's `PartitionEntryLBA`, `SizeOfPartitionEntry` and
/// their number.
fn entry_at(disk: &mut dyn Disk, block: u64, header: u64, number: u32) -> Option<u64> {
    let mut table = [0; 8];
    let mut count = [0; 4];
    let mut size = [0; 4];
    let is_read = disk.read(header.checked_add(72)?, &mut table)
        && disk.read(header.checked_add(80)?, &mut count)
        && disk.read(header.checked_add(84)?, &mut size);
    let index = number.checked_sub(1)?;
    if !is_read || index >= u32::from_le_bytes(count) {
        return None;
    }
    let table = u64::from_le_bytes(table).checked_mul(block)?;
    table.checked_add(u64::from(index) * u64::from(u32::from_le_bytes(size)))
}
