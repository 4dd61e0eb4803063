//! A package's content, unpacked as it is read: plain, or in compressed members of one format, one after
//! another, as `cat` of several `.gz` is and as an `.apk` has it.

use std::io::{self, BufRead, Read};

use super::PackageError;
use crate::archive::Limits;
use crate::compress::decode::{DecodeError, Decoder, Facts, Member};
use crate::compress::source::Source;
use crate::compress::{Format, detect};

/// The most bytes behind the last entry of an archive, or of zeros behind compressed data: what fills a tape's record
/// up has 1 MiB at most. What never ends, as `/dev/zero`, is no package.
const PADDING_LIMIT: u64 = 16 << 20;

/// The content, which can be looked into before it is read.
pub(super) struct Unpacked<R> {
    content: Source<Members<R>>,
    is_at_end: bool,
}

impl<R: Read> Unpacked<R> {
    /// The content of what `source` stands at. What begins with no magic of a compressed format is its own
    /// content.
    pub(super) fn new(source: Source<R>, limits: Limits) -> Self {
        Unpacked::at(State::Between(source), limits)
    }

    /// The content that `source` gives unpacked.
    pub(super) fn of_content(source: Source<R>, limits: Limits) -> Self {
        Unpacked::at(State::Plain(source), limits)
    }

    fn at(state: State<R>, limits: Limits) -> Self {
        let members = Members {
            state,
            limits,
            unpacked: 0,
            members: 0,
            gzip_members: 0,
            fault: None,
        };
        Unpacked {
            content: Source::new(members),
            is_at_end: false,
        }
    }

    /// The next `count` bytes, which stay where they are; fewer where the content ends.
    ///
    /// # Errors
    /// Whatever is wrong with the packed data.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], PackageError> {
        if let Err(error) = self.content.peek(count) {
            return Err(self.blame(error.into()));
        }
        Ok(self.content.ahead())
    }

    /// Whether a reader has come to the end of the content.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// How many gzip members have begun so far.
    pub(super) fn gzip_members(&mut self) -> u64 {
        self.content.reader_mut().gzip_members
    }

    /// What is really to blame for an error that a reader of the content met: the packed data, where these
    /// cannot be read.
    pub(super) fn blame(&mut self, error: PackageError) -> PackageError {
        match (self.content.reader_mut().fault.take(), error) {
            (Some(fault), _) => fault,
            (None, PackageError::Io(error)) => PackageError::of_reader(&error),
            (None, other) => other,
        }
    }

    /// What is really to blame for an error of whoever was given the content: the packed data, where these could not
    /// be read; else the error is his own.
    pub(super) fn blame_first(&mut self, error: PackageError) -> PackageError {
        self.content.reader_mut().fault.take().unwrap_or(error)
    }

    /// Reads what is left, so that checksums which stand behind the content are looked at too.
    ///
    /// # Errors
    /// Whatever is wrong with the packed data; and when there is more than what fills an archive up.
    pub(super) fn finish(&mut self) -> Result<(), PackageError> {
        let rest = &mut self.content;
        match io::copy(&mut rest.take(PADDING_LIMIT + 1), &mut io::sink()) {
            Ok(rest) if rest > PADDING_LIMIT => Err(endless()),
            Ok(_) => Ok(()),
            Err(error) => Err(self.blame(error.into())),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(out)?;
        self.is_at_end |= count == 0 && !out.is_empty();
        Ok(count)
    }
}

/// Where reading stands.
enum State<R> {
    /// At the first byte of a member, or of what is not packed.
    Between(Source<R>),
    /// In what is not packed.
    Plain(Source<R>),
    /// In a member.
    Member(Box<Decoder<R>>),
    /// Behind the last member, or behind what cannot be read.
    End,
}

/// The members, unpacked; what is wrong with them is kept for whoever can tell it.
struct Members<R> {
    state: State<R>,
    limits: Limits,
    unpacked: u64,
    /// How many members have begun.
    members: u64,
    /// How many of them are of gzip.
    gzip_members: u64,
    fault: Option<PackageError>,
}

impl<R: Read> Members<R> {
    fn next(&mut self, out: &mut [u8]) -> Result<usize, PackageError> {
        loop {
            match std::mem::replace(&mut self.state, State::End) {
                State::End => return Ok(0),
                State::Between(source) => self.state = self.enter(source)?,
                State::Plain(mut source) => {
                    let count = source.read(out).map_err(of_source)?;
                    self.unpacked += count as u64;
                    self.limits.hold_size(self.unpacked, self.unpacked)?;
                    self.state = State::Plain(source);
                    return Ok(count);
                }
                State::Member(mut decoder) => match decoder.read(out)? {
                    0 => self.state = leave(*decoder)?,
                    count => {
                        self.unpacked += count as u64;
                        let packed = decoder.source().offset();
                        self.limits.hold_size(packed, self.unpacked)?;
                        self.state = State::Member(decoder);
                        return Ok(count);
                    }
                },
            }
        }
    }

    /// What stands here: a member, what is not packed, or nothing. Zeros behind a member are padding.
    fn enter(&mut self, mut source: Source<R>) -> Result<State<R>, PackageError> {
        let is_behind = self.members > 0;
        if is_behind {
            pass_zeros(&mut source)?;
        }
        let ahead = source.peek(2)?;
        match detect(ahead) {
            _ if is_behind && ahead.is_empty() => Ok(State::End),
            Some(format) => {
                self.members += 1;
                self.gzip_members += u64::from(format == Format::Gzip);
                let window = self.limits.memory;
                Ok(State::Member(Box::new(Decoder::with_window(
                    format, source, window,
                ))))
            }
            None if is_behind => Err(PackageError::Damaged(
                "behind the compressed data stands something else".to_owned(),
            )),
            None => Ok(State::Plain(source)),
        }
    }
}

/// Passes over zeros, as many as there may be.
fn pass_zeros<R: Read>(source: &mut Source<R>) -> Result<(), PackageError> {
    let start = source.offset();
    loop {
        let ahead = source.fill_buf()?;
        let zeros = ahead.iter().take_while(|&&byte| byte == 0).count();
        let is_all = zeros > 0 && zeros == ahead.len();
        source.consume(zeros);
        if source.offset() - start > PADDING_LIMIT {
            return Err(endless());
        }
        if !is_all {
            return Ok(());
        }
    }
}

fn endless() -> PackageError {
    PackageError::Damaged("it goes on for more than 16 MiB behind its end".to_owned())
}

/// What a source says, which may be one that unpacks.
fn of_source(error: io::Error) -> PackageError {
    let of_decoder = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<DecodeError>());
    match of_decoder.cloned() {
        Some(error) => error.into(),
        None => PackageError::Io(error),
    }
}

/// Goes on behind a member whose end was reached.
fn leave<R: Read>(decoder: Decoder<R>) -> Result<State<R>, PackageError> {
    let (source, member) = decoder.finish();
    match agrees(&member) {
        true => Ok(State::Between(source)),
        false => Err(PackageError::Damaged(
            "the content is not what the gzip trailer says".to_owned(),
        )),
    }
}

/// Whether the content is what the member says; the other formats' decoders see to it themselves.
fn agrees(member: &Member) -> bool {
    match member.facts {
        Facts::Gzip(facts) => facts.trailer.is_some_and(|trailer| trailer.agrees()),
        _ => true,
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.next(out).map_err(|fault| {
            let told = io::Error::other(fault.to_string());
            self.fault = Some(fault);
            told
        })
    }
}

impl From<DecodeError> for PackageError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated => PackageError::Truncated,
            DecodeError::Io(error) => {
                PackageError::Io(io::Error::new(error.kind(), error.to_string()))
            }
            other => PackageError::Damaged(other.to_string()),
        }
    }
}
