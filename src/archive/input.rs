//! The image's own bytes, and a compressed segment of them unpacked, on a thread of its own or not.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::ReadError;
use super::window::{Piece, Pieces};
use crate::compress::Format;
use crate::compress::decode::{DecodeError, Decoder, Member};
use crate::compress::source::Source;

/// An image as it lies there.
pub(super) type Input = Source<Box<dyn Read + Send>>;
/// The decoder of one of its segments.
type Unpacker = Decoder<Box<dyn Read + Send>>;

/// Pieces on their way from the thread that unpacks.
const IN_FLIGHT: usize = 2;

/// A compressed segment on its way through a decoder.
pub(super) enum Unpacking {
    /// On a thread, so that unpacking goes on while what came out is looked at.
    Apart(Worker),
    /// On this one.
    Here(Box<Unpacker>),
}

/// A thread that unpacks, and the ways to it.
pub(super) struct Worker {
    full: Receiver<Result<Piece, DecodeError>>,
    empty: Sender<Piece>,
    thread: JoinHandle<Option<(Input, Member)>>,
}

impl Unpacking {
    /// Begins to unpack what `input` stands at, with a window of `memory` bytes at most.
    pub(super) fn here(format: Format, input: Input, memory: u64) -> Unpacking {
        Unpacking::Here(Box::new(Decoder::with_window(format, input, memory)))
    }

    /// The same on another thread, or on this one where the system gives no other.
    pub(super) fn apart(format: Format, input: Input, memory: u64) -> Unpacking {
        let (hand_over, taken) = channel::<Input>();
        let (filled, full) = sync_channel(IN_FLIGHT);
        let (empty, emptied) = channel();
        let work = move || {
            let decoder = Decoder::with_window(format, taken.recv().ok()?, memory);
            Some(unpack(decoder, &filled, &emptied))
        };
        // A thread that cannot be had would take the input with it: so it is handed over afterwards.
        match Builder::new().spawn(work) {
            Ok(thread) => {
                let _ = hand_over.send(input);
                Unpacking::Apart(Worker {
                    full,
                    empty,
                    thread,
                })
            }
            Err(_) => Unpacking::here(format, input, memory),
        }
    }

    /// The input, standing behind the member, and what is known of that. What was not read of the
    /// member may be passed over or not.
    pub(super) fn finish(self) -> Result<(Input, Member), ReadError> {
        match self {
            Unpacking::Here(decoder) => Ok(decoder.finish()),
            Unpacking::Apart(Worker {
                full,
                empty,
                thread,
            }) => {
                // Whoever waits to hand over a piece, or for one, learns that nobody is there.
                drop((full, empty));
                let done = thread.join().ok().flatten();
                done.ok_or_else(|| io::Error::other("a thread was lost").into())
            }
        }
    }
}

impl Pieces for Unpacking {
    fn next(&mut self, piece: &mut Piece) -> Result<(), ReadError> {
        match self {
            // The decoder tells its fault again when what came before it has been seen.
            Unpacking::Here(decoder) => match fill(decoder, piece) {
                Err(_) if !piece.is_empty() => Ok(()),
                filled => Ok(filled?),
            },
            Unpacking::Apart(worker) => {
                // Without a thread at the other end the member is over.
                let Ok(filled) = worker.full.recv() else {
                    *piece = Piece::new();
                    return Ok(());
                };
                let emptied = std::mem::replace(piece, filled?);
                let _ = worker.empty.send(emptied);
                Ok(())
            }
        }
    }
}

fn fill(decoder: &mut Unpacker, piece: &mut Piece) -> Result<(), DecodeError> {
    let filled = piece.fill(|room| decoder.read(room));
    piece.read = decoder.source().offset();
    filled
}

/// Unpacks until the member ends, or nobody wants more.
fn unpack(
    mut decoder: Unpacker,
    filled: &SyncSender<Result<Piece, DecodeError>>,
    emptied: &Receiver<Piece>,
) -> (Input, Member) {
    loop {
        let mut piece = emptied.try_recv().unwrap_or_else(|_| Piece::new());
        let read = fill(&mut decoder, &mut piece);
        let is_last = read.is_err() || piece.is_empty();
        // What was unpacked before the fault is worth as much as if there were none.
        let lost = match read {
            Err(error) => {
                let before = piece.is_empty() || filled.send(Ok(piece)).is_ok();
                !before || filled.send(Err(error)).is_err()
            }
            Ok(()) => filled.send(Ok(piece)).is_err(),
        };
        if is_last || lost {
            return decoder.finish();
        }
    }
}
