//! One lz4 block: sequences of literals and matches, as the lz4 block format has them.
//!
//! Written here because the encoders to be had hash words of the machine's size and byte order, so
//! that what they write depends on the machine; this one reads little-endian words everywhere.

/// The shortest match.
const MIN_MATCH: usize = 4;
/// No match may begin within so many bytes of the block's end.
const NO_MATCH_WITHIN: usize = 12;
/// The block's last bytes are literals.
const LAST_LITERALS: usize = 5;
const MAX_OFFSET: usize = 0xffff;
const HASH_BITS: u32 = 14;
/// Misses after which the search takes larger steps, as a power of two.
const PATIENCE: u32 = 6;

/// The most bytes that `length` bytes of content can become.
pub(super) const fn bound(length: usize) -> usize {
    length + length / 255 + 16
}

/// Encodes blocks, keeping its table from one to the next.
pub(super) struct BlockEncoder {
    /// Where a word with this hash was last seen.
    table: Vec<u32>,
}

impl BlockEncoder {
    pub(super) fn new() -> Self {
        BlockEncoder {
            table: vec![0; 1 << HASH_BITS],
        }
    }

    /// Appends the block of `input`, which is below 4 GiB, to `out`.
    pub(super) fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.table.fill(0);
        let mut written = 0;
        let mut at = 0;
        let mut misses = 0;
        while at + NO_MATCH_WITHIN <= input.len() {
            let Some(earlier) = self.candidate(input, at) else {
                misses += 1;
                at += 1 + (misses >> PATIENCE);
                continue;
            };
            let back = common_back(input, earlier, at, at - written);
            let forward = common_forward(input, earlier, at);
            let literals = input.get(written..at - back).unwrap_or_default();
            push_sequence(out, literals, at - earlier, back + forward);
            at += forward;
            written = at;
            misses = 0;
        }
        push_literals(out, input.get(written..).unwrap_or_default(), 0);
    }

    /// An earlier place with the same word as at `at`, within reach; `at` takes its slot.
    fn candidate(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let here = word(input, at)?;
        let slot = here.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS);
        let slot = self.table.get_mut(slot as usize)?;
        let earlier = std::mem::replace(slot, at as u32) as usize;
        let near = earlier < at && at - earlier <= MAX_OFFSET;
        (near && word(input, earlier) == Some(here)).then_some(earlier)
    }
}

fn word(input: &[u8], at: usize) -> Option<u32> {
    let bytes = input.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// How many bytes before both places are equal, `limit` at most.
fn common_back(input: &[u8], earlier: usize, at: usize, limit: usize) -> usize {
    let before = input.get(..earlier).unwrap_or_default().iter().rev();
    let here = input.get(..at).unwrap_or_default().iter().rev();
    let equal = before.zip(here).take_while(|(a, b)| a == b);
    equal.take(limit).count()
}

/// How many bytes from both places on are equal, up to where the last literals begin.
fn common_forward(input: &[u8], earlier: usize, at: usize) -> usize {
    let end = input.len().saturating_sub(LAST_LITERALS);
    let here = input.get(at..end).unwrap_or_default();
    let before = input.get(earlier..end).unwrap_or_default();
    let (here_words, _) = here.as_chunks::<8>();
    let (before_words, _) = before.as_chunks::<8>();
    let mut equal = 0;
    for (a, b) in here_words.iter().zip(before_words) {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return equal + differing.trailing_zeros() as usize / 8;
        }
        equal += 8;
    }
    let rest = here.iter().zip(before).skip(equal);
    equal + rest.take_while(|(a, b)| a == b).count()
}

fn push_sequence(out: &mut Vec<u8>, literals: &[u8], offset: usize, length: usize) {
    let extra = length - MIN_MATCH;
    push_literals(out, literals, extra.min(15) as u8);
    out.extend_from_slice(&(offset as u16).to_le_bytes());
    push_length(out, extra);
}

/// The token with `low` as its match length, then the literals.
fn push_literals(out: &mut Vec<u8>, literals: &[u8], low: u8) {
    out.push((literals.len().min(15) as u8) << 4 | low);
    push_length(out, literals.len());
    out.extend_from_slice(literals);
}

/// What of a length its four bits in the token cannot say.
fn push_length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(15) else {
        return;
    };
    while rest >= 255 {
        out.push(255);
        rest -= 255;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(input: &[u8]) -> usize {
        let mut block = Vec::new();
        BlockEncoder::new().encode(input, &mut block);
        assert!(block.len() <= bound(input.len()));
        let read = lz4_flex::block::decompress(&block, input.len()).unwrap();
        assert!(read == input, "{} bytes", input.len());
        block.len()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn every_short_length_reads_back() {
        let noise = noise(600);
        for length in 0..600 {
            round_trip(&noise[..length]);
            round_trip(&vec![7; length]);
            round_trip(&b"abcabcd".repeat(90)[..length]);
        }
    }

    #[test]
    fn far_repetitions_read_back_within_and_past_the_reach_of_an_offset() {
        for gap in [65_530, 65_531, 65_535, 65_536, 70_000] {
            let mut input = b"a sentence to be found again".to_vec();
            input.extend(noise(gap));
            input.extend_from_slice(b"a sentence to be found again, and more");
            round_trip(&input);
        }
    }

    #[test]
    fn repetitive_content_shrinks() {
        assert!(round_trip(&vec![0; 100_000]) < 500);
        assert!(round_trip(&b"0123456789abcdef-".repeat(5000)) < 500);
    }
}
