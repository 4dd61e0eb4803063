//! What the guest's kernel makes of an image: the models of its unpacker, shown the bytes as they pass.

use std::fmt::Display;

use super::compression::{Unread, sum_error, unread};
use super::picture::Picture;
use crate::archive::{SegmentStart, Tap};
use crate::compress::decode::{DecodeError, Member};
use crate::kernel_version::KernelVersion;
use crate::unpacker::{Behaviour, Event, Failure, Outcome, Unpacker, What};

/// What the kernel makes of an image.
#[derive(Debug)]
pub struct Unpacked {
    /// The kernel.
    pub kernel: KernelVersion,
    /// Whether nobody said which it is, and no module does.
    pub is_assumed: bool,
    /// What it does without a word that the image's maker may not have meant.
    pub events: Vec<Event>,
    /// What it stops at.
    pub failed: Option<Failure>,
}

impl Unpacked {
    /// Has it told of `kernel`, that of the image's modules, whose unpacker does the same; otherwise the
    /// kernel that is to be shown the image once more, for its own account.
    pub(super) fn told_of(
        &mut self,
        kernel: KernelVersion,
        picture: &Picture,
    ) -> Option<KernelVersion> {
        let reads_alike = |member: &Member| {
            let read_by = |kernel| unread(&member.facts, Some(kernel)).is_none();
            read_by(kernel) == read_by(self.kernel)
        };
        let ends = picture.segments.iter().flat_map(|segment| &segment.end);
        let mut members = ends.filter_map(|end| end.member.as_ref());
        let is_like = Behaviour::of(kernel).is_like(&Behaviour::of(self.kernel));
        if !is_like || !members.all(reads_alike) {
            return Some(kernel);
        }
        self.kernel = kernel;
        None
    }
}

/// The kernel at work.
pub(super) struct Kernel {
    version: KernelVersion,
    unpacker: Unpacker,
}

impl Kernel {
    pub(super) fn new(version: KernelVersion) -> Kernel {
        Kernel {
            version,
            unpacker: Unpacker::new(version, false),
        }
    }

    /// What it made of the image; an entry that it skips by the header alone, before it reads the name,
    /// has the name that `picture` has of it.
    pub(super) fn finish(self, picture: &Picture) -> Unpacked {
        let Outcome {
            mut events, failed, ..
        } = self.unpacker.finish();
        // Hard links are what their maker meant.
        events.retain(|event| !matches!(event.what, What::LinkedTo { .. }));
        for Event { place, .. } in &mut events {
            let item = picture.item_at(place.segment, place.offset);
            if let Some(item) = item.filter(|_| place.name.is_empty()) {
                place.name.clone_from(&item.entry.name);
            }
        }
        Unpacked {
            kernel: self.version,
            is_assumed: false,
            events,
            failed,
        }
    }
}

impl Tap for Kernel {
    fn segment(&mut self, start: &SegmentStart) {
        self.unpacker.segment(start.format, start.offset);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.unpacker.feed(bytes);
    }

    fn segment_end(&mut self, member: Option<&Member>, damage: Option<&DecodeError>) {
        let unread = member.and_then(|member| unread(&member.facts, Some(self.version)));
        if let Some(Unread { found, .. }) = unread {
            return self.unpacker.refuse(found);
        }
        // What ends at this program's own bound the kernel may well read.
        if let Some(DecodeError::NeedsMemory { .. }) = damage {
            return;
        }
        let trailer = member.and_then(Member::gzip_trailer);
        let sum = trailer.and_then(|trailer| sum_error(trailer, self.version));
        let damage = damage.map(|damage| damage as &dyn Display);
        let sum = sum.as_ref().map(|words| words as &dyn Display);
        self.unpacker.segment_end(damage.or(sum));
    }

    fn junk(&mut self, offset: u64) {
        self.unpacker.junk(offset);
    }
}

/// Whether the kernel leaves out of its file system what the entry says.
#[must_use]
pub fn is_loss(what: &What) -> bool {
    match what {
        What::Skipped(_)
        | What::Refused(_)
        | What::NotLinked { .. }
        | What::LosesMember
        | What::CutShort { .. } => true,
        What::Overrode { .. }
        | What::Kept { .. }
        | What::LinkedTo { .. }
        | What::NameCut { .. }
        | What::NoFinalNul
        | What::Overrun { .. } => false,
    }
}
