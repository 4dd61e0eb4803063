//! Rules about what the guest's kernel can read, and what it makes of the image.

use std::collections::HashSet;

use super::files;
use crate::archive::Header;
use crate::image_path::ImagePath;
use crate::inspect::Case;
use crate::inspect::compression::{Unread, unread, unset_option};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::{Item, Segment};
use crate::inspect::unpacking::is_loss;
use crate::kernel_version::KernelVersion;
use crate::unpacker::What;

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &COMPRESSION_UNREADABLE,
    &COMPRESSION_OPTION_UNREADABLE,
    &CHECKSUM_FORMAT,
    &KERNEL_STOPS,
    &KERNEL_DROPS_ENTRY,
    &KERNEL_LOSES_MEMBER,
    &MICROCODE_NOT_FIRST,
];

/// The kernel is older than its support for a compression.
pub const COMPRESSION_UNREADABLE: Rule = Rule {
    name: "compression-unreadable",
    severity: Severity::Error,
    meaning: "The guest's kernel is older than its support for the compression of a segment, or was built without.",
    reason: "It takes the segment for no initramfs. Kernels read gzip always, bzip2 and lzma since 2.6.30, lzo since \
             2.6.33, xz since 2.6.38, lz4 since 3.11, zstd since 5.9 (lib/decompress.c). Where --root and --kernel name \
             the guest's root, its boot/config-RELEASE tells what was left out (CONFIG_RD_..., CONFIG_XZ_DEC_...).",
    cure: "Compress the image with gzip.",
};
/// The compression was used with an option that the kernel does not know.
pub const COMPRESSION_OPTION_UNREADABLE: Rule = Rule {
    name: "compression-option-unreadable",
    severity: Severity::Error,
    meaning: "A segment is compressed with an option that no kernel, or not the guest's, knows.",
    reason: "The kernel's decompressors are small: xz with CRC32 or no check and few filters, zstd with a window up to \
             128 MiB, gzip without a header checksum (lib/decompress_*.c).",
    cure: "Compress it again: xz --check=crc32, zstd without --ultra --long, gzip -n.",
};
/// Entries have checksums, and the kernel does not read such.
pub const CHECKSUM_FORMAT: Rule = Rule {
    name: "checksum-format",
    severity: Severity::Error,
    meaning: "Entries are in the format with checksums, 070702, which the guest's kernel does not read.",
    reason: "Kernels before 5.19 stop at the first such entry (\"no cpio magic\"), whatever their document says.",
    cure: "Make the archive with cpio -H newc.",
};
/// The kernel's unpacker ends before the image does.
pub const KERNEL_STOPS: Rule = Rule {
    name: "kernel-stops-unpacking",
    severity: Severity::Error,
    meaning: "The guest's kernel gives up within the image: what stands behind is not unpacked.",
    reason: "It says \"Initramfs unpacking failed\" and goes on with the files it has; before 2.6.30 it has none then, \
             and takes the image for that of a disk (init/initramfs.c).",
    cure: "Mend what the other findings name, and make the image again.",
};
/// The kernel passes over an entry without a word.
pub const KERNEL_DROPS_ENTRY: Rule = Rule {
    name: "kernel-drops-entry",
    severity: Severity::Error,
    meaning: "The guest's kernel passes over an entry without a word.",
    reason: "init/initramfs.c looks at few of its errors; the file is simply not there when /init runs.",
    cure: "Mend what stands in the way, or leave the entry out.",
};

/// The kernel passes over an entry and all that follows it in the segment.
pub const KERNEL_LOSES_MEMBER: Rule = Rule {
    name: "kernel-loses-member",
    severity: Severity::Error,
    meaning: "The guest's kernel skips an entry, and with it all that follows in the compressed segment.",
    reason: "It skips by the bytes that its decompressor gave last; where the entry's header came in two such pieces, \
             it never finds the next one (init/initramfs.c, do_skip). It was seen with gzip, bzip2, xz and zstd.",
    cure: "Leave the entry out that is skipped, or mend it.",
};

/// Microcode stands where no kernel looks for it.
pub const MICROCODE_NOT_FIRST: Rule = Rule {
    name: "microcode-not-first",
    severity: Severity::Warning,
    meaning: "Early microcode stands in a segment that is compressed, or not the first.",
    reason: "The kernel looks for it before it unpacks anything: in the first archive alone, and only where that is \
             plain (find_microcode_in_initrd in arch/x86, find_cpio_data in lib/earlycpio.c).",
    cure: "Put the archive with the microcode first, plain, and the rest behind it.",
};

/// What they find.
pub fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let kernel = case.kernel_version();
    for (number, segment) in case.picture.segments.iter().enumerate() {
        let found = compression(kernel, segment).or_else(|| option(kernel, segment));
        let found = found.or_else(|| left_out(case, segment));
        findings.extend(found.map(|finding| finding.in_segment(number)));
    }
    checksum_format(case, findings);
    findings.extend(late_microcode(case));
}

fn late_microcode(case: &Case<'_>) -> Option<Finding> {
    let is_late = |item: &&Item| {
        let segment = case.picture.segments.get(item.entry.segment);
        let is_first = item.entry.segment == 0;
        !is_first || segment.is_some_and(|segment| segment.start.format.is_some())
    };
    let is_microcode = |item: &&Item| {
        let path = item.path.as_ref().map(ImagePath::as_bytes);
        path.is_ok_and(|path| path.starts_with(b"kernel/x86/microcode/"))
    };
    let late = case
        .picture
        .items
        .iter()
        .filter(is_microcode)
        .find(is_late)?;
    let expected = "it in the first segment, plain";
    let segment = late.entry.segment;
    let start = case.picture.segments.get(segment).map(|found| found.start);
    let found = match start.and_then(|start| start.format) {
        Some(format) => format!(
            "microcode in segment {segment}, compressed by {}",
            format.name()
        ),
        None => format!("microcode in segment {segment}, behind another"),
    };
    Some(Finding::new(&MICROCODE_NOT_FIRST, found, expected).at(late))
}

/// What the kernel's own account tells of an early end.
pub fn check_stop(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if let Some(failure) = &case.unpacked.failed {
        let found = format!("{}: {} ({})", failure.place, failure.fault, failure.message);
        let kernel = case.unpacked.kernel;
        let expected = match case.unpacked.is_assumed {
            true => format!("an image that a kernel of today ({kernel}) unpacks to its end"),
            false => format!("an image that kernel {kernel} unpacks to its end"),
        };
        findings
            .push(Finding::new(&KERNEL_STOPS, found, expected).in_segment(failure.place.segment));
    }
}

/// What the kernel's own account tells of entries that no other finding has told.
pub fn check_losses(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let told: HashSet<(Option<usize>, Option<Vec<u8>>)> = findings
        .iter()
        .map(|finding| (finding.segment, finding.entry.clone()))
        .collect();
    let losses = case
        .unpacked
        .events
        .iter()
        .filter(|event| is_loss(&event.what));
    for event in losses {
        let (segment, entry) = (Some(event.place.segment), Some(event.place.name.clone()));
        let is_elsewhere =
            files::is_read_in_place(case.picture, event.place.segment, &event.place.name);
        let rule = match event.what {
            What::LosesMember => &KERNEL_LOSES_MEMBER,
            _ if is_elsewhere || told.contains(&(segment, entry.clone())) => continue,
            _ => &KERNEL_DROPS_ENTRY,
        };
        findings.push(Finding {
            segment,
            entry,
            ..Finding::new(rule, event.what.to_string(), "an entry that becomes a file")
        });
    }
}

fn compression(kernel: Option<KernelVersion>, segment: &Segment) -> Option<Finding> {
    let (format, kernel) = (segment.start.format?, kernel?);
    let first = format.first_kernel();
    let found = format!("{} for kernel {kernel}", format.name());
    let expected = format!("kernel {first} or later");
    (kernel < first).then(|| Finding::new(&COMPRESSION_UNREADABLE, found, expected))
}

fn option(kernel: Option<KernelVersion>, segment: &Segment) -> Option<Finding> {
    let member = segment.end.as_ref()?.member.as_ref()?;
    let Unread { found, expected } = unread(&member.facts, kernel)?;
    let rule = &COMPRESSION_OPTION_UNREADABLE;
    Some(Finding::new(rule, found, expected))
}

/// What the configuration of the kernel in the guest's root says that it was built without. Before 2.6.30 there
/// was nothing to choose.
fn left_out(case: &Case<'_>, segment: &Segment) -> Option<Finding> {
    let root = case.guest.root.as_ref()?;
    root.has_option("BLK_DEV_INITRD").filter(|is_set| *is_set)?;
    let member = segment.end.as_ref()?.member.as_ref()?;
    let is_young = case
        .kernel_version()
        .is_none_or(|kernel| kernel >= FIRST_WITH_CHOICE);
    let is_set = |option: &str| !is_young || root.has_option(option).unwrap_or(true);
    let option = unset_option(member.format, &member.facts, is_set)?;
    let found = format!(
        "{}, which takes CONFIG_{option}, and that is not set",
        member.format.name()
    );
    let expected = "what the kernel in the guest's root was built to read";
    Some(Finding::new(&COMPRESSION_UNREADABLE, found, expected))
}

/// The first kernel with options for what it reads (usr/Kconfig).
const FIRST_WITH_CHOICE: KernelVersion = KernelVersion::new(2, 6, 30);

/// The first kernel that reads checksums (init/initramfs.c).
const FIRST_WITH_CHECKSUMS: KernelVersion = KernelVersion::new(5, 19, 0);

fn checksum_format(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let has_sum = |header: &Header| header.checksum.is_some();
    let count = case
        .picture
        .items
        .iter()
        .filter(|item| has_sum(&item.entry.header))
        .count();
    let known = case.kernel_version();
    if count == 0 || known.is_some_and(|kernel| kernel >= FIRST_WITH_CHECKSUMS) {
        return;
    }
    let severity = known.map_or(Severity::Warning, |_| Severity::Error);
    let kernel = known.map_or("any kernel".to_owned(), |kernel| format!("kernel {kernel}"));
    let found = format!("{count} entries with the magic 070702, for {kernel}");
    let expected = format!("070701, or kernel {FIRST_WITH_CHECKSUMS} or later");
    findings.push(Finding::new(&CHECKSUM_FORMAT, found, expected).weighing(severity));
}
