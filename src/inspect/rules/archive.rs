//! Rules about the image as a file: its segments, and the newc format they hold.

use crate::archive::{Flaw, FlawKind, LimitMet};
use crate::compress::decode::DecodeError;
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Picture;
use crate::problem::Explain;

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &NOT_AN_IMAGE,
    &LIMIT_MET,
    &DAMAGED_COMPRESSION,
    &TRAILING_BYTES,
    &BAD_HEADER,
    &HEADER_MISALIGNED,
    &ENTRY_CUT,
    &NO_TRAILER,
    &BAD_NAME_END,
    &NAME_TOO_LONG,
    &CHECKSUM_MISMATCH,
];

/// Those of them that tell why a kernel stops: where one is found, it is not told besides that it does.
pub const STOPPERS: &[&Rule] = &[
    &NOT_AN_IMAGE,
    &DAMAGED_COMPRESSION,
    &TRAILING_BYTES,
    &BAD_HEADER,
    &ENTRY_CUT,
];

/// There is no segment.
pub const NOT_AN_IMAGE: Rule = Rule {
    name: "not-an-image",
    severity: Severity::Error,
    meaning: "The file holds no archive in the newc format, plain or compressed.",
    reason: "The kernel takes an initramfs for a sequence of such archives, and anything else for the image of a \
             disk, which it cannot mount without a driver in the kernel itself (init/initramfs.c).",
    cure: "Check the path, and make the image again; where it can be told what the file is, the finding says more.",
};
/// Reading ended at a bound.
pub const LIMIT_MET: Rule = Rule {
    name: "limit-met",
    severity: Severity::Error,
    meaning: "The image holds more than this program was told to follow, so that nothing is known of the rest.",
    reason: "An image of a few bytes can unpack to more than any guest's memory.",
    cure: "If the image is to be trusted, raise the bound by the option that is named.",
};
/// A compressed segment cannot be decoded to its end.
pub const DAMAGED_COMPRESSION: Rule = Rule {
    name: "damaged-compression",
    severity: Severity::Error,
    meaning: "A compressed segment is damaged or cut short, or its checksum or length is not that of its content.",
    reason: "The kernel unpacks what stands before the damage and goes on with that, most often without a \
             root file system (\"Initramfs unpacking failed\"); Xen's toolstack may refuse to make the guest. Of gzip, \
             kernels before 2.6.30 compare checksum and length (\"crc error\", \"length error\" in lib/inflate.c); later \
             ones look at neither, and unpack the damaged content as if it were sound.",
    cure: "Copy the image again, or make it again.",
};
/// Something stands behind the last segment, or between two.
pub const TRAILING_BYTES: Rule = Rule {
    name: "trailing-bytes",
    severity: Severity::Error,
    meaning: "Bytes that are neither zeros nor a segment stand behind an archive.",
    reason: "The kernel reads nothing behind them (\"invalid magic at start of compressed archive\"), and Xen's \
             toolstack before 4.20 takes the last four for the unpacked size of a gzip ramdisk.",
    cure: "Make the image again; put nothing behind it.",
};
/// No header stands where one must.
pub const BAD_HEADER: Rule = Rule {
    name: "bad-header",
    severity: Severity::Error,
    meaning: "What stands where an entry must begin is no header of the newc format.",
    reason: "The kernel stops there (\"no cpio magic\"): the entries behind are not unpacked.",
    cure: "Make the image with a tool that writes the newc format (cpio -H newc).",
};
/// A header stands where the kernel does not look for one.
pub const HEADER_MISALIGNED: Rule = Rule {
    name: "header-misaligned",
    severity: Severity::Error,
    meaning: "An archive begins at a place that is no multiple of four bytes.",
    reason: "The kernel counts padding from there, and does not take a plain archive for one (init/initramfs.c).",
    cure: "Put zeros before it, up to a multiple of four.",
};
/// A segment ends within an entry.
pub const ENTRY_CUT: Rule = Rule {
    name: "entry-cut",
    severity: Severity::Error,
    meaning: "The segment ends before the entry does.",
    reason: "The kernel writes what there is of the file, and stops (\"junk at the end of compressed archive\").",
    cure: "Copy the image again, or make it again; one compressed member must hold a whole archive.",
};
/// An archive ends without a trailer.
pub const NO_TRAILER: Rule = Rule {
    name: "no-trailer",
    severity: Severity::Error,
    meaning: "An archive does not end with the entry TRAILER!!!.",
    reason: "The kernel takes a compressed one for cut short, and a header is expected where zeros or another \
             archive begin; links between files are then looked for across archives (buffer-format). It is a warning \
             of a plain archive at the end, of which the kernel misses nothing.",
    cure: "Make the image with a tool that ends its archives.",
};
/// A name does not end where its size says.
pub const BAD_NAME_END: Rule = Rule {
    name: "bad-name-end",
    severity: Severity::Error,
    meaning: "A name has no NUL at its end, or something else behind one.",
    reason: "Kernels since 6.13, and updates of older ones from 5.4 on, stop at a name without a final NUL, the others \
             read on behind it; what stands behind an earlier NUL is not seen by any of them.",
    cure: "Make the image with a tool that writes the newc format (cpio -H newc).",
};
/// A name is longer than a path may be.
pub const NAME_TOO_LONG: Rule = Rule {
    name: "name-too-long",
    severity: Severity::Error,
    meaning: "A name is longer than the kernel takes: 4096 bytes with its NUL, 255 for a component.",
    reason: "The entry is passed over without a word (init/initramfs.c, PATH_MAX and NAME_MAX).",
    cure: "Shorten the path, or leave the file out.",
};
/// A checksum does not agree.
pub const CHECKSUM_MISMATCH: Rule = Rule {
    name: "checksum-mismatch",
    severity: Severity::Error,
    meaning: "The sum of an entry's data is not what its header says.",
    reason: "The data was changed after the archive was made; kernels since 5.19 stop there (\"bad data checksum\").",
    cure: "Copy the image again, or make it again.",
};

/// What they find.
pub fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let flaws = case.picture.flaws.iter();
    findings.extend(flaws.map(|flaw| of_flaw(flaw, case.picture)));
    findings.extend(case.picture.limit.map(of_limit));
}

fn of_flaw(flaw: &Flaw, picture: &Picture) -> Finding {
    let is_image = !picture.segments.is_empty();
    // Where not one entry is, what stands there is most likely what the whole file is.
    let is_foreign = picture.items.is_empty() && flaw.kind.foreign().is_some();
    let rule = match is_foreign {
        true => &NOT_AN_IMAGE,
        false => rule(&flaw.kind),
    };
    let finding = Finding {
        segment: is_image.then_some(flaw.segment),
        entry: flaw.entry.clone(),
        ..Finding::new(rule, flaw.kind.found(), flaw.kind.expected())
    };
    let finding = match needs_no_trailer(flaw, picture) {
        true => finding.weighing(Severity::Warning),
        false => finding,
    };
    match flaw.kind.cure() {
        Some(cure) => finding.cured_by(cure),
        None => finding,
    }
}

/// Whether the kernel reads to the end what lacks its trailer: a plain archive that nothing stands behind.
fn needs_no_trailer(flaw: &Flaw, picture: &Picture) -> bool {
    let last = picture.segments.len().checked_sub(1);
    let segment = picture.segments.get(flaw.segment);
    let is_plain = segment.is_some_and(|segment| segment.start.format.is_none());
    matches!(flaw.kind, FlawKind::NoTrailer) && is_plain && last == Some(flaw.segment)
}

/// The longest name that the kernel takes, in bytes, its NUL included (`PATH_MAX`).
const KERNEL_NAME: u32 = 4096;

fn rule(kind: &FlawKind) -> &'static Rule {
    match kind {
        FlawKind::NoImage { .. } | FlawKind::Empty | FlawKind::Zeros { .. } => &NOT_AN_IMAGE,
        FlawKind::Junk { .. } => &TRAILING_BYTES,
        FlawKind::NoHeader { .. } | FlawKind::BadField { .. } | FlawKind::EmptyName => &BAD_HEADER,
        FlawKind::Misaligned => &HEADER_MISALIGNED,
        // It is the user's bound, and not the kernel's, that is met.
        FlawKind::LongName { size } if *size <= KERNEL_NAME => &LIMIT_MET,
        FlawKind::Damaged(DecodeError::NeedsMemory { .. }) => &LIMIT_MET,
        FlawKind::LongName { .. } => &NAME_TOO_LONG,
        FlawKind::BadNameEnd => &BAD_NAME_END,
        FlawKind::Cut => &ENTRY_CUT,
        FlawKind::NoTrailer => &NO_TRAILER,
        FlawKind::Checksum { .. } => &CHECKSUM_MISMATCH,
        FlawKind::Damaged(_) | FlawKind::WrongSum(_) => &DAMAGED_COMPRESSION,
    }
}

fn of_limit(limit: LimitMet) -> Finding {
    let expected = format!("no more than that; {} raises the bound", limit.option());
    Finding::new(&LIMIT_MET, limit.to_string(), expected)
}
