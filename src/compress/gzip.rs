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
use super::encode::{gather, workers};
use super::ordered::in_order;
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
struct Piece {
    deflated: Vec<u8>,
    crc: Hasher,
}

/// What a worker keeps from piece to piece.
struct Worker {
    compressor: Compressor,
    scratch: Vec<u8>,
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
    let new_worker = || Worker {
        compressor: Compressor::new(level),
        scratch: Vec::new(),
    };
    let each = if encoding.level() < NEAR_OPTIMAL {
        FAST_WORKER
    } else {
        THOROUGH_WORKER
    };
    // An empty rope has one piece, too: the block that ends the stream.
    let pieces = rope.len().div_ceil(PIECE).max(1);
    let mut crc = Hasher::new();
    let mut done = 0;
    out.write_all(&HEADER)?;
    in_order(
        pieces,
        workers(encoding, each),
        new_worker,
        |worker, index| worker.compress(rope, index, index + 1 == pieces),
        |piece| {
            crc.combine(&piece.crc);
            out.write_all(&piece.deflated)?;
            done += PIECE;
            progress(done.min(rope.len()));
            Ok(())
        },
    )?;
    out.write_all(&crc.finalize().to_le_bytes())?;
    // ISIZE is the size modulo 2^32 (RFC 1952, 2.3.1).
    out.write_all(&(rope.len() as u32).to_le_bytes())
}

impl Worker {
    fn compress(&mut self, rope: &Rope<'_>, index: u64, is_last: bool) -> io::Result<Piece> {
        let start = index * PIECE;
        let content = gather(rope, start..start + PIECE, &mut self.scratch);
        let mut crc = Hasher::new();
        crc.update(content);
        let mut deflated = vec![0; self.compressor.deflate_compress_bound(content.len())];
        let length = self
            .compressor
            .deflate_compress(content, &mut deflated)
            .map_err(io::Error::other)?;
        deflated.truncate(length);
        if !is_last {
            let last = last_block(&deflated).map_err(io::Error::other)?;
            make_continuable(&mut deflated, last);
        }
        Ok(Piece { deflated, crc })
    }
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
