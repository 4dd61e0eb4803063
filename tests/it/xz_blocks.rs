//! Streams of several xz blocks, as `xz -T` makes them, unpacked on two threads: what comes out is what `xz`
//! itself unpacks, or an error.

use std::io::{self, Read};

use xinitrd::compress::decode::DecodeError;
use xinitrd::compress::xz_blocks::XzBlocks;

use crate::support::Tool;

const XZ: Tool = Tool::of("xz", "xz-utils");
const WINDOW: u64 = 64 << 20;

/// Text that xz can make smaller, different at each place.
fn content(length: usize) -> Vec<u8> {
    let lines = (0u64..).flat_map(|n| format!("{n} {}\n", n * n % 1_000_003).into_bytes());
    lines.take(length).collect()
}

/// What is unpacked of `stream`, which stands behind `before` bytes of something else; nothing where it is for
/// another decoder.
fn unpacked(stream: &[u8], before: usize) -> Option<Result<Vec<u8>, String>> {
    let file = [vec![7; before], stream.to_vec(), vec![9; 5]].concat();
    let from = |offset: u64| -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(
            file.get(offset as usize..).unwrap_or_default().to_vec(),
        )))
    };
    let blocks = XzBlocks::find(&from, before as u64, stream.len() as u64)?;
    blocks.read(&from, WINDOW, |content| {
        let mut bytes = Vec::new();
        let read = content?.read_to_end(&mut bytes);
        assert!(bytes.len() as u64 <= blocks.content());
        Some(read.map(|_| bytes).map_err(|error| {
            assert!(
                error
                    .get_ref()
                    .unwrap()
                    .downcast_ref::<DecodeError>()
                    .is_some()
            );
            error.to_string()
        }))
    })
}

#[test]
fn a_stream_of_several_blocks_is_unpacked_as_xz_does_it() {
    let content = content(3 << 20);
    for options in [
        &["--block-size=100000"][..],
        &["--block-size=1MiB", "--check=crc32"],
        &["--block-size=1MiB", "--check=sha256", "-0"],
        &["--block-list=1,70000,3,0", "--check=none"],
        &["-T2", "--block-size=700000"],
    ] {
        let packed = XZ.run(&[options, &["-c"]].concat(), &content);
        assert!(
            unpacked(&packed, 1000) == Some(Ok(content.clone())),
            "{options:?}"
        );
        assert!(
            unpacked(&packed[..packed.len() - 4], 0).is_none(),
            "{options:?}"
        );
    }
}

#[test]
fn what_is_not_one_stream_of_several_blocks_is_left_to_another_decoder() {
    let content = content(100_000);
    let one = XZ.run(&["-c"], &content);
    let two = XZ.run(&["-c", "--block-size=50000"], &content);
    let padded = [two.clone(), vec![0; 4]].concat();
    for other in [
        one.clone(),
        [two.clone(), two].concat(),
        padded,
        XZ.run(&["-c"], b""),
        content,
        Vec::new(),
    ] {
        assert_eq!(unpacked(&other, 0), None);
    }
}

#[test]
fn no_damage_goes_unseen() {
    let content = content(200_000);
    let packed = XZ.run(&["-c", "--block-size=60000", "--check=crc64"], &content);
    let (mut left, mut refused) = (0, 0);
    for at in (0..packed.len()).step_by(97) {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x10;
        match unpacked(&damaged, 0) {
            None => left += 1,
            Some(Err(_)) => refused += 1,
            Some(Ok(_)) => panic!("byte {at} was changed, and nothing said"),
        }
    }
    assert!(left > 0 && refused > 10 * left, "{left} {refused}");
}

#[test]
fn an_index_that_lies_of_a_blocks_size_is_found_out() {
    let content = content(200_000);
    let packed = XZ.run(&["-c", "--block-size=60000"], &content);
    // The index: a zero, the count, a pair of numbers a block, padding, its checksum; the footer has 12 bytes.
    let backward = u32::from_le_bytes(packed[packed.len() - 8..][..4].try_into().unwrap());
    let start = packed.len() - 12 - (backward as usize + 1) * 4;
    // 60000 in seven bits a byte, the lowest first.
    let size = [0x60 | 0x80, 0x54 | 0x80, 0x03];
    let at = start
        + packed[start..]
            .windows(3)
            .position(|bytes| bytes == size)
            .unwrap();
    for change in [1i16, -1] {
        let mut lying = packed.clone();
        lying[at] = (i16::from(lying[at]) + change) as u8;
        let end = packed.len() - 16;
        let check = crc32(&lying[start..end]);
        lying[end..end + 4].copy_from_slice(&check.to_le_bytes());
        assert!(matches!(unpacked(&lying, 0), Some(Err(_))), "{change}");
    }
}

/// A stream with another index than its own.
fn with_index(packed: &[u8], records: &[(u64, u64)]) -> Vec<u8> {
    let backward = u32::from_le_bytes(packed[packed.len() - 8..][..4].try_into().unwrap());
    let start = packed.len() - 12 - (backward as usize + 1) * 4;
    let mut index = vec![0, records.len() as u8];
    for (unpadded, content) in records {
        for mut number in [*unpadded, *content] {
            while number >= 0x80 {
                index.push(number as u8 | 0x80);
                number >>= 7;
            }
            index.push(number as u8);
        }
    }
    index.resize(index.len().next_multiple_of(4), 0);
    index.extend(crc32(&index).to_le_bytes());
    let mut footer = Vec::from((index.len() as u32 / 4 - 1).to_le_bytes());
    footer.extend(&packed[packed.len() - 4..packed.len() - 2]);
    let sum = crc32(&footer).to_le_bytes();
    [&packed[..start], &index, &sum, &footer, b"YZ"].concat()
}

#[test]
fn an_index_that_lies_of_the_blocks_is_found_out_though_all_content_is_there() {
    // Two blocks of the same incompressible bytes, so that each takes the same room.
    let half: Vec<u8> = content(40_001);
    let packed = XZ.run(
        &["-c", "--block-size=40001"],
        &[half.clone(), half].concat(),
    );
    let backward = u32::from_le_bytes(packed[packed.len() - 8..][..4].try_into().unwrap());
    let room = (packed.len() - 24 - (backward as usize + 1) * 4) as u64 / 2;
    let sound = (room - 3..=room)
        .map(|unpadded| with_index(&packed, &[(unpadded, 40_001), (unpadded, 40_001)]))
        .find(|stream| *stream == packed);
    assert!(sound.is_some(), "the index is made as xz makes it");
    for records in [
        &[(room, 40_001), (room, 40_001)][..],
        &[(room - 3, 40_001), (room - 3, 40_001)],
        &[(2 * room, 80_002), (0, 0)],
        &[(0, 0), (room, 40_001), (room, 40_001)],
    ] {
        let lying = with_index(&packed, records);
        if lying != packed {
            assert!(matches!(unpacked(&lying, 0), Some(Err(_))), "{records:?}");
        }
    }
}

/// The checksum of an index, by the definition (IEEE 802.3).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ ((crc & 1) * 0xedb8_8320)
        })
    })
}
