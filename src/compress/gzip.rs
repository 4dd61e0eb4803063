//! One gzip member (RFC 1952), compressed in pieces by several threads.
//!
//! libdeflate compresses buffers, each to a whole deflate stream, and beats every streaming
//! encoder by that. So the rope is cut into pieces of a fixed size; the last block of each
//! piece's stream loses its mark of being the last, and an empty stored block brings the piece to
//! a byte boundary, where the next one follows. The cut never depends on the number of threads.

use std::io::{self, Write};

use crc32fast::Hasher;
use libdeflater::{CompressionLvl, Compressor};

use super::Encoding;
use super::deflate_blocks::{LastBlock, last_block};
use super::pieces::{Piece, Pieces};
use crate::rope::Rope;

/// What is compressed apart: `docs/compression.md` has the sizes that were tried.
pub(super) const PIECE: u64 = 1 << 20;
/// Magic, deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// A stored block's length of zero and its complement.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];
/// What a worker holds below and from `NEAR_OPTIMAL` on: libdeflate's state, a piece and its result.
const FAST_WORKER: usize = 4 << 20;
const THOROUGH_WORKER: usize = 13 << 20;
/// The level from which libdeflate parses near-optimally, with far larger tables.
const NEAR_OPTIMAL: u8 = 10;

/// A piece compressed, and the checksum of its content.
struct Deflated {
    bytes: Vec<u8>,
    crc: Hasher,
}

/// Writes `rope` as one member and nothing after it.
pub(super) fn encode(
    rope: &Rope<'_>,
    encoding: &Encoding,
    out: &mut dyn Write,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    let level = CompressionLvl::new(i32::from(encoding.level()))
        .map_err(|error| io::Error::other(format!("libdeflate's level: {error:?}")))?;
    let worker = if encoding.level() < NEAR_OPTIMAL {
        FAST_WORKER
    } else {
        THOROUGH_WORKER
    };
    let mut crc = Hasher::new();
    out.write_all(&HEADER)?;
    Pieces::new(rope, PIECE, encoding.threads(), worker).work(
        || Compressor::new(level),
        deflate,
        |piece: Deflated| {
            crc.combine(&piece.crc);
            out.write_all(&piece.bytes)
        },
        progress,
    )?;
    out.write_all(&crc.finalize().to_le_bytes())?;
    // ISIZE is the size modulo 2^32 (RFC 1952, 2.3.1).
    out.write_all(&(rope.len() as u32).to_le_bytes())
}

fn deflate(compressor: &mut Compressor, piece: Piece<'_>) -> io::Result<Deflated> {
    let mut crc = Hasher::new();
    crc.update(piece.content);
    let mut bytes = vec![0; compressor.deflate_compress_bound(piece.content.len())];
    let length = compressor
        .deflate_compress(piece.content, &mut bytes)
        .map_err(io::Error::other)?;
    bytes.truncate(length);
    if !piece.is_last {
        let last = last_block(&bytes).map_err(io::Error::other)?;
        make_continuable(&mut bytes, last);
    }
    Ok(Deflated { bytes, crc })
}

/// Lets another deflate stream follow this one, as `Z_SYNC_FLUSH` does.
fn make_continuable(deflated: &mut Vec<u8>, last: LastBlock) {
    if let Some(byte) = deflated.get_mut((last.header / 8) as usize) {
        *byte &= !(1 << (last.header % 8));
    }
    let used = last.end % 8;
    deflated.truncate(last.end.div_ceil(8) as usize);
    // The three bits of a stored block's header are zeros and must fit before the boundary.
    match deflated.last_mut() {
        Some(byte) if used != 0 => *byte &= (1 << used) - 1,
        _ => {}
    }
    if used == 0 || used > 5 {
        deflated.push(0);
    }
    deflated.extend_from_slice(&EMPTY_STORED);
}
