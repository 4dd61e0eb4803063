//! What went into an image, or why there is none: for people as text, for pipelines as JSON
//! (docs/report.md has every field).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::assemble::{Assembly, PlacedBinary, PlacedModule, Request};
use crate::digest::Digest;
use crate::image_path::Shown;
use crate::package::Facts;
use crate::plan::{Plan, Purpose};
use crate::problem::{Explain, Problem};

/// The version of the JSON's form: it grows when a field changes meaning or goes, not when one is
/// added.
pub const SCHEMA_VERSION: u32 = 1;

/// The program that says so, and its version.
pub const GENERATOR: &str = concat!("xinitrd ", env!("CARGO_PKG_VERSION"));

/// The report of one build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program that wrote the image, and its version.
    pub generator: String,
    /// The kernel: the directory's name.
    pub kernel: String,
    /// The release its modules are of, which `uname -r` says in the guest.
    pub release: String,
    /// The architecture.
    pub arch: String,
    /// The manifest.
    pub manifest: String,
    /// Why this manifest, when the program chose it.
    pub manifest_reason: Option<String>,
    /// The packages that the root was made of, the first undermost.
    pub packages: Vec<PackageReport>,
    /// Modules, in load order; then those that go in without being loaded.
    pub modules: Vec<PlacedModule>,
    /// Drivers that are built into the kernel.
    pub builtin: Vec<String>,
    /// Executables and libraries.
    pub binaries: Vec<PlacedBinary>,
    /// Every entry, in the order of the archive.
    pub entries: Vec<EntryReport>,
    /// Bytes of content by what they are for.
    pub content: BTreeMap<Purpose, u64>,
    /// The image itself; nothing where it was only planned.
    pub image: Option<ImageReport>,
    /// What its maker should know.
    pub notes: Vec<String>,
}

/// A package that was looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageReport {
    /// Its file.
    pub path: String,
    /// Its kind: deb, rpm, pacman, apk or tar.
    pub format: String,
    /// Its name, where it says it.
    pub name: Option<String>,
    /// Its version, likewise.
    pub version: Option<String>,
    /// The architecture it is for, in the words of its distribution.
    pub arch: Option<String>,
    /// The SHA-256 of the file.
    pub sha256: Digest,
}

impl PackageReport {
    /// What is told of the package in the file `path`, of that digest.
    #[must_use]
    pub fn new(path: String, facts: &Facts, sha256: Digest) -> PackageReport {
        PackageReport {
            path,
            format: facts.format.to_string(),
            name: facts.name.clone(),
            version: facts.version.clone(),
            arch: facts.arch.clone(),
            sha256,
        }
    }
}

/// An entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryReport {
    /// Its name, as the archive has it; bytes that are not UTF-8 are escaped.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it came from.
    pub source: String,
}

/// The image, written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageReport {
    /// Its file; `-` is standard output.
    pub path: String,
    /// How it is compressed.
    pub compression: String,
    /// The level.
    pub level: u8,
    /// The archive's size in bytes, before compression.
    pub archive_size: u64,
    /// The image's size in bytes.
    pub size: u64,
    /// The image's SHA-256.
    pub sha256: Digest,
}

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program that refused, and its version.
    pub generator: String,
    /// Always true: what tells this document from the others.
    pub refused: bool,
    /// Everything that stood in the way.
    pub problems: Vec<ProblemReport>,
}

/// One thing that stood in the way, each part a line of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemReport {
    /// The file, or the thing, it is wrong with.
    pub place: String,
    /// What was found.
    pub found: String,
    /// What was expected instead.
    pub expected: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub advice: String,
}

impl RefusalReport {
    /// The document of these problems.
    #[must_use]
    pub fn of(problems: Vec<ProblemReport>) -> RefusalReport {
        RefusalReport {
            schema_version: SCHEMA_VERSION,
            generator: GENERATOR.to_owned(),
            refused: true,
            problems,
        }
    }
}

impl<F: Explain> From<&Problem<F>> for ProblemReport {
    fn from(problem: &Problem<F>) -> Self {
        let [place, found, expected, advice] = problem.lines();
        ProblemReport {
            place,
            found,
            expected,
            advice,
        }
    }
}

impl Report {
    /// The report of an assembly that has not been written yet.
    #[must_use]
    pub fn planned(
        request: &Request,
        assembly: &Assembly,
        manifest_reason: Option<String>,
        packages: Vec<PackageReport>,
    ) -> Report {
        Report {
            schema_version: SCHEMA_VERSION,
            generator: GENERATOR.to_owned(),
            kernel: request.kernel.clone(),
            release: assembly.release.clone(),
            arch: assembly.arch.to_string(),
            manifest: request.manifest.name.clone(),
            manifest_reason,
            packages,
            modules: assembly.modules.clone(),
            builtin: assembly.builtin.clone(),
            binaries: assembly.binaries.clone(),
            entries: entries(&assembly.plan),
            content: content(&assembly.plan),
            image: None,
            notes: assembly
                .notes
                .iter()
                .map(|note| Shown::words(note))
                .collect(),
        }
    }
}

fn entries(plan: &Plan) -> Vec<EntryReport> {
    let entries = plan.entries().map(|(path, entry)| EntryReport {
        path: Shown(path.as_bytes()).to_string(),
        size: entry.data().len() as u64,
        purpose: entry.purpose,
        source: entry.origin.clone(),
    });
    entries.collect()
}

fn content(plan: &Plan) -> BTreeMap<Purpose, u64> {
    let mut sizes = BTreeMap::new();
    for (_, entry) in plan.entries() {
        *sizes.entry(entry.purpose).or_default() += entry.data().len() as u64;
    }
    sizes
}

/// Writes a line that a terminal may have: names and options are a foreign file's own words.
fn line(f: &mut fmt::Formatter<'_>, words: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{}", Shown::words(&words))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show_choices(f)?;
        self.show_packages(f)?;
        self.show_modules(f)?;
        for binary in &self.binaries {
            let linked = if binary.dynamic { "dynamic" } else { "static" };
            let (path, kind) = (&binary.path, &binary.kind);
            line(f, format_args!("binary      {path} {kind} {linked}"))?;
            let (sha256, source) = (&binary.sha256, &binary.source);
            line(f, format_args!("            {sha256} {source}"))?;
        }
        for (purpose, size) in &self.content {
            let name = purpose_name(*purpose);
            line(f, format_args!("content     {name:<10} {size:>11} bytes"))?;
        }
        for note in &self.notes {
            line(f, format_args!("note        {note}"))?;
        }
        match &self.image {
            Some(image) => image.fmt(f),
            None => writeln!(
                f,
                "image       not written (dry run); {} entries",
                self.entries.len()
            ),
        }
    }
}

impl Report {
    fn show_choices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            kernel,
            release,
            manifest,
            ..
        } = self;
        match kernel == release {
            true => line(f, format_args!("kernel      {kernel}"))?,
            false => line(
                f,
                format_args!("kernel      {kernel} (its modules say {release})"),
            )?,
        }
        line(f, format_args!("arch        {}", self.arch))?;
        match &self.manifest_reason {
            Some(reason) => line(f, format_args!("manifest    {manifest} ({reason})")),
            None => line(f, format_args!("manifest    {manifest}")),
        }
    }

    fn show_packages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for package in &self.packages {
            let said = [&package.name, &package.version, &package.arch];
            let said = said.map(|said| said.as_deref().unwrap_or("-")).join(" ");
            line(f, format_args!("package     {said}"))?;
            line(
                f,
                format_args!("            {} {}", package.sha256, package.path),
            )?;
        }
        Ok(())
    }

    fn show_modules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for module in &self.modules {
            let label = if module.loaded { "load" } else { "include" };
            let space = if module.options.is_empty() { "" } else { " " };
            let (path, options) = (&module.path, &module.options);
            line(f, format_args!("{label:<11} {path}{space}{options}"))?;
        }
        for name in &self.builtin {
            line(f, format_args!("built in    {name}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for ImageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImageReport {
            path,
            compression,
            level,
            archive_size,
            size,
            sha256,
        } = self;
        writeln!(
            f,
            "image       {path} {size} bytes, {compression} level {level}"
        )?;
        writeln!(f, "            {archive_size} bytes before compression")?;
        writeln!(f, "            sha256 {sha256}")
    }
}

fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Module => "modules",
        Purpose::Binary => "binaries",
        Purpose::Library => "libraries",
        Purpose::Init => "init",
        Purpose::File => "files",
        Purpose::Structure => "links",
    }
}
