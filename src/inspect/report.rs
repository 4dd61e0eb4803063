//! What is known of an image and what was found in it: for people as text, for pipelines as JSON
//! (docs/inspect.md has every field).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Inspection;
use super::finding::{Finding, Severity};
use super::memory::Memory;
use super::picture::{Content, Item, Picture};
use super::verdict::Verdict;
use crate::archive::FileType;
use crate::image_path::Shown;
use crate::report::{GENERATOR, SCHEMA_VERSION};

/// How many of the largest files are told.
const LARGEST: usize = 10;
/// How many findings of one rule are told one by one.
const A_RULE: usize = 20;

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
    /// How many were passed over, because their rules are allowed.
    pub allowed: usize,
    /// Its size in bytes.
    pub size: u64,
    /// Its segments.
    pub segments: Vec<SegmentReport>,
    /// How many entries it has.
    pub entries: usize,
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
            allowed: verdict.allowed,
            size: picture.size,
            segments: segments(picture),
            entries: picture.items.len(),
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
            entry: finding.entry.as_ref().map(|name| Shown(name).to_string()),
            found: Shown::words(&finding.found),
            expected: Shown::words(&finding.expected),
            cure: finding.rule.cure,
        }
    }
}

fn segments(picture: &Picture) -> Vec<SegmentReport> {
    let segments = picture.segments.iter();
    let report = segments.map(|segment| SegmentReport {
        offset: segment.start.offset,
        compression: segment.start.format.map_or("none", |format| format.name()),
        size: segment.end.as_ref().map(|end| end.size),
        unpacked: segment.end.as_ref().map(|end| end.unpacked),
        entries: segment.entries,
    });
    report.collect()
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

impl fmt::Display for InspectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for (rule, count) in &self.more {
            writeln!(f, "{rule}: {count} more")?;
        }
        self.describe(f)?;
        write!(f, "{}: {}", self.image, self.verdict)?;
        let plural = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            n => format!("{n} {what}s"),
        };
        let (errors, warnings) = (
            plural(self.errors, "error"),
            plural(self.warnings, "warning"),
        );
        match self.allowed {
            0 => writeln!(f, ", {errors}, {warnings}"),
            allowed => writeln!(f, ", {errors}, {warnings}, {allowed} allowed"),
        }
    }
}

impl InspectionReport {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, segment) in self.segments.iter().enumerate() {
            writeln!(f, "segment {number}   {segment}")?;
        }
        for (kind, count) in &self.elf {
            writeln!(f, "elf         {count} of {kind}")?;
        }
        for file in self.largest.iter().take(3) {
            writeln!(f, "largest     {:>9} {}", file.size, file.path)?;
        }
        let Memory {
            before_xen_4_20,
            since_xen_4_20,
            files,
        } = self.memory;
        writeln!(
            f,
            "memory      {} to unpack before Xen 4.20, {} since; {} stay in use",
            mebibytes(before_xen_4_20),
            mebibytes(since_xen_4_20),
            mebibytes(files)
        )
    }
}

fn mebibytes(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

impl fmt::Display for SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
        write!(
            f,
            "at {}, {}, {} bytes, {} unpacked, {} entries",
            self.offset,
            self.compression,
            bytes(self.size),
            bytes(self.unpacked),
            self.entries
        )
    }
}

impl fmt::Display for FindingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity, self.rule)?;
        if let Some(segment) = self.segment {
            write!(f, ": segment {segment}")?;
        }
        if let Some(entry) = &self.entry {
            write!(f, ", {entry}")?;
        }
        write!(
            f,
            "\n    found:    {}\n    expected: {}\n    do:       {}",
            self.found, self.expected, self.cure
        )
    }
}
