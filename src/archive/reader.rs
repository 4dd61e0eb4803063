//! The reader: from a stream of bytes to [`Event`]s.

use std::collections::VecDeque;
use std::io::Read;

use super::foreign::{Foreign, TELLING};
use super::header::{BadHeader, HEADER_SIZE, Header};
use super::stream::{Ended, Stream, leading_zeros};
use super::{Entry, Event, Flaw, FlawKind, Limits, ReadError, SegmentEnd, SegmentStart, Tap};
use crate::compress::decode::Member;
use crate::compress::detect;

/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// How many bytes of data are given together at least, where there are so many: what a file begins
/// with tells what it is.
const TOGETHER: u64 = 64;
/// How many bytes of what is no header are shown.
const SHOWN: usize = 6;

/// An image that is being read.
pub struct Archive<T = ()> {
    limits: Limits,
    stream: Stream<T>,
    state: State,
    /// What was met and is still to be told.
    events: VecDeque<Event>,
    segments: usize,
    segment: Segment,
    data: Data,
    entries: u64,
}

/// How much is read of what is no image, in bytes: of a kernel, say, all.
const NO_IMAGE_LIMIT: u64 = 16 << 20;

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between segments, or before the first.
    Between,
    /// Where an entry begins.
    Entry,
    /// Behind a trailer in a compressed segment.
    Behind,
    /// At the end.
    Over,
    /// Where nothing more is read.
    Left,
}

/// The segment that is being read.
#[derive(Debug, Default)]
struct Segment {
    /// Where it begins in the image.
    start: u64,
    archives: u64,
    padding: u64,
    /// Whether its first archive, or what it is instead, begins with zeros.
    begins_in_zeros: bool,
}

/// The data of the entry that was told last.
#[derive(Debug, Default)]
struct Data {
    name: Vec<u8>,
    /// The bytes that are still to be passed, and the zeros behind them.
    left: u64,
    padding: u64,
    /// How many of those that are left whoever reads is looking at.
    handed: usize,
    /// What the sum should be, where the header says it.
    said: Option<u32>,
    sum: u32,
    /// Whether the archive ends with this entry.
    is_trailer: bool,
}

impl Archive {
    /// The image that `source` gives.
    #[must_use]
    pub fn new(source: Box<dyn Read + Send>, limits: Limits) -> Archive {
        Archive::with_tap(source, limits, ())
    }
}

impl<T: Tap> Archive<T> {
    /// The image that `source` gives; `tap` is shown all that is unpacked.
    #[must_use]
    pub fn with_tap(source: Box<dyn Read + Send>, limits: Limits, tap: T) -> Archive<T> {
        Archive {
            limits,
            stream: Stream::new(source, limits, tap),
            state: State::Between,
            events: VecDeque::new(),
            segments: 0,
            segment: Segment::default(),
            data: Data::default(),
            entries: 0,
        }
    }

    /// The same, with compressed segments unpacked on a thread of their own. That is for whoever has work
    /// with what comes out: to one who passes over it, two threads that wake each other are a loss.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.stream.unpack_apart();
        self
    }

    /// How far the image has been read: its size, when all is over and it was an image.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.stream.position()
    }

    /// The last four bytes that have been read, as a little-endian number: those of the image, when all
    /// is over and it was one.
    #[must_use]
    pub fn last_read(&self) -> u32 {
        self.stream.last_read()
    }

    /// The tap, when all is over.
    #[must_use]
    pub fn into_tap(self) -> T {
        self.stream.into_tap()
    }

    /// What comes next; data of the entry before that was not read is passed over.
    ///
    /// # Errors
    /// When the medium fails, or a bound is met; nothing more can be read then.
    pub fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        self.pass_data()?;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.state {
                State::Between => self.find_segment()?,
                State::Entry => self.find_entry()?,
                State::Behind => self.find_archive()?,
                State::Over => {
                    self.stream.pass_rest()?;
                    return Ok(None);
                }
                State::Left => return Ok(None),
            }
        }
    }

    /// The next bytes of the data of the entry that was told last; `None` when there are no more,
    /// because it ends, or because the image does.
    ///
    /// # Errors
    /// As [`Archive::next_event`].
    pub fn data(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.pass_handed()?;
        let left = self.data.left;
        let there = self.stream.peek(left.min(TOGETHER) as usize)?.len() as u64;
        self.data.handed = there.min(left) as usize;
        let handed = self.data.handed;
        Ok(self
            .stream
            .seen()
            .get(..handed)
            .filter(|seen| !seen.is_empty()))
    }

    /// Appends all the data of the entry that was told last to `out`, that which [`Archive::data`]
    /// gave last included.
    ///
    /// # Errors
    /// As [`Archive::next_event`].
    pub fn append_data(&mut self, out: &mut Vec<u8>) -> Result<(), ReadError> {
        self.rewind();
        while let Some(bytes) = self.data()? {
            out.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// What [`Archive::data`] gave last.
    #[must_use]
    pub fn handed(&self) -> &[u8] {
        self.stream
            .seen()
            .get(..self.data.handed)
            .unwrap_or_default()
    }

    /// Has [`Archive::data`] give once more what it gave last.
    pub fn rewind(&mut self) {
        self.data.handed = 0;
    }

    /// Passes over all that is left of an entry.
    fn pass_data(&mut self) -> Result<(), ReadError> {
        while self.data()?.is_some() {}
        let Data { left, sum, .. } = self.data;
        if left > 0 {
            self.flaw_of_entry(FlawKind::Cut);
            // Neither its padding nor its sum is looked for in the segment that follows.
            self.data = Data::default();
            return self.end_segment();
        }
        if let Some(said) = self.data.said.take().filter(|&said| said != sum) {
            self.flaw_of_entry(FlawKind::Checksum { said, found: sum });
        }
        let padding = std::mem::take(&mut self.data.padding);
        self.stream.pass(padding)?;
        if std::mem::take(&mut self.data.is_trailer) {
            self.end_archive()?;
        }
        Ok(())
    }

    fn pass_handed(&mut self) -> Result<(), ReadError> {
        let count = std::mem::take(&mut self.data.handed);
        if self.data.said.is_some() {
            let bytes = self.stream.seen().get(..count).unwrap_or_default();
            let sum: u32 = bytes
                .iter()
                .fold(0, |sum: u32, &byte| sum.wrapping_add(u32::from(byte)));
            self.data.sum = self.data.sum.wrapping_add(sum);
        }
        self.data.left -= count as u64;
        self.stream.take(count)
    }

    /// Looks for the next segment behind the zeros.
    fn find_segment(&mut self) -> Result<(), ReadError> {
        let (offset, found) = self.stream.look_between(TELLING)?;
        let format = detect(&found);
        if found.is_empty() {
            self.end_image(offset);
            return Ok(());
        }
        if format.is_none() && !found.starts_with(b"07070") {
            return self.end_in_junk(offset, &found);
        }
        self.begin(SegmentStart {
            index: self.segments,
            offset,
            format,
        })
    }

    fn begin(&mut self, start: SegmentStart) -> Result<(), ReadError> {
        self.limits.hold_segments(start.index as u64 + 1)?;
        self.events.push_back(Event::Segment(start));
        self.segment = Segment {
            start: start.offset,
            ..Segment::default()
        };
        self.stream.begin(&start);
        self.state = State::Entry;
        if start.format.is_none() && !start.offset.is_multiple_of(4) {
            self.flaw(FlawKind::Misaligned);
        }
        Ok(())
    }

    fn end_image(&mut self, offset: u64) {
        self.state = State::Over;
        match (self.segments, offset) {
            (0, 0) => self.push_flaw(offset, None, FlawKind::Empty),
            (0, length) => self.push_flaw(0, None, FlawKind::Zeros { length }),
            _ => {}
        }
    }

    /// What stands here is no segment, and where the next one begins cannot be told.
    fn end_in_junk(&mut self, offset: u64, start: &[u8]) -> Result<(), ReadError> {
        if self.segments == 0 {
            return self.leave(offset, start);
        }
        self.state = State::Over;
        self.stream.pass_junk(offset)?;
        let kind = FlawKind::Junk {
            found: shown(start),
            length: self.stream.position() - offset,
            what: Foreign::of(start, 0),
        };
        self.push_flaw(offset, None, kind);
        Ok(())
    }

    /// What begins so is no image. All of it may be a disk, or have no end.
    fn leave(&mut self, offset: u64, start: &[u8]) -> Result<(), ReadError> {
        self.state = State::Left;
        let is_all = self.stream.pass_some_junk(offset, NO_IMAGE_LIMIT)?;
        let kind = FlawKind::NoImage {
            found: shown(start),
            // The zeros before it are its own.
            length: self.stream.position(),
            is_all,
            what: Foreign::of(start, offset),
        };
        self.push_flaw(offset, None, kind);
        Ok(())
    }

    /// Reads a header and a name, if there are any.
    fn find_entry(&mut self) -> Result<(), ReadError> {
        let seen = self.stream.peek(HEADER_SIZE)?;
        let start = seen.get(..seen.len().min(HEADER_SIZE)).unwrap_or_default();
        if start.iter().all(|&byte| byte == 0) {
            return self.end_without_trailer();
        }
        let kind = match Header::parse(start) {
            Ok(header) => return self.read_entry(header),
            Err(BadHeader::Magic) => return self.end_in_no_header(),
            Err(BadHeader::Cut) => FlawKind::Cut,
            Err(BadHeader::Field(field)) => FlawKind::BadField { field },
        };
        self.flaw(kind);
        self.abandon()
    }

    /// What stands here is no entry.
    fn end_in_no_header(&mut self) -> Result<(), ReadError> {
        let at = self.stream.at();
        let start = self.take_start()?;
        // Within an archive it is damage, and like something else by chance alone.
        let is_all = at == 0 || start.starts_with(b"070707");
        let what = Foreign::of(&start, 0).filter(|_| is_all);
        let found = shown(&start);
        self.push_flaw(at, None, FlawKind::NoHeader { found, what });
        self.abandon()
    }

    /// Passes over as many bytes as tell what they are, and gives them.
    fn take_start(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut start = Vec::new();
        while start.len() < TELLING {
            let seen = self.stream.peek(1)?;
            let seen = seen.get(..seen.len().min(TELLING - start.len()));
            let seen = seen.unwrap_or_default();
            if seen.is_empty() {
                break;
            }
            start.extend_from_slice(seen);
            let count = seen.len();
            self.stream.take(count)?;
        }
        Ok(start)
    }

    fn read_entry(&mut self, header: Header) -> Result<(), ReadError> {
        let offset = self.stream.at();
        if !offset.is_multiple_of(4) {
            self.flaw(FlawKind::Misaligned);
        }
        self.stream.take(HEADER_SIZE)?;
        let Some(name) = self.read_name(header.name_size)? else {
            self.flaw(FlawKind::Cut);
            return self.end_segment();
        };
        let behind_name = HEADER_SIZE as u64 + u64::from(header.name_size);
        self.stream
            .pass(behind_name.next_multiple_of(4) - behind_name)?;
        self.data = Data {
            left: u64::from(header.size),
            padding: u64::from(header.size).next_multiple_of(4) - u64::from(header.size),
            said: header.sum(),
            name,
            ..Data::default()
        };
        let size = header.name_size;
        if size == 0 {
            self.flaw(FlawKind::EmptyName);
            return self.count_entry();
        }
        if u64::from(size) > self.limits.name {
            self.flaw_of_entry(FlawKind::LongName { size });
            return self.count_entry();
        }
        self.tell_entry(header, offset)
    }

    fn tell_entry(&mut self, header: Header, offset: u64) -> Result<(), ReadError> {
        let end = self.data.name.iter().position(|&byte| byte == 0);
        let end = end.unwrap_or(self.data.name.len());
        let behind = self.data.name.get(end..).unwrap_or_default();
        // More NULs than one have data begin at a block (`dracut-cpio --data-align`).
        let is_well_ended = !behind.is_empty() && behind.iter().all(|&byte| byte == 0);
        self.data.name.truncate(end);
        if !is_well_ended {
            self.flaw_of_entry(FlawKind::BadNameEnd);
        }
        if self.data.name == TRAILER {
            self.data.is_trailer = true;
            return self.pass_data();
        }
        self.count_entry()?;
        self.events.push_back(Event::Entry(Entry {
            segment: self.segments,
            offset,
            header,
            name: self.data.name.clone(),
        }));
        Ok(())
    }

    fn count_entry(&mut self) -> Result<(), ReadError> {
        self.entries += 1;
        Ok(self.limits.hold_entries(self.entries)?)
    }

    /// The name of `size` bytes, no more of it than the limit; `None` where the segment ends before.
    fn read_name(&mut self, size: u32) -> Result<Option<Vec<u8>>, ReadError> {
        let mut name = Vec::new();
        let mut left = u64::from(size);
        while left > 0 {
            // A bound beyond what a 32-bit host can hold is none.
            let limit = usize::try_from(self.limits.name).unwrap_or(usize::MAX);
            let seen = self.stream.peek(1)?;
            let count = (seen.len() as u64).min(left) as usize;
            if count == 0 {
                return Ok(None);
            }
            let kept = count.min(limit.saturating_sub(name.len()));
            name.extend_from_slice(seen.get(..kept).unwrap_or_default());
            left -= count as u64;
            self.stream.take(count)?;
        }
        Ok(Some(name))
    }

    /// Behind a trailer.
    fn end_archive(&mut self) -> Result<(), ReadError> {
        self.segment.archives += 1;
        self.look_behind()
    }

    /// Of a compressed segment more may come; a plain one is over with its archive.
    fn look_behind(&mut self) -> Result<(), ReadError> {
        match self.stream.is_packed() {
            true => {
                self.state = State::Behind;
                Ok(())
            }
            false => self.end_segment(),
        }
    }

    /// Looks for another archive in the same segment.
    fn find_archive(&mut self) -> Result<(), ReadError> {
        let seen = self.stream.peek(1)?;
        let zeros = leading_zeros(seen);
        if zeros > 0 {
            self.segment.padding += zeros as u64;
            return self.stream.take(zeros);
        }
        let found = shown(self.stream.peek(SHOWN)?);
        let is_archive = found.starts_with(b"07070");
        let is_first = std::mem::take(&mut self.segment.begins_in_zeros);
        if is_first && (found.is_empty() || is_archive) && !self.stream.is_damaged() {
            self.push_flaw(0, None, FlawKind::NoTrailer);
        }
        if found.is_empty() {
            return self.end_segment();
        }
        if is_archive {
            self.segment.padding = 0;
            self.state = State::Entry;
            return Ok(());
        }
        self.end_in_other(found, is_first)
    }

    /// What stands here is no archive; where it is all of the segment, with the zeros before it.
    fn end_in_other(&mut self, found: Vec<u8>, is_all: bool) -> Result<(), ReadError> {
        let offset = self.stream.at();
        let start = self.take_start()?;
        let length = start.len() as u64 + self.stream.pass(u64::MAX)?;
        let what = Foreign::of(&start, if is_all { offset } else { 0 });
        self.push_flaw(
            offset,
            None,
            FlawKind::Junk {
                found,
                length,
                what,
            },
        );
        self.end_segment()
    }

    /// Nothing but zeros, or nothing at all, where an entry should be.
    fn end_without_trailer(&mut self) -> Result<(), ReadError> {
        // Some file systems begin with zeros, too.
        self.segment.begins_in_zeros = self.stream.is_packed() && self.stream.at() == 0;
        if !self.stream.is_damaged() && !self.segment.begins_in_zeros {
            self.flaw(FlawKind::NoTrailer);
        }
        // The kernel takes the zeros for a header.
        self.segment.padding += self.stream.pass(HEADER_SIZE as u64)?;
        self.look_behind()
    }

    /// Nothing more can be told of what is in this segment; of a plain one nobody knows where it ends.
    fn abandon(&mut self) -> Result<(), ReadError> {
        self.stream.pass(u64::MAX)?;
        self.end_segment()
    }

    /// Takes leave of the segment.
    fn end_segment(&mut self) -> Result<(), ReadError> {
        let Ended {
            unpacked,
            member,
            damage,
        } = self.stream.end()?;
        self.state = State::Between;
        if let Some(damage) = damage {
            self.state = State::Over;
            self.push_flaw(unpacked, None, FlawKind::Damaged(damage));
        }
        let trailer = member.as_ref().and_then(Member::gzip_trailer);
        if let Some(trailer) = trailer.filter(|trailer| !trailer.agrees()) {
            self.push_flaw(unpacked, None, FlawKind::WrongSum(trailer));
        }
        self.events.push_back(Event::SegmentEnd(SegmentEnd {
            size: self.stream.position() - self.segment.start,
            unpacked,
            archives: self.segment.archives,
            padding: self.segment.padding,
            member,
        }));
        self.segments += 1;
        Ok(())
    }

    fn flaw(&mut self, kind: FlawKind) {
        self.push_flaw(self.stream.at(), None, kind);
    }

    fn flaw_of_entry(&mut self, kind: FlawKind) {
        let name = Some(self.data.name.clone());
        self.push_flaw(self.stream.at(), name, kind);
    }

    fn push_flaw(&mut self, offset: u64, entry: Option<Vec<u8>>, kind: FlawKind) {
        self.events.push_back(Event::Flaw(Flaw {
            segment: self.segments,
            offset,
            entry,
            kind,
        }));
    }
}

/// As much of `bytes` as a flaw shows.
fn shown(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take(SHOWN).collect()
}
