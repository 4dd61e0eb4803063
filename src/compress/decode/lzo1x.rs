//! LZO1X, the one method of lzop: a block whose bytes are literals and matches by turns
//! (`Documentation/staging/lzo.rst` of the kernel, bitstream version 0).

/// Why a block does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The input ends before the end marker.
    Short,
    /// Bytes follow the end marker.
    Trailing,
    /// More content than was said.
    Long,
    /// A match from before the beginning.
    Distance,
}

/// Where matches of three bytes after a run of literals begin, and those of the longest distances.
const MIDDLE: usize = 0x800;
const FAR: usize = 0x4000;

/// What the next instruction below 16 means: it depends on the literals before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A match without literals after it: the instruction is a run of literals.
    Match,
    /// A match with one to three literals after it: a match of two bytes.
    FewLiterals,
    /// A run of literals: a match of three bytes further off.
    Run,
}

/// Decodes `packed` to `out`, which is emptied first, up to `size` bytes.
pub(super) fn decode(packed: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.clear();
    out.reserve_exact(size);
    let mut block = Block {
        rest: packed,
        out,
        size,
    };
    let mut before = block.first_literals()?;
    loop {
        let code = usize::from(block.byte()?);
        let (length, distance, literals) = match code {
            0..16 if before == Before::Match => {
                let run = block.length(code, 15)? + 3;
                block.literals(run)?;
                before = Before::Run;
                continue;
            }
            0..16 => block.short_match(code, before)?,
            16..32 => match block.far_match(code)? {
                (_, FAR, _) => return block.end(),
                far => far,
            },
            32..64 => block.long_match(code)?,
            _ => {
                let high = usize::from(block.byte()?) << 3;
                ((code >> 5) + 1, high + (code >> 2 & 7) + 1, code & 3)
            }
        };
        block.repeat(distance, length)?;
        block.literals(literals)?;
        before = match literals {
            0 => Before::Match,
            _ => Before::FewLiterals,
        };
    }
}

struct Block<'a> {
    rest: &'a [u8],
    out: &'a mut Vec<u8>,
    size: usize,
}

impl Block<'_> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.rest.split_first().ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(byte)
    }

    /// A length whose bits are zero goes on: 255 for each zero byte, then a byte, above `base`.
    fn length(&mut self, bits: usize, base: usize) -> Result<usize, Fault> {
        if bits > 0 {
            return Ok(bits);
        }
        let mut length = base;
        loop {
            match self.byte()? {
                // No block is so long, and what it cannot hold is refused later.
                0 => length = length.saturating_add(255).min(usize::MAX / 2),
                byte => return Ok(length + usize::from(byte)),
            }
        }
    }

    /// The first byte may stand for a run of literals of its own.
    fn first_literals(&mut self) -> Result<Before, Fault> {
        let Some(run) = self.rest.first().and_then(|byte| byte.checked_sub(17)) else {
            return Ok(Before::Match);
        };
        if run == 0 {
            return Ok(Before::Match);
        }
        self.byte()?;
        self.literals(usize::from(run))?;
        Ok(match run {
            ..4 => Before::FewLiterals,
            _ => Before::Run,
        })
    }

    fn short_match(&mut self, code: usize, before: Before) -> Result<(usize, usize, usize), Fault> {
        let distance = (usize::from(self.byte()?) << 2) + (code >> 2) + 1;
        Ok(match before {
            Before::Run => (3, distance + MIDDLE, code & 3),
            _ => (2, distance, code & 3),
        })
    }

    fn long_match(&mut self, code: usize) -> Result<(usize, usize, usize), Fault> {
        let length = self.length(code & 31, 31)? + 2;
        let tail = self.tail()?;
        Ok((length, (tail >> 2) + 1, tail & 3))
    }

    /// A match from far off; at the least distance it is the end marker.
    fn far_match(&mut self, code: usize) -> Result<(usize, usize, usize), Fault> {
        let length = self.length(code & 7, 7)? + 2;
        let tail = self.tail()?;
        Ok((length, ((code & 8) << 11) + (tail >> 2) + FAR, tail & 3))
    }

    fn tail(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(u16::from_le_bytes([
            self.byte()?,
            self.byte()?,
        ])))
    }

    fn literals(&mut self, count: usize) -> Result<(), Fault> {
        let (literals, rest) = self.rest.split_at_checked(count).ok_or(Fault::Short)?;
        self.room(count)?;
        self.out.extend_from_slice(literals);
        self.rest = rest;
        Ok(())
    }

    /// Copies what stands `distance` back; where that is less than `length` it repeats itself.
    fn repeat(&mut self, distance: usize, length: usize) -> Result<(), Fault> {
        self.room(length)?;
        let start = self
            .out
            .len()
            .checked_sub(distance)
            .ok_or(Fault::Distance)?;
        let end = self.out.len() + length;
        while self.out.len() < end {
            let count = (end - self.out.len()).min(self.out.len() - start);
            self.out.extend_from_within(start..start + count);
        }
        Ok(())
    }

    fn room(&self, count: usize) -> Result<(), Fault> {
        match self.size - self.out.len() >= count {
            true => Ok(()),
            false => Err(Fault::Long),
        }
    }

    fn end(&self) -> Result<(), Fault> {
        match self.rest {
            [] => Ok(()),
            _ => Err(Fault::Trailing),
        }
    }
}
