//! The kernel's reading of an archive, byte by byte, whatever pieces the bytes come in.
//!
//! In: unpacked bytes. Out: a call for each thing found, to an [`Unpacks`]. The states are those of
//! `init/initramfs.c`, which reads the same bytes twice before 2.6.29: once only to check them.

use super::behaviour::Behaviour;
use super::event::{Fault, Kind, Skip};
use super::header::{self, Header};

/// The kernel's `PATH_MAX`: the most that a name with its NUL may take, and a link's target.
const PATH_MAX: u32 = 4096;
/// What the kernel keeps a name in.
const NAME_BUFFER: u64 = 4098;

/// Who is told what an archive holds.
pub(super) trait Unpacks {
    /// Whether names are only looked at, and nothing is unpacked.
    const CHECKS_ONLY: bool;

    /// An entry begins at `offset`.
    fn begin(&mut self, offset: u64);
    /// It is passed over.
    fn skip(&mut self, header: &Header, why: Skip);
    /// And all that follows in the member, with it.
    fn lose(&mut self);
    /// Its name is there, up to where padding ends; says whether its data is wanted.
    fn entry(&mut self, header: &Header, name: &[u8]) -> Result<Next, Fault>;
    /// It is a symbolic link, and its name and target are there.
    fn symlink(&mut self, header: &Header, name: &[u8], target: &[u8]) -> Result<(), Fault>;
    /// A part of the data that was wanted.
    fn data(&mut self, bytes: &[u8]);
    /// The end of it.
    fn data_end(&mut self, header: &Header) -> Result<(), Fault>;
}

/// What follows an entry's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing of interest.
    Skip,
    /// The same; zeros may follow it in any kernel.
    Trailer,
    /// Its data.
    Copy,
}

/// What is done with the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// An archive may begin with it, a compressed member with the one before a member's first.
    Between,
    /// A header begins with it.
    Start,
    /// It belongs to what is collected.
    Collect(Wanted),
    /// It belongs to a file's data, of which so much is still to come.
    Copy(u64),
    /// It is passed over, up to the next header.
    Skip,
    /// It is passed over if zero, and else begins something.
    Reset,
    /// It is passed over, like all that follows in the member.
    Lost,
}

/// What is collected before it can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Header,
    Name,
    Link,
}

/// Where the bytes come from: what the kernel makes of what follows an entry depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The image itself.
    Image,
    /// A compressed member of it, of which so many bytes are unpacked at a time, where that is known.
    Member { window: Option<u64> },
}

/// The reading of one image.
pub(super) struct Machine {
    behaviour: Behaviour,
    /// Where the last bytes came from.
    source: Option<Source>,
    state: State,
    /// Whether no entry has begun.
    is_fresh: bool,
    /// What follows what is passed over.
    after_skip: State,
    header: Header,
    collected: Vec<u8>,
    wanted: usize,
    position: u64,
    next_header: u64,
}

impl Machine {
    pub fn new(behaviour: Behaviour) -> Self {
        Machine {
            behaviour,
            source: None,
            // The state that the kernel begins with also where the first bytes are a member's.
            state: State::Start,
            is_fresh: true,
            after_skip: State::Reset,
            header: Header::default(),
            collected: Vec::new(),
            wanted: 0,
            position: 0,
            next_header: 0,
        }
    }

    /// Goes on at `offset` of the image, with bytes of the image itself or of a member.
    pub fn go_on(&mut self, source: Source, offset: u64) -> Result<(), Fault> {
        let begun = self.source == Some(Source::Image);
        let is_member = source != Source::Image;
        match self.state {
            // Nothing but zeros can lie between, and this kernel reads them as a header.
            State::Start if begun && (is_member || offset != self.position) => {
                return Err(Fault::NoMagic([0; 6]));
            }
            State::Reset if begun && !offset.is_multiple_of(4) => return Err(Fault::Misaligned),
            State::Start | State::Reset if begun => {}
            // What the kernel began with is what it reads a member in, first of all or not.
            State::Start | State::Reset if is_member => {}
            _ if is_member && self.is_fresh => self.state = State::Start,
            _ if is_member => self.state = State::Reset,
            _ => self.state = State::Between,
        }
        self.source = Some(source);
        self.position = match source {
            Source::Member { .. } => 0,
            Source::Image => offset,
        };
        Ok(())
    }

    /// Where in the image, or in the member, the next byte stands.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether a member may end here.
    pub fn rests(&self) -> bool {
        self.state == State::Reset
    }

    /// How many bytes of what has begun are not there.
    pub fn missing(&self) -> u64 {
        match self.state {
            State::Collect(_) => self.wanted.saturating_sub(self.collected.len()) as u64,
            State::Copy(left) => left,
            _ => 0,
        }
    }

    /// Reads `bytes`.
    pub fn feed(&mut self, mut bytes: &[u8], to: &mut impl Unpacks) -> Result<(), Fault> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Between => self.between(bytes)?,
                State::Start => {
                    self.collect(Wanted::Header, header::SIZE as u64, to);
                    bytes
                }
                State::Collect(wanted) => self.fill(wanted, bytes, to)?,
                State::Copy(left) => self.copy(left, bytes, to)?,
                State::Skip => self.skip(bytes),
                State::Lost => self.advance(bytes, bytes.len()).1,
                State::Reset => self.reset(bytes)?,
            };
            self.settle(to)?;
        }
        Ok(())
    }

    /// Takes the steps that need no further byte.
    fn settle(&mut self, to: &mut impl Unpacks) -> Result<(), Fault> {
        if self.state == State::Copy(0) {
            to.data_end(&self.header)?;
            self.state = State::Skip;
        }
        if self.state == State::Skip && self.position >= self.next_header {
            self.state = self.after_skip;
        }
        Ok(())
    }

    fn advance<'b>(&mut self, bytes: &'b [u8], count: usize) -> (&'b [u8], &'b [u8]) {
        let (taken, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        self.position += taken.len() as u64;
        (taken, rest)
    }

    /// Zeros are passed over, an archive begins where an image's offset is a multiple of four.
    fn between<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Fault> {
        let (_, rest) = self.advance(bytes, leading_zeros(bytes));
        match rest.first() {
            Some(b'0') if self.position.is_multiple_of(4) => self.state = State::Start,
            Some(_) => return Err(Fault::NoArchive),
            None => {}
        }
        Ok(rest)
    }

    fn reset<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Fault> {
        let (_, rest) = self.advance(bytes, leading_zeros(bytes));
        let Some(&byte) = rest.first() else {
            return Ok(rest);
        };
        match (byte, self.source) {
            _ if !self.position.is_multiple_of(4) => Err(Fault::Misaligned),
            (b'0', _) => {
                self.state = State::Start;
                Ok(rest)
            }
            (_, Some(Source::Member { .. })) => Err(Fault::Junk(byte)),
            _ => Err(Fault::NoArchive),
        }
    }

    fn skip<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let left = self.next_header.saturating_sub(self.position);
        self.advance(bytes, usize::try_from(left).unwrap_or(usize::MAX))
            .1
    }

    fn copy<'b>(
        &mut self,
        left: u64,
        bytes: &'b [u8],
        to: &mut impl Unpacks,
    ) -> Result<&'b [u8], Fault> {
        let (data, rest) = self.advance(bytes, usize::try_from(left).unwrap_or(usize::MAX));
        to.data(data);
        self.state = State::Copy(left - data.len() as u64);
        Ok(rest)
    }

    fn collect(&mut self, wanted: Wanted, size: u64, to: &mut impl Unpacks) {
        if wanted == Wanted::Header {
            self.is_fresh = false;
            to.begin(self.position);
        }
        self.collected.clear();
        // A header, a name or a link: none has more than its buffer.
        self.wanted = usize::try_from(size).unwrap_or(usize::MAX);
        self.state = State::Collect(wanted);
    }

    /// Collects, and goes on when all is there: out of `bytes` itself where it has the whole.
    fn fill<'b>(
        &mut self,
        wanted: Wanted,
        bytes: &'b [u8],
        to: &mut impl Unpacks,
    ) -> Result<&'b [u8], Fault> {
        let (taken, rest) = self.advance(bytes, self.wanted - self.collected.len());
        if taken.len() == self.wanted {
            self.collected(wanted, taken, to)?;
            return Ok(rest);
        }
        self.collected.extend_from_slice(taken);
        if self.collected.len() == self.wanted {
            let mut whole = std::mem::take(&mut self.collected);
            self.collected(wanted, &whole, to)?;
            // Its room serves again.
            whole.clear();
            self.collected = whole;
        }
        Ok(rest)
    }

    fn collected(
        &mut self,
        wanted: Wanted,
        whole: &[u8],
        to: &mut impl Unpacks,
    ) -> Result<(), Fault> {
        match wanted {
            Wanted::Header => self.header(whole, to),
            Wanted::Name => {
                let next = to.entry(&self.header, whole)?;
                self.after_skip = match next {
                    Next::Trailer => State::Reset,
                    _ => self.after_entry(),
                };
                self.state = match next {
                    Next::Copy => State::Copy(u64::from(self.header.size)),
                    Next::Skip | Next::Trailer => State::Skip,
                };
                Ok(())
            }
            Wanted::Link => {
                let name = self.header.padded_name() as usize;
                let (name, target) = whole.split_at_checked(name).unwrap_or((whole, &[]));
                self.state = State::Skip;
                self.after_skip = self.after_entry();
                to.symlink(&self.header, name, target)
            }
        }
    }

    fn after_entry(&self) -> State {
        match self.behaviour.rests_anywhere {
            true => State::Reset,
            false => State::Start,
        }
    }

    fn header(&mut self, bytes: &[u8], to: &mut impl Unpacks) -> Result<(), Fault> {
        self.header = Header::read(bytes);
        match &self.header.magic {
            b"070701" => {}
            b"070702" if self.behaviour.reads_checksums => {}
            magic => return Err(Fault::NoMagic(*magic)),
        }
        let name = self.header.padded_name();
        let end = self.position + name + u64::from(self.header.size);
        self.next_header = end.next_multiple_of(4);
        match self.judge(to) {
            Err(why) => {
                to.skip(&self.header, why);
                self.state = State::Skip;
                self.after_skip = self.after_entry();
                if self.is_in_two_windows() {
                    to.lose();
                    self.after_skip = State::Lost;
                }
            }
            Ok(Wanted::Link) => {
                self.collect(Wanted::Link, name + u64::from(self.header.size), to);
            }
            // A check keeps no more of a name than it needs to know a trailer.
            Ok(wanted) => self.collect(wanted, name.min(NAME_BUFFER), to),
        }
        Ok(())
    }

    /// Whether the header that has just been read came in two pieces. The kernel then goes back to
    /// it from an entry that it passes over, and passes over as much again, to the end of the member.
    fn is_in_two_windows(&self) -> bool {
        let Some(Source::Member {
            window: Some(window),
        }) = self.source
        else {
            return false;
        };
        let start = self.position - header::SIZE as u64;
        // A kernel that waits for the next header in no other state takes even one at a window's
        // beginning for one that has begun before.
        let waits = u64::from(!self.behaviour.rests_anywhere);
        start.saturating_sub(waits) / window != (self.position - 1) / window
    }

    /// What is read of the entry, or why it is passed over.
    fn judge<U: Unpacks>(&self, _: &U) -> Result<Wanted, Skip> {
        let Header {
            mode,
            size,
            name_size,
            ..
        } = self.header;
        let kind = Kind::of(mode);
        match name_size {
            _ if U::CHECKS_ONLY => Ok(Wanted::Name),
            0 => Err(Skip::NoName),
            1..=PATH_MAX => match kind {
                Some(Kind::Symlink) if size > PATH_MAX => Err(Skip::LongTarget(size)),
                Some(Kind::Symlink) => Ok(Wanted::Link),
                Some(Kind::Regular) => Ok(Wanted::Name),
                _ if size > 0 => Err(Skip::Data { size, mode }),
                _ => Ok(Wanted::Name),
            },
            _ => Err(Skip::LongName(name_size)),
        }
    }
}

/// How many zero bytes `bytes` begin with: by the block, for there may be megabytes of them.
fn leading_zeros(bytes: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = bytes.chunks_exact(BLOCK);
    let whole = blocks.take_while(|block| block.iter().fold(0, |all, byte| all | byte) == 0);
    let passed = whole.count() * BLOCK;
    let rest = bytes.get(passed..).unwrap_or_default();
    passed + rest.iter().take_while(|&&byte| byte == 0).count()
}
