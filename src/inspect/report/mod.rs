//! What is known of an image and what was found in it: for pipelines as JSON (docs/inspect.md has every field),
//! for people as text.

mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use super::Inspection;
use super::boot::{Load, Loader};
use super::finding::{Finding, Severity};
use super::memory::Memory;
use super::picture::{Content, Item, Picture};
use super::unpacking::Unpacked;
use super::verdict::Verdict;
use crate::archive::{FileType, SegmentEnd};
use crate::image_path::Shown;
use crate::report::{GENERATOR, SCHEMA_VERSION};
use crate::unpacker::Place;

/// How many of the largest files are told.
const LARGEST: usize = 10;
/// How many events are in the document.
const EVENTS: usize = 20;
/// How many findings of one rule are in the document.
const A_RULE: usize = 1000;

/// An image, described and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectionReport {
    /// The version of this document's form.
    pub schema_version: u32,
    /// The program that says so, and its version.
    pub generator: &'static str,
    /// The image, as it was named.
    pub image: String,
    /// `clean`, `warnings` or `bad`.
    pub verdict: &'static str,
    /// How many findings are errors.
    pub errors: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// The rules whose findings were passed over, because they are allowed, and how many of each.
    pub allowed: BTreeMap<&'static str, usize>,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it could be read to its end: else nothing is told of what it seems to lack.
    pub whole: bool,
    /// Its segments.
    pub segments: Vec<SegmentReport>,
    /// How many entries it has.
    pub entries: usize,
    /// Who made it, and which version of it, where that can be told.
    pub made_by: MakerReport,
    /// The architecture it is for: `64-bit x86_64`.
    pub arch: Option<String>,
    /// The kernels its modules are of, as `uname -r` gives them, and how many modules each has.
    pub kernels: BTreeMap<String, usize>,
    /// What `/init` leads to.
    pub init: Option<InitReport>,
    /// The modules that the init loads, in its order, as far as that can be told.
    pub modules: Vec<LoadReport>,
    /// Whether it loads more for the devices it finds.
    pub loads_on_demand: bool,
    /// What the kernel makes of it.
    pub unpacking: UnpackingReport,
    /// ELF files by what they are for: `64-bit x86_64`.
    pub elf: BTreeMap<String, usize>,
    /// The largest files, the largest first.
    pub largest: Vec<FileReport>,
    /// What the guest needs to unpack it.
    pub memory: Memory,
    /// What was found.
    pub findings: Vec<FindingReport>,
    /// Findings beyond those that are told one by one, by rule.
    pub more: BTreeMap<&'static str, usize>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// Where it begins in the image, in bytes.
    pub offset: u64,
    /// How it is compressed: `none`, `gzip` ...
    pub compression: &'static str,
    /// Its bytes in the image; nothing where reading ended before it did.
    pub size: Option<u64>,
    /// Its bytes, unpacked.
    pub unpacked: Option<u64>,
    /// How many entries it holds.
    pub entries: usize,
}

/// Who made an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MakerReport {
    /// `dracut`, `initramfs-tools` ...; `unknown`.
    pub name: &'static str,
    /// The version, where the image says it.
    pub version: Option<String>,
}

/// The first program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitReport {
    /// Where it lies, links followed.
    pub path: String,
    /// What it is.
    pub kind: String,
}

/// A module that the init loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// As the init asks for it: a file, a name or an alias.
    pub module: String,
    /// Its file, if the image has it.
    pub path: Option<String>,
    /// `insmod`, or `modprobe`, which loads what it needs before it.
    pub loader: &'static str,
    /// Its parameters.
    pub options: String,
}

/// What a kernel makes of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnpackingReport {
    /// The kernel whose unpacker this is a model of.
    pub kernel: String,
    /// Whether nobody said which kernel the guest has, and no module does: it is today's then.
    pub assumed: bool,
    /// What it stops at, in its own words.
    pub stops: Option<EventReport>,
    /// What it skips, drops or overrides without a word; the first of them.
    pub silent: Vec<EventReport>,
    /// How many there are in all.
    pub silent_count: usize,
}

/// Something that happens while the kernel unpacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventReport {
    /// The number of the segment.
    pub segment: usize,
    /// The offset in the unpacked segment, in bytes.
    pub offset: u64,
    /// The entry's name; empty where it is none's.
    pub entry: String,
    /// What happens.
    pub what: String,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its path; bytes that are not UTF-8 are escaped.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingReport {
    /// The rule's name.
    pub rule: &'static str,
    /// `error` or `warning`.
    pub severity: String,
    /// The number of the segment.
    pub segment: Option<usize>,
    /// The entry's name; bytes that are not UTF-8 are escaped.
    pub entry: Option<String>,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
    /// What to do.
    pub cure: &'static str,
}

impl InspectionReport {
    /// The report of the image that is called `image`.
    #[must_use]
    pub fn new(image: String, inspection: &Inspection, verdict: &Verdict) -> InspectionReport {
        let picture = &inspection.picture;
        let (errors, warnings) = (
            verdict.count(Severity::Error),
            verdict.count(Severity::Warning),
        );
        let (findings, more) = told(&verdict.findings);
        InspectionReport {
            schema_version: SCHEMA_VERSION,
            generator: GENERATOR,
            image,
            verdict: match (errors, warnings) {
                (0, 0) => "clean",
                (0, _) => "warnings",
                _ => "bad",
            },
            errors,
            warnings,
            allowed: verdict.allowed.clone(),
            size: picture.size,
            whole: !picture.is_cut(),
            segments: segments(picture),
            entries: picture.items.len(),
            made_by: MakerReport {
                name: inspection.boot.generator.name(),
                version: inspection
                    .boot
                    .version
                    .as_deref()
                    .map(|version| Shown::words(&version)),
            },
            arch: inspection.arch.map(|kind| kind.to_string()),
            kernels: kernels(picture),
            init: inspection.boot.init.as_ref().map(|init| InitReport {
                path: init.path.to_string(),
                kind: Shown::words(&init.kind),
            }),
            modules: inspection.boot.loads.iter().map(LoadReport::from).collect(),
            loads_on_demand: inspection.boot.on_demand,
            unpacking: UnpackingReport::from(&inspection.unpacked),
            elf: elf(picture),
            largest: largest(picture),
            memory: inspection.memory,
            findings,
            more,
        }
    }
}

/// The findings that are told one by one, and how many more there are of each rule.
fn told(findings: &[Finding]) -> (Vec<FindingReport>, BTreeMap<&'static str, usize>) {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut told = Vec::new();
    for finding in findings {
        let count = counts.entry(finding.rule.name).or_default();
        *count += 1;
        if *count <= A_RULE {
            told.push(FindingReport::from(finding));
        }
    }
    counts.retain(|_, count| *count > A_RULE);
    counts.values_mut().for_each(|count| *count -= A_RULE);
    (told, counts)
}

impl From<&Finding> for FindingReport {
    fn from(finding: &Finding) -> Self {
        FindingReport {
            rule: finding.rule.name,
            severity: finding.severity.to_string(),
            segment: finding.segment,
            // What a kernel skips by its header alone has no name.
            entry: finding
                .entry
                .as_ref()
                .filter(|name| !name.is_empty())
                .map(|name| Shown(name).to_string()),
            found: Shown::words(&finding.found),
            expected: Shown::words(&finding.expected),
            cure: finding.cure,
        }
    }
}

impl From<&Load> for LoadReport {
    fn from(load: &Load) -> Self {
        LoadReport {
            module: Shown::words(&load.module),
            path: load.path.as_ref().map(ToString::to_string),
            loader: match load.loader {
                Loader::Insmod => "insmod",
                Loader::Modprobe => "modprobe",
            },
            options: Shown::words(&load.options),
        }
    }
}

impl From<&Unpacked> for UnpackingReport {
    fn from(unpacked: &Unpacked) -> Self {
        let event = |place: &Place, what: String| EventReport {
            segment: place.segment,
            offset: place.offset,
            entry: Shown(&place.name).to_string(),
            what,
        };
        let failed = unpacked.failed.as_ref();
        let stops = failed.map(|failure| {
            let what = format!("{}: {}", failure.message, failure.fault);
            event(&failure.place, what)
        });
        let first = unpacked.events.iter().take(EVENTS);
        UnpackingReport {
            kernel: unpacked.kernel.to_string(),
            assumed: unpacked.is_assumed,
            stops,
            silent: first
                .map(|one| event(&one.place, one.what.to_string()))
                .collect(),
            silent_count: unpacked.events.len(),
        }
    }
}

/// The kernels that modules are of.
fn kernels(picture: &Picture) -> BTreeMap<String, usize> {
    let mut kernels = BTreeMap::new();
    for item in &picture.items {
        if let Content::Module(module) = &item.content
            && let Ok(module) = module.as_ref()
            && let Some(release) = module.release()
        {
            *kernels.entry(Shown::words(&release)).or_default() += 1;
        }
    }
    kernels
}

fn segments(picture: &Picture) -> Vec<SegmentReport> {
    let segments = picture.segments.iter();
    let report = segments.map(|segment| SegmentReport {
        offset: segment.start.offset,
        compression: segment.start.format.map_or("none", |format| format.name()),
        size: segment.end.as_ref().and_then(whole_size),
        unpacked: segment.end.as_ref().map(|end| end.unpacked),
        entries: segment.entries,
    });
    report.collect()
}

/// Where a member is damaged nobody knows where it ends; how far it was read says nothing.
fn whole_size(end: &SegmentEnd) -> Option<u64> {
    let is_whole = end.member.as_ref().is_none_or(|member| member.is_whole);
    is_whole.then_some(end.size)
}

fn elf(picture: &Picture) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for item in &picture.items {
        let kind = match &item.content {
            Content::Module(module) => module.as_ref().as_ref().ok().map(|module| module.kind),
            Content::Program(program) => program.as_ref().as_ref().ok().map(|program| program.kind),
            _ => None,
        };
        if let Some(kind) = kind {
            *kinds.entry(kind.to_string()).or_default() += 1;
        }
    }
    kinds
}

fn largest(picture: &Picture) -> Vec<FileReport> {
    let is_file = |item: &&Item| item.file_type() == FileType::Regular;
    let mut files: Vec<&Item> = picture.items.iter().filter(is_file).collect();
    // The sort is stable: of two of a size the first stays first.
    files.sort_by_key(|item| std::cmp::Reverse(item.entry.header.size));
    let largest = files.into_iter().take(LARGEST);
    let report = largest.map(|item| FileReport {
        path: Shown(&item.entry.name).to_string(),
        size: u64::from(item.entry.header.size),
    });
    report.collect()
}
