//! A rope cut into pieces of one size, which several threads work on and one writes in order.
//!
//! The cut never depends on the number of threads, and so neither do the bytes.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;

use super::ordered::in_order;
use crate::rope::Rope;

/// What buffers of the workers may take together; it bounds the number of workers.
const WORKER_MEMORY: usize = 64 << 20;

/// A rope, and how it is cut.
pub(super) struct Pieces<'r, 'a> {
    rope: &'r Rope<'a>,
    size: u64,
    workers: NonZeroUsize,
}

/// A piece, for the one who works on it.
pub(super) struct Piece<'c> {
    /// Its bytes.
    pub(super) content: &'c [u8],
    /// Whether none follows.
    pub(super) is_last: bool,
}

impl<'r, 'a> Pieces<'r, 'a> {
    /// Pieces of `size` bytes, the last one shorter; an empty rope is one empty piece. A worker
    /// takes `memory` bytes: of the `threads`, as many work as there is memory for.
    pub(super) fn new(
        rope: &'r Rope<'a>,
        size: u64,
        threads: NonZeroUsize,
        memory: usize,
    ) -> Pieces<'r, 'a> {
        let fitting = NonZeroUsize::new(WORKER_MEMORY / memory.max(1));
        let workers = threads.min(fitting.unwrap_or(NonZeroUsize::MIN));
        Pieces {
            rope,
            size,
            workers,
        }
    }

    /// Has every piece worked on, and its result delivered, in order; `progress` is told how many
    /// bytes of the rope have been. A worker keeps `new_state` from piece to piece.
    ///
    /// # Errors
    /// The first of `work` or `deliver`.
    pub(super) fn work<S, T: Send>(
        &self,
        new_state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, Piece<'_>) -> io::Result<T> + Sync,
        mut deliver: impl FnMut(T) -> io::Result<()>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> io::Result<()> {
        let count = self.rope.len().div_ceil(self.size).max(1);
        let mut done = 0;
        in_order(
            count,
            self.workers,
            || (new_state(), Vec::new()),
            |(state, scratch), index| {
                let start = index * self.size;
                let content = gather(self.rope, start..start + self.size, scratch);
                let is_last = index + 1 == count;
                work(state, Piece { content, is_last })
            },
            |result| {
                deliver(result)?;
                done += self.size;
                progress(done.min(self.rope.len()));
                Ok(())
            },
        )
    }
}

/// The bytes of `range`, gathered in `scratch` unless they are one slice anyway.
fn gather<'a>(rope: &'a Rope<'_>, range: Range<u64>, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let wanted = (rope.len().min(range.end)).saturating_sub(range.start);
    match rope.slices(range.clone()).next() {
        Some(first) if first.len() as u64 == wanted => first,
        _ => {
            scratch.clear();
            for slice in rope.slices(range) {
                scratch.extend_from_slice(slice);
            }
            scratch
        }
    }
}
