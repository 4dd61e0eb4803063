//! An lz4 legacy frame: a magic, then blocks, each after its compressed length.
//!
//! Nothing marks the end. It is read as the kernel does (`lib/decompress_unlz4.c`): another magic
//! in place of a length is passed over, and a length of zero, which is padding, ends the frame, as
//! does the end of the input. A length that no block can have belongs to what follows.

use std::io::Read;

use super::{Codec, DecodeError, Facts, Lz4Facts};
use crate::compress::source::Source;

const MAGIC: u32 = 0x184c_2102;
/// The content of a block at most (`LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE`).
const BLOCK: usize = 8 << 20;
/// What a block of incompressible content comes to (`LZ4_compressBound`).
const LONGEST: usize = BLOCK + BLOCK / 255 + 16;

#[derive(Default)]
pub(super) struct Lz4 {
    facts: Lz4Facts,
    packed: Vec<u8>,
    block: Vec<u8>,
    given: usize,
    length: usize,
}

impl Codec for Lz4 {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        if self.facts.frames == 0 && source.peek(4)? != MAGIC.to_le_bytes() {
            return Err(match source.peek(4)?.len() {
                4 => DecodeError::corrupt("no magic of the legacy frame"),
                _ => DecodeError::Truncated,
            });
        }
        while self.given == self.length {
            let Some(length) = self.next_length(source)? else {
                return Ok(0);
            };
            self.decode(source, length)?;
        }
        let ready = self.block.get(self.given..self.length).unwrap_or_default();
        let count = (&mut &*ready).read(out)?;
        self.given += count;
        Ok(count)
    }

    fn facts(&self) -> Facts {
        Facts::Lz4(self.facts)
    }
}

impl Lz4 {
    /// The compressed length of the next block, or none at the end, which is left untouched.
    fn next_length<R: Read>(
        &mut self,
        source: &mut Source<R>,
    ) -> Result<Option<usize>, DecodeError> {
        while let Some(word) = source.peek(4)?.first_chunk().copied() {
            let word = u32::from_le_bytes(word);
            if word == MAGIC {
                self.facts.frames += 1;
            } else if word == 0 || word as usize > LONGEST {
                return Ok(None);
            }
            let _word: [u8; 4] = super::array(source)?;
            if word != MAGIC {
                return Ok(Some(word as usize));
            }
        }
        Ok(None)
    }

    fn decode<R: Read>(
        &mut self,
        source: &mut Source<R>,
        length: usize,
    ) -> Result<(), DecodeError> {
        self.packed.clear();
        source.take(length as u64).read_to_end(&mut self.packed)?;
        if self.packed.len() < length {
            return Err(DecodeError::Truncated);
        }
        self.block.resize(BLOCK, 0);
        let decoded = lz4_flex::block::decompress_into(&self.packed, &mut self.block);
        self.length = decoded.map_err(DecodeError::corrupt)?;
        self.given = 0;
        self.facts.blocks += 1;
        Ok(())
    }
}
