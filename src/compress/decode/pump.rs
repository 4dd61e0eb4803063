//! A library's decoder, fed from a source until it has something to give.

use std::io::{BufRead, Read};

use super::DecodeError;
use crate::compress::source::Source;

/// What one call of a library has done.
pub(super) struct Step {
    /// Bytes of the input that it has used.
    pub consumed: usize,
    /// Bytes of content that it has given.
    pub produced: usize,
    /// Whether the stream has ended, or why it cannot go on.
    pub ended: Result<bool, DecodeError>,
}

/// A library's decoder of one stream.
pub(super) trait Machine {
    /// Decodes from `input`, which is empty only where there is no more, into `out`.
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step;
}

/// A machine and how it ended, if it has.
pub(super) struct Pump<M> {
    pub machine: M,
    end: Option<Result<(), DecodeError>>,
}

impl<M: Machine> Pump<M> {
    pub(super) fn new(machine: M) -> Self {
        Pump { machine, end: None }
    }

    /// As [`super::Decoder::read`]. A fault is kept back until the content before it is given.
    pub(super) fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        out: &mut [u8],
    ) -> Result<usize, DecodeError> {
        loop {
            if let Some(end) = &self.end {
                return end.clone().map(|()| 0);
            }
            let input = source.fill_buf()?;
            let available = input.len();
            let step = self.machine.step(input, out);
            source.consume(step.consumed);
            let is_stuck = step.consumed == 0 && step.produced == 0;
            self.end = match step.ended {
                Err(error) => Some(Err(error)),
                Ok(true) => Some(Ok(())),
                Ok(false) if !is_stuck => None,
                Ok(false) if available == 0 => Some(Err(DecodeError::Truncated)),
                Ok(false) => Some(Err(DecodeError::corrupt("it leads nowhere"))),
            };
            if step.produced > 0 {
                return Ok(step.produced);
            }
        }
    }
}
