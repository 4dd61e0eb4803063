//! Rules about what Xen's toolstack makes of a ramdisk before the guest sees it.
//!
//! Source: xen.git, `tools/libs/guest` (formerly `tools/libxc`), `xg_dom_core.c`: up to 4.19 a ramdisk that
//! begins as gzip is inflated, into as many bytes as its last four say, and 16 (`xc_dom_check_gzip`).

use std::fmt;

use crate::compress::Format;
use crate::compress::decode::GzipTrailer;
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Segment;
use crate::size::Size;
use crate::xen_version::XenVersion;

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &SEVERAL_MEMBERS,
    &BYTES_AFTER_MEMBER,
    &WRONG_ISIZE,
    &TOO_LARGE,
    &PYGRUB_LIMIT,
];

/// A gzip ramdisk has more than one member.
pub const SEVERAL_MEMBERS: Rule = Rule {
    name: "xen-several-members",
    severity: Severity::Error,
    meaning: "The ramdisk begins with a gzip member, and other segments follow it.",
    reason: "Xen's toolstack before 4.20 inflates the first member and hands over nothing else, without a word. Where \
             the last four bytes say less than that takes, it hands over the file as it is, since 4.11, or ends the \
             creation of the guest. It is a warning where the guest gets all, or no --xen says which Xen it is.",
    cure: "Put everything into one archive in one gzip member, or compress with xz, which is passed on untouched.",
};
/// Something stands behind the gzip member.
pub const BYTES_AFTER_MEMBER: Rule = Rule {
    name: "xen-bytes-after-member",
    severity: Severity::Warning,
    meaning: "The ramdisk is a gzip member with other bytes behind it.",
    reason: "Xen's toolstack before 4.20 takes the last four bytes for the inflated size. Before 4.11 a failure ends the \
             creation of the guest, and is an error; a size beyond the guest's memory does so up to 4.19.",
    cure: "End the file where the member ends.",
};
/// The trailer of the member does not agree with it.
pub const WRONG_ISIZE: Rule = Rule {
    name: "xen-wrong-isize",
    severity: Severity::Error,
    meaning: "The last four bytes of a gzip ramdisk are not the size of its content.",
    reason: "Xen's toolstack before 4.20 inflates into as many bytes as they say: into fewer it fails, and of \
             more it takes the memory. It is a warning where no --xen says which Xen it is.",
    cure: "Make the image again: it is damaged, or was put together by hand.",
};
/// The ramdisk is larger than a toolstack takes.
pub const TOO_LARGE: Rule = Rule {
    name: "xen-too-large",
    severity: Severity::Error,
    meaning: "The ramdisk is larger than 1 GiB, as it is or inflated.",
    reason: "Xen's toolstack since 4.3 takes no more (XSA-25); the inflated size counts where it inflates.",
    cure: "Leave modules and programs out that the guest does not need to reach its root.",
};
/// The ramdisk is larger than pygrub takes.
pub const PYGRUB_LIMIT: Rule = Rule {
    name: "xen-pygrub-limit",
    severity: Severity::Warning,
    meaning: "The ramdisk is larger than 128 MiB.",
    reason: "pygrub, where the guest is started by it, reads no more than that of a file.",
    cure: "Make it smaller, or name it in the guest's configuration itself.",
};

/// The first toolstack that hands every ramdisk over as it is.
const FIRST_RAW: XenVersion = XenVersion::new(4, 20);
/// The first that hands a ramdisk over as it is when inflating it fails.
const FIRST_FORGIVING: XenVersion = XenVersion::new(4, 11);
/// The room that inflating has beyond the size that is said, in bytes.
const SLACK: u64 = 16;
/// The largest ramdisk, in bytes.
const CAP: u64 = 1 << 30;
/// The largest file that pygrub reads, in bytes.
const PYGRUB_CAP: u64 = 128 << 20;

/// What they find.
pub fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    size(case, findings);
    let Some(first) = inflated(case) else { return };
    let fate = Fate::of(case, first);
    let segments = &case.picture.segments;
    if let Some(second) = segments.get(1) {
        let found = format!(
            "{} segments, the second, {}, at byte {}: with {} {fate}",
            segments.len(),
            second.start.format.map_or("plain", Format::name),
            second.start.offset,
            toolstack(case)
        );
        let expected = match case.guest.xen {
            Some(_) => "one gzip member".to_owned(),
            None => format!("one gzip member, or Xen {FIRST_RAW} or later, or none"),
        };
        let finding = Finding::new(&SEVERAL_MEMBERS, found, expected).in_segment(1);
        findings.push(finding.weighing(fate.severity_of_more(case)));
    } else if let Some(behind) = bytes_behind(case, first) {
        let found = format!(
            "{} behind the gzip member: with {} {fate}",
            Size(behind),
            toolstack(case)
        );
        let finding = Finding::new(&BYTES_AFTER_MEMBER, found, "none").in_segment(0);
        findings.push(finding.weighing(fate.severity(case)));
    }
    if segments.len() == 1 && bytes_behind(case, first).is_none() {
        let wrong = wrong_size(first).map(|finding| finding.in_segment(0));
        findings.extend(wrong.map(|finding| weighed(case, finding)));
    }
}

/// What a toolstack that inflates makes of a ramdisk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It inflates the first member, into so many bytes.
    Inflated(u64),
    /// It fails, for the first member has more than these bytes.
    Refused(u64),
    /// It hands the file over, for no ramdisk is of so many bytes.
    Passed(u64),
    /// That hangs on the end of the image, which was not read.
    Unknown,
}

impl Fate {
    fn of(case: &Case<'_>, first: &Segment) -> Fate {
        let Some(said) = case.picture.last.map(u64::from) else {
            return Fate::Unknown;
        };
        let content = trailer(first).map(|trailer| trailer.content_size);
        let unpacked = || first.end.as_ref().map(|end| end.unpacked);
        match content.or_else(unpacked) {
            _ if said > CAP => Fate::Passed(said),
            Some(content) if content > said + SLACK => Fate::Refused(said),
            _ => Fate::Inflated(said),
        }
    }

    /// How much it weighs that the guest may not be created.
    fn severity(self, case: &Case<'_>) -> Severity {
        let ends_creation = case.guest.xen.is_some_and(|xen| xen < FIRST_FORGIVING);
        match self {
            Fate::Refused(_) if ends_creation => Severity::Error,
            _ => Severity::Warning,
        }
    }

    /// How much it weighs where, besides, the guest may get the first member alone.
    fn severity_of_more(self, case: &Case<'_>) -> Severity {
        match (self, case.guest.xen) {
            (Fate::Inflated(_) | Fate::Unknown, Some(_)) => Severity::Error,
            _ => self.severity(case),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Inflated(said) => {
                let said = Size(*said);
                write!(f, "the first member is unpacked, alone, into {said}")
            }
            Fate::Refused(said) => {
                let said = Size(*said);
                write!(
                    f,
                    "the last four bytes say {said}, and the first member is larger"
                )
            }
            Fate::Passed(said) => {
                write!(
                    f,
                    "the last four bytes say {}, which is taken for no size",
                    Size(*said)
                )
            }
            Fate::Unknown => f.write_str("its end was not read"),
        }
    }
}

/// The first segment, where a toolstack that the guest may have inflates it.
fn inflated<'p>(case: &Case<'p>) -> Option<&'p Segment> {
    let first = case.picture.segments.first()?;
    let is_gzip = first.start.offset == 0 && first.start.format == Some(Format::Gzip);
    let inflates = case.guest.xen.is_none_or(|xen| xen < FIRST_RAW);
    (is_gzip && inflates).then_some(first)
}

/// Whose toolstack inflates.
fn toolstack(case: &Case<'_>) -> String {
    match case.guest.xen {
        Some(xen) => format!("Xen {xen}"),
        None => format!("Xen before {FIRST_RAW}"),
    }
}

/// An error where the toolstack is known, and a warning where it may be another.
fn weighed(case: &Case<'_>, finding: Finding) -> Finding {
    match case.guest.xen {
        Some(_) => finding,
        None => finding.weighing(Severity::Warning),
    }
}

fn bytes_behind(case: &Case<'_>, first: &Segment) -> Option<u64> {
    let end = first.start.offset + first.end.as_ref()?.size;
    (case.picture.size > end).then(|| case.picture.size - end)
}

fn trailer(segment: &Segment) -> Option<GzipTrailer> {
    segment.end.as_ref()?.member.as_ref()?.gzip_trailer()
}

fn wrong_size(segment: &Segment) -> Option<Finding> {
    let trailer = trailer(segment)?;
    let (said, content) = (trailer.size, trailer.content_size as u32);
    let finding = || {
        Finding::new(
            &WRONG_ISIZE,
            format!("{said}"),
            format!("{content}, modulo 2^32"),
        )
    };
    (said != content).then(finding)
}

fn size(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let raw = case.picture.size;
    let unpacked = inflated(case).and_then(|first| Some(first.end.as_ref()?.unpacked));
    if let Some(size) = [Some(raw), unpacked]
        .into_iter()
        .flatten()
        .find(|&size| size > CAP)
    {
        let expected = format!("{} at most", Size(CAP));
        let finding = Finding::new(&TOO_LARGE, Size(size).to_string(), expected);
        return findings.push(weighed(case, finding));
    }
    if raw > PYGRUB_CAP {
        let expected = format!("{} at most", Size(PYGRUB_CAP));
        findings.push(Finding::new(&PYGRUB_LIMIT, Size(raw).to_string(), expected));
    }
}
