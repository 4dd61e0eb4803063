//! A bzip2 stream, decoded by the bzip2 crate.

use std::io::Read;

use bzip2::{Decompress, Status};

use super::pump::{Machine, Pump, Step};
use super::{Bzip2Facts, Codec, DecodeError, Facts};
use crate::compress::source::Source;

pub(super) struct Bzip2 {
    facts: Bzip2Facts,
    stream: Pump<Decompress>,
}

impl Bzip2 {
    pub(super) fn new() -> Self {
        Bzip2 {
            facts: Bzip2Facts::default(),
            stream: Pump::new(Decompress::new(false)),
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
        self.stream.read(source, out)
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
