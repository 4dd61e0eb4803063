//! An xz stream of several blocks, unpacked on two threads: each block is packed by itself, and the index at
//! the stream's end says where each lies (the .xz file format 1.2.1, sections 3 and 4). `xz -T`, and with it
//! `dpkg-deb`, make such streams.
//!
//! In: bytes that can be had from any offset on. Out: the content in order, as a reader. Memory is that of two
//! decoders and of [`PIECES`] pieces, which go round between them and the reader.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::decode::{DecodeError, Decoder};
use super::format::Format;
use super::source::Source;
use crate::parallel;

/// Gives bytes from an offset on.
pub type From<'f> = dyn Fn(u64) -> io::Result<Box<dyn Read + Send>> + Sync + 'f;

/// The bytes of a stream's header, and of its footer (2.1.1, 2.1.2).
const HEADER: u64 = 12;
/// The largest index that is read, in bytes: of 24 MiB blocks it would be that of some terabytes.
const INDEX_LIMIT: u64 = 1 << 20;
/// The most blocks that are told apart.
const BLOCK_LIMIT: usize = 1 << 14;
/// What is unpacked at once, in bytes.
const PIECE: usize = 256 << 10;
/// How many pieces there are: half of a block as `xz -6` makes them, of the one that is unpacked beside the one that
/// is read, for while the other half is read there is time for the rest.
const PIECES: usize = 48 + RESERVED;
/// How many of them are for the block that is read alone.
const RESERVED: usize = 4;
/// How many threads unpack: more would take more memory than a small host has.
const THREADS: usize = 2;

/// A stream of several blocks.
pub struct XzBlocks {
    header: [u8; HEADER as usize],
    blocks: Vec<Block>,
}

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    /// The offset of its first byte.
    offset: u64,
    /// Its bytes, check included.
    unpadded: u64,
    /// Its bytes, unpacked.
    content: u64,
}

impl Block {
    /// Its bytes, padding included.
    const fn packed(&self) -> u64 {
        self.unpadded.next_multiple_of(4)
    }

    /// The index and the footer of a stream with this `header` that has no other block.
    fn end_of_stream(&self, header: &[u8; HEADER as usize]) -> Vec<u8> {
        let mut index = vec![0, 1];
        put_number(&mut index, self.unpadded);
        put_number(&mut index, self.content);
        index.resize(index.len().next_multiple_of(4), 0);
        index.extend(crc32fast::hash(&index).to_le_bytes());
        let mut footer = Vec::from((index.len() as u32 / 4 - 1).to_le_bytes());
        footer.extend(header.iter().skip(6).take(2));
        index.extend(crc32fast::hash(&footer).to_le_bytes());
        index.extend(footer);
        index.extend(b"YZ");
        index
    }
}

impl XzBlocks {
    /// The one stream that the `size` bytes at `start` are, where it has several blocks. What is anything else,
    /// or damaged, is for a decoder that begins at the beginning.
    #[must_use]
    pub fn find(from: &From<'_>, start: u64, size: u64) -> Option<XzBlocks> {
        let header: [u8; 12] = *bytes(from, start, HEADER)?.first_chunk()?;
        let footer = bytes(from, start.checked_add(size.checked_sub(HEADER)?)?, HEADER)?;
        let [_, _, _, _, backward @ .., _, _, b'Y', b'Z'] = *footer.first_chunk::<12>()? else {
            return None;
        };
        // The footer has the header's flags once more (2.1.2.3).
        let is_one = header.starts_with(b"\xfd7zXZ\0") && header.get(6..8) == footer.get(8..10);
        let length = (u64::from(u32::from_le_bytes(backward)) + 1) * 4;
        if !is_one || length > INDEX_LIMIT {
            return None;
        }
        let at = size.checked_sub(HEADER + length)?;
        let blocks = blocks(&bytes(from, start + at, length)?, start + HEADER)?;
        let end = blocks.last().map(|last| last.offset + last.packed())?;
        (blocks.len() > 1 && end == start + at).then_some(XzBlocks { header, blocks })
    }

    /// The bytes of the content, as the index says; what is unpacked is never more.
    #[must_use]
    pub fn content(&self) -> u64 {
        let sizes = self.blocks.iter().map(|block| block.content);
        sizes.fold(0, u64::saturating_add)
    }

    /// Has `read` read the content while it is unpacked; `window` bounds what a block's dictionary may take.
    /// Where the system gives no threads, there is no reader.
    pub fn read<T>(
        &self,
        from: &From<'_>,
        window: u64,
        read: impl FnOnce(Option<&mut dyn Read>) -> T,
    ) -> T {
        let (senders, receivers): (Vec<_>, VecDeque<_>) =
            self.blocks.iter().map(|_| channel()).unzip();
        // Made before the threads are: small things among their dictionaries would keep the next from fitting in where
        // the last were.
        let ends = self
            .blocks
            .iter()
            .map(|block| block.end_of_stream(&self.header));
        let ends: Vec<_> = ends.collect();
        let jobs = self.blocks.iter().zip(&ends).zip(senders).enumerate();
        let jobs = Mutex::new(jobs);
        let pool = Pool::new();
        let next = || lock(&jobs).next();
        let serve = || {
            while let Some((number, (block, sender))) = next() {
                self.unpack(block, from, window, || pool.lend(number), &sender);
            }
        };
        std::thread::scope(|scope| {
            // Given up by the reader, what is still to be unpacked has nowhere to go, and its thread ends.
            let mut content = Content {
                blocks: receivers,
                piece: Vec::new(),
                at: 0,
                pool: &pool,
            };
            match parallel::start(scope, THREADS, serve) {
                0 => read(None),
                _ => read(Some(&mut content)),
            }
        })
    }

    /// Sends a block's content piece by piece, as long as it is wanted and there are pieces to be had of `lend`.
    fn unpack(
        &self,
        (block, end): (&Block, &Vec<u8>),
        from: &From<'_>,
        window: u64,
        lend: impl Fn() -> Option<Vec<u8>>,
        sender: &Sender<Piece>,
    ) {
        let packed = match from(block.offset) {
            Ok(packed) => packed.take(block.packed()),
            Err(error) => {
                let _ = sender.send(Err(error.into()));
                return;
            }
        };
        // A stream of this block alone, so that its decoder holds the block against the index.
        let stream = self.header.as_slice().chain(packed).chain(end.as_slice());
        let mut decoder = Decoder::with_window(Format::Xz, Source::new(stream), window);
        let mut left = block.content;
        while let Some(piece) = lend() {
            let piece = next_piece(&mut decoder, piece, &mut left);
            let is_last = !matches!(&piece, Ok(piece) if !piece.is_empty());
            if sender.send(piece).is_err() || is_last {
                return;
            }
        }
    }
}

/// Pieces that nobody has.
struct Pool {
    state: Mutex<Lent>,
    moved: Condvar,
}

struct Lent {
    free: Vec<Vec<u8>>,
    /// How many are away.
    away: usize,
    /// The number of the block that is read.
    front: usize,
    is_closed: bool,
}

impl Pool {
    /// All pieces. None is touched before it is used; but had threads room made for them between that for their
    /// dictionaries, the next dictionaries would not fit in where the last ones were.
    fn new() -> Pool {
        let piece = |_| Vec::with_capacity(PIECE);
        let lent = Lent {
            free: (0..PIECES).map(piece).collect(),
            away: 0,
            front: 0,
            is_closed: false,
        };
        Pool {
            state: Mutex::new(lent),
            moved: Condvar::new(),
        }
    }

    /// A piece for the content of the block of that number, when there is one; nothing where none is wanted any
    /// more. Of what the reader waits for some are always there, for it gives each back before it wants the next.
    fn lend(&self, number: usize) -> Option<Vec<u8>> {
        let has_to_wait = |lent: &mut Lent| {
            let bound = match number == lent.front {
                true => PIECES,
                false => PIECES - RESERVED,
            };
            !lent.is_closed && lent.away >= bound
        };
        let lent = self.moved.wait_while(lock(&self.state), has_to_wait);
        let mut lent = lent.unwrap_or_else(PoisonError::into_inner);
        lent.away += 1;
        (!lent.is_closed).then(|| lent.free.pop().unwrap_or_default())
    }

    fn give_back(&self, piece: Vec<u8>) {
        let mut lent = lock(&self.state);
        lent.away = lent.away.saturating_sub(1);
        lent.free.push(piece);
        self.moved.notify_all();
    }

    /// The reader goes on to the next block.
    fn go_on(&self) {
        lock(&self.state).front += 1;
        self.moved.notify_all();
    }

    fn close(&self) {
        lock(&self.state).is_closed = true;
        self.moved.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next content of a block, of which `left` bytes are to come, in `piece`; nothing at its end.
fn next_piece<R: Read>(decoder: &mut Decoder<R>, mut piece: Vec<u8>, left: &mut u64) -> Piece {
    piece.resize(PIECE, 0);
    let count = decoder.read(&mut piece)?;
    piece.truncate(count);
    let other_size = DecodeError::Corrupt {
        reason: "a block has another size than the index says".to_owned(),
    };
    *left = left.checked_sub(count as u64).ok_or(other_size)?;
    Ok(piece)
}

/// Content that came from a thread; an empty piece ends its block.
type Piece = Result<Vec<u8>, DecodeError>;

/// The content of all blocks in order.
struct Content<'p> {
    blocks: VecDeque<Receiver<Piece>>,
    /// What came last, given back when it is read.
    piece: Vec<u8>,
    at: usize,
    pool: &'p Pool,
}

impl Content<'_> {
    /// Takes the next piece, which may be empty; `false` where there is no more.
    fn refill(&mut self) -> io::Result<bool> {
        let Some(block) = self.blocks.front() else {
            return Ok(false);
        };
        let old = std::mem::take(&mut self.piece);
        if old.capacity() > 0 {
            self.pool.give_back(old);
        }
        self.at = 0;
        let lost = |_| io::Error::other("a thread that unpacks ended early");
        self.piece = block.recv().map_err(lost)?.map_err(io::Error::other)?;
        if self.piece.is_empty() {
            self.blocks.pop_front();
            self.pool.go_on();
        }
        Ok(true)
    }
}

impl Read for Content<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && self.refill()? {}
        let count = self.piece.get(self.at..).unwrap_or_default().read(out)?;
        self.at += count;
        Ok(count)
    }
}

impl Drop for Content<'_> {
    fn drop(&mut self) {
        self.pool.close();
    }
}

fn bytes(from: &From<'_>, offset: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    from(offset)
        .ok()?
        .take(length)
        .read_to_end(&mut bytes)
        .ok()?;
    (bytes.len() as u64 == length).then_some(bytes)
}

/// The blocks that `index` tells of, the first of which lies at `offset` (section 4).
fn blocks(index: &[u8], mut offset: u64) -> Option<Vec<Block>> {
    let (index, check) = index.split_last_chunk()?;
    if crc32fast::hash(index) != u32::from_le_bytes(*check) {
        return None;
    }
    let mut fields = index.strip_prefix(&[0])?;
    let count = number(&mut fields)?;
    if count > BLOCK_LIMIT as u64 {
        return None;
    }
    let mut blocks = Vec::new();
    for _ in 0..count {
        let unpadded = number(&mut fields)?;
        let content = number(&mut fields)?;
        blocks.push(Block {
            offset,
            unpadded,
            content,
        });
        offset = offset.checked_add(unpadded.checked_next_multiple_of(4)?)?;
    }
    let is_padding = fields.len() < 4 && fields.iter().all(|&byte| byte == 0);
    is_padding.then_some(blocks)
}

/// Puts a number as [`number`] takes it.
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number of variable length: seven bits a byte, the lowest first (1.2).
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
