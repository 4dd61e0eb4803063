//! The lz4 legacy frame: the one form of lz4 that the kernel reads (`lib/decompress_unlz4.c`).
//!
//! A magic, then blocks of 8 MiB of content, the last one shorter, each after its compressed
//! length. Nothing marks the end, and nothing is checked.

use std::io::{self, Write};

use super::Encoding;
use super::lz4_block::{BlockEncoder, bound};
use super::pieces::{Piece, Pieces};
use crate::rope::Rope;

const MAGIC: u32 = 0x184c_2102;
/// The content of a block (`LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE`).
const BLOCK: u64 = 8 << 20;
/// What a worker holds: a block's content, and its result twice, at work and awaiting delivery.
const WORKER: usize = 20 << 20;

/// Writes `rope` as one frame.
pub(super) fn encode(
    rope: &Rope<'_>,
    encoding: &Encoding,
    out: &mut dyn Write,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    out.write_all(&MAGIC.to_le_bytes())?;
    if rope.is_empty() {
        return Ok(());
    }
    Pieces::new(rope, BLOCK, encoding.threads(), WORKER).work(
        BlockEncoder::new,
        |encoder: &mut BlockEncoder, piece: Piece<'_>| {
            let mut block = Vec::with_capacity(bound(piece.content.len()));
            encoder.encode(piece.content, &mut block);
            Ok(block)
        },
        |block: Vec<u8>| {
            let length = u32::try_from(block.len()).map_err(io::Error::other)?;
            out.write_all(&length.to_le_bytes())?;
            out.write_all(&block)
        },
        progress,
    )
}
