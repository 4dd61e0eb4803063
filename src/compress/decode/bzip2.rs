//! A bzip2 stream, decoded by the bzip2 crate.

use std::io::Read;

use bzip2::{Decompress, Status};

use super::pump::{Machine, Pump, Step};
use super::{Bzip2Facts, Codec, DecodeError, Facts};
use crate::compress::source::Source;

/// What is decoded at once. At a fault the library keeps to itself what it had decoded of the same block in the
/// same call, and how much that is must not depend on how much is asked for.
const PIECE: usize = 32 << 10;

pub(super) struct Bzip2 {
    facts: Bzip2Facts,
    stream: Pump<Decompress>,
    ready: Vec<u8>,
    given: usize,
    fault: Option<DecodeError>,
}

impl Bzip2 {
    pub(super) fn new() -> Self {
        Bzip2 {
            facts: Bzip2Facts::default(),
            stream: Pump::new(Decompress::new(false)),
            ready: Vec::new(),
            given: 0,
            fault: None,
        }
    }

    /// Decodes the next piece, which is whole but at the end and before a fault.
    fn refill<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), DecodeError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.ready.resize(PIECE, 0);
        self.given = 0;
        let mut filled = 0;
        while let Some(room) = self.ready.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.stream.read(source, room) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            }
        }
        self.ready.truncate(filled);
        match &self.fault {
            Some(fault) if filled == 0 => Err(fault.clone()),
            _ => Ok(()),
        }
    }
}

impl Codec for Bzip2 {
    fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        if self.facts.level == 0
            && let &[b'B', b'Z', b'h', level @ b'1'..=b'9'] = source.peek(4)?
        {
            self.facts.level = level - b'0';
        }
        if self.given == self.ready.len() {
            self.refill(source)?;
        }
        let mut ready = self.ready.get(self.given..).unwrap_or_default();
        let count = ready.read(out)?;
        self.given += count;
        Ok(count)
    }

    fn facts(&self) -> Facts {
        Facts::Bzip2(self.facts)
    }
}

impl Machine for Decompress {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        let (before_in, before_out) = (self.total_in(), self.total_out());
        let status = self.decompress(input, out);
        Step {
            consumed: (self.total_in() - before_in) as usize,
            produced: (self.total_out() - before_out) as usize,
            ended: match status {
                Ok(Status::StreamEnd) => Ok(true),
                Ok(Status::MemNeeded) => Err(DecodeError::corrupt("no memory for its blocks")),
                Ok(_) => Ok(false),
                Err(error) => Err(DecodeError::corrupt(error)),
            },
        }
    }
}
