//! What a disk's partition table says of a partition: `PARTUUID` and `PARTLABEL`.
//!
//! Sources: UEFI specification, "GUID Partition Table"; kernel `block/partitions/efi.c` and `msdos.c`.

use crate::Disk;
use crate::text::{Text, number_at, push_uuid};

/// A partition's identity.
#[derive(Debug, Clone, Default)]
pub struct Partition {
    /// The GPT's UUID of it, or the MBR's signature and its number; empty where the disk has no table.
    pub uuid: Text,
    /// Its name in a GPT.
    pub label: Text,
}

/// The disk that a partition is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of a logical block, by which a GPT counts.
    pub block: u64,
    /// Bytes of all of it; the GPT's copy is in the last block.
    pub size: u64,
}

/// Where the types of an MBR's four partitions stand; a protective one is this.
const TYPES_AT: [usize; 4] = [450, 466, 482, 498];
const PROTECTIVE: u8 = 0xee;

impl Partition {
    /// What the table of `disk` says of the partition with this number, which is from 1; nothing of a number
    /// 0, which is a whole disk.
    #[must_use]
    pub fn read(disk: &mut dyn Disk, geometry: Geometry, number: u32) -> Partition {
        let mut partition = Partition::default();
        let mut mbr = [0; 512];
        if number == 0 || !disk.read(0, &mut mbr) || number_at(&mbr, 510, 2) != 0xaa55 {
            return partition;
        }
        // A GPT counts only behind a protective MBR, as in the kernel.
        let is_protective = |at: &usize| mbr.get(*at) == Some(&PROTECTIVE);
        if TYPES_AT.iter().any(is_protective) {
            let copy = geometry.size.saturating_sub(geometry.block);
            let _ = partition.read_gpt(disk, geometry.block, geometry.block, number)
                || partition.read_gpt(disk, geometry.block, copy, number);
        } else {
            let signature = number_at(&mbr, 440, 4);
            partition.uuid.push_hexadecimal(signature, 8);
            partition
                .uuid
                .push_byte(b'-')
                .push_hexadecimal(u64::from(number), 2);
        }
        partition
    }

    /// Whether there was a header at `header`; then what its table has of the partition is read.
    fn read_gpt(&mut self, disk: &mut dyn Disk, block: u64, header: u64, number: u32) -> bool {
        let mut bytes = [0; 128];
        if !disk.read(header, &mut bytes) || !is_header(&bytes, header / block.max(1)) {
            return false;
        }
        if let Some(entry) = entry_at(&bytes, block, number)
            && disk.read(entry, &mut bytes)
        {
            push_guid(&mut self.uuid, &bytes);
            push_name(&mut self.label, &bytes);
        }
        true
    }
}

/// Whether this is a header, and of this block: `Signature`, `MyLBA`, `SizeOfPartitionEntry`, and `HeaderCRC32`, which
/// counts itself as 0 (`is_gpt_valid` in the kernel's `block/partitions/efi.c`).
fn is_header(bytes: &[u8], block: u64) -> bool {
    const CRC_AT: usize = 16;
    let Some(header) = bytes.get(..number_at(bytes, 12, 4) as usize) else {
        return false;
    };
    // Bit by bit: a library's tables would be a large part of the program.
    let mut crc = u32::MAX;
    for (at, byte) in header.iter().enumerate() {
        let is_own = (CRC_AT..CRC_AT + 4).contains(&at);
        crc ^= if is_own { 0 } else { u32::from(*byte) };
        for _ in 0..8 {
            let is_odd = crc & 1 == 1;
            crc = crc >> 1 ^ if is_odd { 0xedb8_8320 } else { 0 };
        }
    }
    header.starts_with(b"EFI PART")
        && number_at(header, 24, 8) == block
        && number_at(header, 84, 4) == 128
        && number_at(header, CRC_AT, 4) == u64::from(!crc)
}

/// Where the entry of a partition begins, by the header's `PartitionEntryLBA`, `NumberOfPartitionEntries` and
/// `SizeOfPartitionEntry`.
fn entry_at(header: &[u8], block: u64, number: u32) -> Option<u64> {
    let index = u64::from(number).checked_sub(1)?;
    if index >= number_at(header, 80, 4) {
        return None;
    }
    let table = number_at(header, 72, 8).checked_mul(block)?;
    table.checked_add(index * number_at(header, 84, 4))
}

/// The `UniquePartitionGUID` of an entry, whose first three fields are little-endian numbers.
fn push_guid(text: &mut Text, entry: &[u8]) {
    let mut guid = [0; 16];
    let order = [3_u8, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    for (byte, at) in guid.iter_mut().zip(order) {
        *byte = number_at(entry, 16 + usize::from(at), 1) as u8;
    }
    push_uuid(text, &guid);
}

/// The `PartitionName` of an entry, in UTF-16.
fn push_name(text: &mut Text, entry: &[u8]) {
    let mut high = 0;
    for at in (56..128).step_by(2) {
        let unit = number_at(entry, at, 2) as u32;
        match unit {
            0 => return,
            0xd800..0xdc00 => high = unit,
            0xdc00..0xe000 => {
                push_character(text, 0x1_0000 + ((high & 0x3ff) << 10) + (unit & 0x3ff))
            }
            _ => push_character(text, unit),
        }
    }
}

fn push_character(text: &mut Text, code: u32) {
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    text.push(character.encode_utf8(&mut [0; 4]).as_bytes());
}
