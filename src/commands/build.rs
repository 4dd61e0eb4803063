//! `xinitrd build`: read, decide, write.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::guest::{Guest, Kernel};
use super::layers::{OpenedPackage, open_root};
use super::observer::Observer;
use super::obstacles::Obstacles;
use super::records::{self, Records};
use super::writing::{Writing, cannot_write, is_stdout, mtime, write};
use super::{json, manifests, output_error, shown, threads, write_out};
use crate::assemble::{Assembly, Request, assemble};
use crate::cli::BuildArgs;
use crate::compress::Encoding;
use crate::digest::Digest;
use crate::error::{Error, Obstacle};
use crate::host::output::probe;
use crate::host::text;
use crate::inspect;
use crate::inspect::guest_kernel::GuestKernel;
use crate::kernel_version::KernelVersion;
use crate::kmod::config::ModprobeConfig;
use crate::manifest::{self, Manifest};
use crate::problem::Problem;
use crate::record::lock::Role;
use crate::report::{PackageReport, Report};
use crate::root::Root;

/// Builds the image `args` ask for, and prints its report.
///
/// # Errors
/// Everything that stands in the way: of what the image is to be made of, and of writing it.
pub fn run(args: &BuildArgs) -> Result<(), Error> {
    let mut obstacles = Obstacles::default();
    let observer = records::observer(&args.records);
    let Guest {
        root,
        packages,
        kernel,
        config,
    } = Guest::open(&args.kernel, &observer, &mut obstacles);
    let bins = open_bins(args, &observer, &mut obstacles);
    let output = named_output(args, kernel.as_ref());
    let writing = writing(args, output.as_deref(), &mut obstacles);
    let records = Records::open(args, output.as_deref(), &observer, &mut obstacles);
    let asked = asked(args, kernel, config, &packages, &observer, &mut obstacles);

    let decided = root.zip(asked).and_then(|(root, asked)| {
        let assembled = assemble(&asked.request, &root, bins.as_deref());
        let assembly = obstacles.keep_all(assembled)?;
        let guest = obstacles.keep(guest(&asked.request, &assembly, &root))?;
        Some((asked, assembly, guest))
    });
    let packages = reports(packages, &mut obstacles);
    let made = decided.zip(writing).map(Made::from);
    let sources = observer.into_sources();
    let records = records.settle(made.as_ref(), &sources, &packages, &mut obstacles);
    let made = obstacles.none_before(made)?;

    let Made {
        asked, assembly, ..
    } = &made;
    let mut report = Report::planned(&asked.request, assembly, asked.reason.clone(), packages);
    if !args.dry_run {
        let beside = |image: &_| records.files(&made, &report.packages, image);
        let written = write(&assembly.plan, &made.writing, &made.guest, &beside);
        report.image = Some(written?);
    }
    show(args, &report, &made.writing.output)
}

/// An image, decided, and how it is to be written.
pub(super) struct Made {
    pub(super) asked: Asked,
    pub(super) assembly: Assembly,
    guest: inspect::Guest,
    pub(super) writing: Writing,
}

impl From<((Asked, Assembly, inspect::Guest), Writing)> for Made {
    fn from(
        ((asked, assembly, guest), writing): ((Asked, Assembly, inspect::Guest), Writing),
    ) -> Self {
        Made {
            asked,
            assembly,
            guest,
            writing,
        }
    }
}

/// What is reported of the packages, but for those that cannot be read to their end.
fn reports(packages: Vec<OpenedPackage>, obstacles: &mut Obstacles) -> Vec<PackageReport> {
    let reports = packages.into_iter().map(OpenedPackage::report);
    reports
        .filter_map(|report| obstacles.keep(report))
        .collect()
}

/// Whom the image is judged for: by what its modules say of the kernel, as the guest will. Where the kernel may have
/// to unpack modules its configuration says whether it does.
fn guest(
    request: &Request,
    assembly: &Assembly,
    root: &Root,
) -> Result<inspect::Guest, Problem<Obstacle>> {
    let kernel = &request.kernel;
    let read = request
        .keep_compressed
        .then(|| GuestKernel::configuration(root, kernel));
    let unusable = |error| {
        let Problem { place, fault } = Problem::of_lookup(kernel.clone(), error);
        Problem::<Obstacle>::new(place, Obstacle::GuestRoot(fault))
    };
    Ok(inspect::Guest {
        kernel: assembly.release.parse().ok(),
        arch: Some(assembly.arch),
        root: read.transpose().map_err(unusable)?,
        ..inspect::Guest::default()
    })
}

/// The directories with the guest's programs; or, where one cannot be had, none at all.
fn open_bins(
    args: &BuildArgs,
    observer: &Observer,
    obstacles: &mut Obstacles,
) -> Option<Vec<Root>> {
    let open = |path: &PathBuf| open_root(Role::Bins, "the guest's programs", path, observer);
    let opened = args.bins.iter().map(|path| obstacles.keep(open(path)));
    // Gathered before they are taken together, so that each is tried.
    opened.collect::<Vec<_>>().into_iter().collect()
}

/// How the image is to be written, if that can be told.
fn writing(args: &BuildArgs, output: Option<&Path>, obstacles: &mut Obstacles) -> Option<Writing> {
    let encoding = obstacles.keep(encoding(args));
    let output = output.and_then(|output| obstacles.keep(writable(args, output)));
    let mtime = obstacles.keep(mtime());
    Some(Writing {
        output: output?,
        force: args.force,
        encoding: encoding?,
        mtime: mtime?,
    })
}

fn encoding(args: &BuildArgs) -> Result<Encoding, Problem<Obstacle>> {
    let compression = args.compress;
    let default = if args.best {
        compression.best_level()
    } else {
        compression.default_level()
    };
    let level = args.level.unwrap_or(default);
    Encoding::new(compression, level, threads(&args.kernel))
        .map_err(|bad| Problem::new(format!("--level {level}"), Obstacle::Level(bad)))
}

/// Where the image goes, if that can be told.
fn named_output(args: &BuildArgs, kernel: Option<&Kernel>) -> Option<PathBuf> {
    let default = || kernel.map(|kernel| format!("initrd-{}.img", kernel.name).into());
    args.output.clone().or_else(default)
}

/// The same, when it can be written to.
fn writable(args: &BuildArgs, output: &Path) -> Result<PathBuf, Problem<Obstacle>> {
    if !args.dry_run && !is_stdout(output) {
        probe(output, args.force).map_err(|error| cannot_write(output, error))?;
    }
    Ok(output.to_owned())
}

/// What was typed, as what it means.
pub(super) struct Asked {
    pub(super) request: Request,
    /// The digest of the manifest's text.
    pub(super) manifest: Digest,
    /// Why the manifest was chosen, where nobody named it.
    reason: Option<String>,
}

/// What was typed, as what it means; if that can be told.
fn asked(
    args: &BuildArgs,
    kernel: Option<Kernel>,
    config: ModprobeConfig,
    packages: &[OpenedPackage],
    observer: &Observer,
    obstacles: &mut Obstacles,
) -> Option<Asked> {
    let version = kernel.as_ref().map(|kernel| version_of(&kernel.name));
    let version = version.and_then(|version| obstacles.keep(version));
    let chosen = obstacles.keep_all(choose_manifest(&args.manifest, version, observer));
    let (kernel, version, chosen) = (kernel?, version?, chosen??);
    let request = Request {
        kernel: kernel.name,
        modules: kernel.modules,
        version,
        packages: packages.iter().map(OpenedPackage::claim).collect(),
        manifest: chosen.manifest,
        arch: args.arch,
        preload: args.preload.clone(),
        with: args.with.clone(),
        builtin: args.kernel.builtin.clone(),
        omit_scsi: args.omit_scsi_modules,
        omit_raid: args.omit_raid_modules,
        omit_lvm: args.omit_lvm_modules,
        rootfs: args.rootfs.clone(),
        root_device: args.root_device.clone(),
        root_options: args.root_options.clone(),
        keep_compressed: args.keep_compressed,
        compression: args.compress,
        config,
        threads: threads(&args.kernel),
    };
    Some(Asked {
        request,
        manifest: chosen.digest,
        reason: chosen.reason,
    })
}

fn version_of(kernel: &str) -> Result<KernelVersion, Problem<Obstacle>> {
    let unknown = |error| Problem::new(format!("kernel {kernel}"), Obstacle::KernelVersion(error));
    kernel.parse().map_err(unknown)
}

/// A manifest, the digest of its text, and why it was taken where nobody named it.
struct Chosen {
    manifest: Manifest,
    digest: Digest,
    reason: Option<String>,
}

/// The manifest named; or the one for the kernel's version, where there is one.
fn choose_manifest(
    name: &str,
    version: Option<KernelVersion>,
    observer: &Observer,
) -> Result<Option<Chosen>, Vec<Problem<Obstacle>>> {
    let place = || format!("--manifest {}", shown(Path::new(name)));
    if name == "auto" {
        let choice = version.map(manifest::choose).transpose();
        let choice = choice.map_err(|none| one(place(), Obstacle::NoneServes(none)))?;
        return Ok(choice.map(|choice| Chosen {
            digest: Digest::of(
                manifest::find(choice.name)
                    .map_or("", |it| it.text)
                    .as_bytes(),
            ),
            manifest: choice.manifest,
            reason: Some(choice.reason),
        }));
    }
    let text = match manifest::find(name) {
        Some(shipped) => shipped.text.to_owned(),
        None if is_manifest_file(name) => {
            read_manifest(Path::new(name), observer).map_err(|obstacle| one(place(), obstacle))?
        }
        None => return Err(one(place(), manifests::unknown(name))),
    };
    let manifest = manifest::parse(&text).map_err(|faults| {
        let problem = |fault| Problem::of_manifest(name, fault).into();
        faults.into_iter().map(problem).collect::<Vec<_>>()
    })?;
    Ok(Some(Chosen {
        manifest,
        digest: Digest::of(text.as_bytes()),
        reason: None,
    }))
}

fn one(place: String, obstacle: Obstacle) -> Vec<Problem<Obstacle>> {
    vec![Problem::new(place, obstacle)]
}

/// Whether it is a file's name, and no shipped manifest's.
pub(super) fn is_manifest_file(name: &str) -> bool {
    name.contains(['/', '.'])
}

fn read_manifest(path: &Path, observer: &Observer) -> Result<String, Obstacle> {
    let expected = "a manifest";
    let bytes = text::read(path).map_err(|source| Obstacle::Text { expected, source })?;
    observer.text(None, path, &bytes);
    String::from_utf8(bytes).map_err(|_| Obstacle::NotUtf8)
}

/// Prints the report: to standard error when the image itself went to standard output.
fn show(args: &BuildArgs, report: &Report, output: &Path) -> Result<(), Error> {
    if args.quiet {
        return Ok(());
    }
    let printed = report_text(args, report).and_then(|text| match is_stdout(output) {
        true if !args.dry_run => io::stderr().write_all(text.as_bytes()),
        _ => write_out(&text),
    });
    printed.map_err(|source| match &report.image {
        None => output_error(source),
        Some(image) => {
            let image = match is_stdout(output) {
                true => "the image".to_owned(),
                false => image.path.clone(),
            };
            Error::one("the report", Obstacle::ReportLost { image, source })
        }
    })
}

fn report_text(args: &BuildArgs, report: &Report) -> io::Result<String> {
    if args.json {
        return json(report);
    }
    let mut text = report.to_string();
    for entry in report.entries.iter().filter(|_| args.verbose) {
        text += &format!(
            "entry       {:>9} {} <- {}\n",
            entry.size, entry.path, entry.source
        );
    }
    Ok(text)
}
