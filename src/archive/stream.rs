//! The bytes of an image, and of the segment that is being read the unpacked ones: plain as they lie
//! there, or as they come from a decoder.

use std::io::{BufRead, Read};

use super::header::HEADER_SIZE;
use super::input::{Input, Unpacking};
use super::window::Window;
use super::{LimitMet, Limits, ReadError, SegmentStart, Tap};
use crate::compress::decode::{DecodeError, Member};
use crate::compress::source::Source;

/// An image on its way, up to the segment that is being read.
pub(super) struct Stream<T> {
    limits: Limits,
    tap: T,
    /// Whether a thread of its own unpacks.
    is_apart: bool,
    /// The image, but while a decoder has it.
    input: Option<Input>,
    packed: Option<Window<Unpacking>>,
    /// How many unpacked bytes of the segment have been passed.
    at: u64,
    /// How many of all segments.
    unpacked: u64,
    damage: Option<DecodeError>,
}

/// What is known of a segment when it is over.
pub(super) struct Ended {
    /// How many unpacked bytes were passed.
    pub(super) unpacked: u64,
    /// The compressed member.
    pub(super) member: Option<Member>,
    /// Why it could not be unpacked any further.
    pub(super) damage: Option<DecodeError>,
}

impl<T: Tap> Stream<T> {
    pub(super) fn new(source: Box<dyn Read + Send>, limits: Limits, tap: T) -> Self {
        Stream {
            limits,
            tap,
            is_apart: false,
            input: Some(Source::new(source)),
            packed: None,
            at: 0,
            unpacked: 0,
            damage: None,
        }
    }

    /// Has what begins from now on unpacked on a thread of its own.
    pub(super) const fn unpack_apart(&mut self) {
        self.is_apart = true;
    }

    pub(super) fn into_tap(self) -> T {
        self.tap
    }

    /// How far the image has been read, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.input.as_ref().map_or(0, Source::offset)
    }

    /// The last four bytes that have been read of the image, as a little-endian number.
    pub(super) fn last_read(&self) -> u32 {
        self.input.as_ref().map_or(0, Source::last_read)
    }

    /// How many unpacked bytes of the segment have been passed.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) const fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    pub(super) const fn is_damaged(&self) -> bool {
        self.damage.is_some()
    }

    /// What stands behind the zeros between segments: where, and its first `count` bytes.
    pub(super) fn look_between(&mut self, count: usize) -> Result<(u64, Vec<u8>), ReadError> {
        let Some(input) = &mut self.input else {
            return Ok((0, Vec::new()));
        };
        loop {
            let zeros = leading_zeros(input.fill_buf()?);
            if zeros == 0 {
                break;
            }
            input.consume(zeros);
            hold_length(input, &self.limits)?;
        }
        let start = input.peek(count)?;
        let found = start.get(..count).unwrap_or(start).to_vec();
        Ok((input.offset(), found))
    }

    /// Passes over all that is left of the image.
    pub(super) fn pass_rest(&mut self) -> Result<(), ReadError> {
        let Some(input) = &mut self.input else {
            return Ok(());
        };
        loop {
            let count = input.fill_buf()?.len();
            input.consume(count);
            hold_length(input, &self.limits)?;
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// At `offset` stands what is no segment.
    pub(super) fn pass_junk(&mut self, offset: u64) -> Result<(), ReadError> {
        self.tap.junk(offset);
        self.pass_rest()
    }

    /// At `offset` stands what is no image: passes over `count` bytes of it, and says whether they are all.
    pub(super) fn pass_some_junk(&mut self, offset: u64, count: u64) -> Result<bool, ReadError> {
        self.tap.junk(offset);
        let Some(input) = &mut self.input else {
            return Ok(true);
        };
        let mut left = count;
        loop {
            let there = input.fill_buf()?.len() as u64;
            let step = there.min(left);
            if step == 0 {
                return Ok(there == 0);
            }
            input.consume(step as usize);
            left -= step;
        }
    }

    /// Begins the segment that the image stands at.
    pub(super) fn begin(&mut self, start: &SegmentStart) {
        self.tap.segment(start);
        self.at = 0;
        if let Some(format) = start.format
            && let Some(input) = self.input.take()
        {
            let memory = self.limits.memory;
            let unpacking = match self.is_apart {
                true => Unpacking::apart(format, input, memory),
                false => Unpacking::here(format, input, memory),
            };
            self.packed = Some(Window::new(unpacking));
        }
    }

    /// Takes leave of the segment.
    pub(super) fn end(&mut self) -> Result<Ended, ReadError> {
        let mut member = None;
        if let Some(packed) = self.packed.take() {
            let (input, facts) = packed.pieces.finish()?;
            self.input = Some(input);
            member = Some(facts);
        }
        let damage = self.damage.take();
        self.tap.segment_end(member.as_ref(), damage.as_ref());
        Ok(Ended {
            unpacked: self.at,
            member,
            damage,
        })
    }

    /// What can be seen of the segment: `wanted` bytes or more, a header's at most; fewer where it ends.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], ReadError> {
        debug_assert!(wanted <= HEADER_SIZE);
        let seen = match (&mut self.packed, &mut self.input) {
            (Some(packed), _) => match packed.peek(wanted) {
                Err(ReadError::Damaged(damage)) => {
                    self.damage = Some(damage);
                    Ok(())
                }
                seen => seen.map(drop),
            },
            (None, Some(input)) => Ok(input.peek(wanted).map(drop)?),
            (None, None) => Ok(()),
        };
        seen.map(|()| self.seen())
    }

    /// What was seen last, without asking for more.
    pub(super) fn seen(&self) -> &[u8] {
        seen(&self.packed, &self.input)
    }

    /// Passes over `count` bytes that were seen.
    pub(super) fn take(&mut self, count: usize) -> Result<(), ReadError> {
        if count == 0 {
            return Ok(());
        }
        let seen = seen(&self.packed, &self.input);
        self.tap.bytes(seen.get(..count).unwrap_or_default());
        let read = match (&mut self.packed, &mut self.input) {
            (Some(packed), _) => {
                packed.consume(count);
                packed.read_so_far()
            }
            (None, Some(input)) => {
                input.consume(count);
                input.offset()
            }
            (None, None) => 0,
        };
        self.at += count as u64;
        self.unpacked += count as u64;
        Ok(self.limits.hold_size(read, self.unpacked)?)
    }

    /// Passes over `count` bytes, or the fewer that there are, and says how many.
    pub(super) fn pass(&mut self, count: u64) -> Result<u64, ReadError> {
        let mut passed = 0;
        while passed < count {
            let seen = self.peek(1)?.len() as u64;
            if seen == 0 {
                break;
            }
            let step = seen.min(count - passed);
            self.take(step as usize)?;
            passed += step;
        }
        Ok(passed)
    }
}

fn seen<'s>(packed: &'s Option<Window<Unpacking>>, input: &'s Option<Input>) -> &'s [u8] {
    match (packed, input) {
        (Some(packed), _) => packed.seen(),
        (None, Some(input)) => input.ahead(),
        (None, None) => &[],
    }
}

/// Holds how far the image has been read against the bound: a device may have no end.
fn hold_length(input: &Input, limits: &Limits) -> Result<(), LimitMet> {
    match input.offset() > limits.size {
        true => Err(LimitMet::Size(limits.size)),
        false => Ok(()),
    }
}

/// How many zeros `bytes` begin with.
pub(super) fn leading_zeros(bytes: &[u8]) -> usize {
    let first = bytes.iter().position(|&byte| byte != 0);
    first.unwrap_or(bytes.len())
}
