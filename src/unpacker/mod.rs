//! What a kernel makes of an image: models of its unpacker, from 2.6.9 to today's.
//!
//! In: the segments of an image as they are unpacked, in pieces of any size. Out: the tree that
//! stands in the kernel's rootfs in the end, what the kernel did on the way without a word, and what
//! it stopped at. Specification: the kernel's `buffer-format` document and what `init/initramfs.c`
//! does; what differs between kernels is [`Behaviour`], a table by version. This is a reading of the
//! format of its own, which shares nothing with the writer nor with the reader of archives.
//!
//! Memory is that of the names and targets in the image, some hundreds of bytes an entry, and no
//! content. Time is that of the bytes, data passed over in one step; a checksum or digest takes its own.

mod behaviour;
mod event;
mod header;
mod lookup;
mod machine;
mod tree;
mod unpacking;

use std::fmt::Display;

use crate::compress::Format;
use crate::kernel_version::KernelVersion;

pub use behaviour::{Behaviour, Words};
pub use event::{Event, Failure, Fault, Kind, Obstacle, Place, Skip, What};
pub use tree::{Object, ObjectId, Tree};

use machine::{Machine, Source};
use unpacking::{Check, Unpacking};

/// The oldest of the models that have a name: the kernel of RHEL 5.
pub const OLD: KernelVersion = KernelVersion::new(2, 6, 18);
/// The newest: it stands for every kernel from 6.13 on.
pub const TODAY: KernelVersion = KernelVersion::new(6, 13, 0);

/// The unpacker of one kernel, and one image to unpack.
pub struct Unpacker {
    behaviour: Behaviour,
    machine: Machine,
    unpacking: Unpacking,
    /// The check that old kernels make first, here side by side with the unpacking.
    check: Option<(Machine, Check)>,
    format: Option<Format>,
    segments: usize,
    failed: Option<Failure>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What stands in the rootfs, whatever failed: all that came before.
    pub tree: Tree,
    /// What happened without a word, in the order of the image.
    pub events: Vec<Event>,
    /// What the unpacking stopped at. A kernel that checks first has then unpacked nothing, but where
    /// only the unpacking itself failed.
    pub failed: Option<Failure>,
}

impl Unpacker {
    /// The unpacker of the kernel `version`; with `digests`, files have the SHA-256 of their
    /// content.
    #[must_use]
    pub fn new(version: KernelVersion, digests: bool) -> Self {
        let behaviour = Behaviour::of(version);
        let check = || (Machine::new(behaviour), Check::default());
        Unpacker {
            behaviour,
            machine: Machine::new(behaviour),
            unpacking: Unpacking::new(behaviour, digests),
            check: behaviour.checks_first.then(check),
            format: None,
            segments: 0,
            failed: None,
        }
    }

    /// A segment begins at `offset` of the image: a plain one, or one compressed in `format`.
    pub fn segment(&mut self, format: Option<Format>, offset: u64) {
        if self.failed.is_some() {
            return;
        }
        self.cut_short();
        let segment = self.segments;
        self.segments += 1;
        self.format = format;
        self.unpacking.place = Place {
            segment,
            ..Place::default()
        };
        let source = match format {
            Some(format) => Source::Member {
                window: Behaviour::window(format),
            },
            None => Source::Image,
        };
        let mut begun = self.machine.go_on(source, offset);
        if let Some((machine, check)) = &mut self.check {
            check.place = self.unpacking.place.clone();
            begun = begun.and(machine.go_on(source, offset));
        }
        match (begun, format) {
            (Err(fault), _) => self.fail_here(fault),
            (Ok(()), Some(format)) if !self.behaviour.decompresses(format) => {
                self.fail_here(Fault::Unreadable(format));
            }
            _ => {}
        }
    }

    /// The next bytes of the segment, as unpacked.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if let Some((machine, check)) = &mut self.check
            && let Err(fault) = machine.feed(bytes, check)
        {
            let place = placed(&fault, &check.place, machine);
            return self.fail(place, fault);
        }
        if let Err(fault) = self.machine.feed(bytes, &mut self.unpacking) {
            let place = placed(&fault, &self.unpacking.place, &self.machine);
            self.fail(place, fault);
        }
    }

    /// The segment is over; a compressed one with what its decoder says, where that failed.
    pub fn segment_end(&mut self, fault: Option<&dyn Display>) {
        let Some(format) = self.format.take().filter(|_| self.failed.is_none()) else {
            return;
        };
        if let Some(reason) = fault {
            let reason = reason.to_string();
            self.fail_here(Fault::Corrupt { format, reason });
        } else if !self
            .check
            .as_ref()
            .is_none_or(|(machine, _)| machine.rests())
        {
            self.fail_here(Fault::EndsWithin);
        } else if !self.machine.rests() {
            self.fail_here(Fault::EndsWithin);
            self.say_nothing();
        }
    }

    /// The segment that is over is of a kind that this kernel's decompressor refuses, for this reason. All but
    /// lzo's do so at its header: nothing of it was unpacked, and nothing happened. That of lzo refuses a block,
    /// and what came of the blocks before it stands (`lib/decompress_unlzo.c`): which one that is is not known
    /// here, and all that the segment did is told. The tree keeps what was fed.
    pub fn refuse(&mut self, reason: String) {
        let segment = self.segments.saturating_sub(1);
        let is_over = self.failed.as_ref();
        let is_over = is_over.is_some_and(|failure| failure.place.segment < segment);
        let Some(format) = self.format.take().filter(|_| !is_over) else {
            return;
        };
        let is_before = |event: &Event| format == Format::Lzo || event.place.segment < segment;
        self.unpacking.events.retain(is_before);
        if let Some((_, check)) = &mut self.check {
            check.events.retain(is_before);
        }
        let place = Place {
            segment,
            ..Place::default()
        };
        self.fail(place, Fault::Corrupt { format, reason });
    }

    /// At `offset` of the image begins something that is neither an archive nor compressed.
    pub fn junk(&mut self, offset: u64) {
        self.segment(None, offset);
        if self.failed.is_none() {
            self.fail_here(Fault::NoArchive);
        }
    }

    /// Whether the kernel reads on.
    #[must_use]
    pub fn reads_on(&self) -> bool {
        self.failed.is_none()
    }

    /// The image is over.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.cut_short();
        self.unpacking.finish();
        let Unpacking {
            mut tree,
            mut events,
            ..
        } = self.unpacking;
        if let Some((_, check)) = self.check {
            if self
                .failed
                .as_ref()
                .is_some_and(|failure| !failure.message.is_empty())
            {
                tree = Tree::new(self.behaviour.without_calls);
                events.clear();
            }
            events.splice(0..0, check.events);
        }
        Outcome {
            tree,
            events,
            failed: self.failed,
        }
    }

    /// Tells of an entry that has begun and not ended, when the image or its segment has.
    fn cut_short(&mut self) {
        let missing = self.machine.missing();
        if missing > 0 && self.failed.is_none() {
            let place = self.unpacking.place.clone();
            let what = What::CutShort { missing };
            self.unpacking.events.push(Event { place, what });
        }
    }

    fn fail_here(&mut self, fault: Fault) {
        let place = placed(&fault, &self.unpacking.place, &self.machine);
        self.fail(place, fault);
    }

    /// What an old kernel has found well it unpacks without asking whether that went well.
    fn say_nothing(&mut self) {
        if self.check.is_some() {
            self.failed
                .iter_mut()
                .for_each(|failure| failure.message = "");
        }
    }

    fn fail(&mut self, place: Place, fault: Fault) {
        let message = fault.message(self.behaviour.words);
        self.failed = Some(Failure {
            place,
            fault,
            message,
        });
    }
}

/// Where a fault is: in the entry that is read, or at the byte that is next.
fn placed(fault: &Fault, entry: &Place, machine: &Machine) -> Place {
    match fault {
        Fault::NoMagic(_) | Fault::NoFinalNul | Fault::Checksum { .. } => entry.clone(),
        Fault::EndsWithin | Fault::Corrupt { .. } if machine.missing() > 0 => entry.clone(),
        _ => Place {
            segment: entry.segment,
            offset: machine.position(),
            name: Vec::new(),
        },
    }
}
