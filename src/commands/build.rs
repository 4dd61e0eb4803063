//! `xinitrd build`: read, decide, write.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::guest::{Guest, open_root};
use super::obstacles::Obstacles;
use super::{is_closed, json, manifests, output_error, read_text, shown, threads, write_out};
use crate::assemble::{Assembly, Request, assemble};
use crate::cli::BuildArgs;
use crate::compress::Encoding;
use crate::error::{Error, Obstacle};
use crate::host::output::{Output, Signals, check_target};
use crate::image;
use crate::kernel_version::KernelVersion;
use crate::kmod::config::ModprobeConfig;
use crate::manifest::{self, Manifest};
use crate::measured::Measured;
use crate::problem::Problem;
use crate::report::{ImageReport, Report, hex};
use crate::root::Root;

/// Builds the image `args` ask for, and prints its report.
///
/// # Errors
/// Everything that stands in the way: of what the image is to be made of, and of writing it.
pub fn run(args: &BuildArgs) -> Result<(), Error> {
    let mut obstacles = Obstacles::default();
    let Guest {
        root,
        kernel,
        config,
    } = Guest::open(&args.kernel, &mut obstacles);
    let bins = open_bins(args, &mut obstacles);
    let encoding = obstacles.keep(encoding(args));
    let output = output(args, kernel.as_deref(), &mut obstacles);
    obstacles.keep(check_source_date());
    let request = request(args, kernel, config, &mut obstacles);

    let assembled = root.zip(request).and_then(|(root, (request, reason))| {
        let assembly = obstacles.keep_all(assemble(&request, &root, bins.as_deref()))?;
        let report = Report::planned(&request, &assembly, reason);
        Some((assembly, report))
    });
    let ready = assembled.zip(encoding).zip(output);
    let (((assembly, mut report), encoding), output) = obstacles.none_before(ready)?;

    if !args.dry_run {
        report.image = Some(write(&assembly, &encoding, &output, args.force)?);
    }
    show(args, &report, &output)
}

/// The directories with the guest's programs; or, where one cannot be had, none at all.
fn open_bins(args: &BuildArgs, obstacles: &mut Obstacles) -> Option<Vec<Root>> {
    let open = |path: &PathBuf| open_root("--bins", "the guest's programs", path);
    let opened = args.bins.iter().map(|path| obstacles.keep(open(path)));
    // Gathered before they are taken together, so that each is tried.
    opened.collect::<Vec<_>>().into_iter().collect()
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

/// Where the image goes, if that can be told and written to.
fn output(args: &BuildArgs, kernel: Option<&str>, obstacles: &mut Obstacles) -> Option<PathBuf> {
    let default = || kernel.map(|kernel| format!("initrd-{kernel}.img").into());
    let output = args.output.clone().or_else(default)?;
    if !args.dry_run && !is_stdout(&output) {
        let tried = try_output(&output, args.force);
        obstacles.keep(tried.map_err(|error| cannot_write(&output, error)))?;
    }
    Some(output)
}

fn is_stdout(output: &Path) -> bool {
    output == Path::new("-")
}

/// Makes a file without a name where `output` will be: nothing less tells whether one can be made.
fn try_output(output: &Path, force: bool) -> io::Result<()> {
    check_target(output, force)?;
    let directory = output.parent().filter(|parent| *parent != Path::new(""));
    tempfile::tempfile_in(directory.unwrap_or(Path::new("."))).map(drop)
}

fn cannot_write(output: &Path, source: io::Error) -> Problem<Obstacle> {
    Problem::new(shown(output), Obstacle::Output(source))
}

fn check_source_date() -> Result<(), Problem<Obstacle>> {
    source_date_epoch().map(drop).map_err(|_| {
        let text = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_default();
        Problem::new("SOURCE_DATE_EPOCH", Obstacle::SourceDate(text))
    })
}

/// What was typed, as what it means, and why its manifest was chosen; if that can be told.
fn request(
    args: &BuildArgs,
    kernel: Option<String>,
    config: ModprobeConfig,
    obstacles: &mut Obstacles,
) -> Option<(Request, Option<String>)> {
    let version = kernel.as_deref().map(version_of);
    let version = version.and_then(|version| obstacles.keep(version));
    let chosen = obstacles.keep_all(choose_manifest(&args.manifest, version));
    let (kernel, version, Chosen { manifest, reason }) = (kernel?, version?, chosen??);
    let request = Request {
        kernel,
        version,
        manifest,
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
    Some((request, reason))
}

fn version_of(kernel: &str) -> Result<KernelVersion, Problem<Obstacle>> {
    let unknown = |error| Problem::new(format!("kernel {kernel}"), Obstacle::KernelVersion(error));
    kernel.parse().map_err(unknown)
}

/// A manifest, and why it was taken where nobody named it.
struct Chosen {
    manifest: Manifest,
    reason: Option<String>,
}

/// The manifest named; or the one for the kernel's version, where there is one.
fn choose_manifest(
    name: &str,
    version: Option<KernelVersion>,
) -> Result<Option<Chosen>, Vec<Problem<Obstacle>>> {
    let place = || format!("--manifest {}", shown(Path::new(name)));
    if name == "auto" {
        let choice = version.map(manifest::choose).transpose();
        let choice = choice.map_err(|none| one(place(), Obstacle::NoneServes(none)))?;
        return Ok(choice.map(|choice| Chosen {
            manifest: choice.manifest,
            reason: Some(choice.reason),
        }));
    }
    let text = match manifest::find(name) {
        Some(shipped) => shipped.text.to_owned(),
        None if name.contains(['/', '.']) => {
            read_manifest(Path::new(name)).map_err(|obstacle| one(place(), obstacle))?
        }
        None => return Err(one(place(), manifests::unknown(name))),
    };
    let manifest = manifest::parse(&text).map_err(|faults| {
        let problem = |fault| Problem::of_manifest(name, fault).into();
        faults.into_iter().map(problem).collect::<Vec<_>>()
    })?;
    let reason = None;
    Ok(Some(Chosen { manifest, reason }))
}

fn one(place: String, obstacle: Obstacle) -> Vec<Problem<Obstacle>> {
    vec![Problem::new(place, obstacle)]
}

fn read_manifest(path: &Path) -> Result<String, Obstacle> {
    let expected = "a manifest";
    let bytes = read_text(path).map_err(|source| Obstacle::Text { expected, source })?;
    String::from_utf8(bytes).map_err(|_| Obstacle::NotUtf8)
}

/// Writes the image to its file, or to standard output.
fn write(
    assembly: &Assembly,
    encoding: &Encoding,
    output: &Path,
    force: bool,
) -> Result<ImageReport, Error> {
    let refused = |source| match is_stdout(output) {
        true if is_closed(&source) => Error::ClosedOutput,
        true => Error::one("standard output", Obstacle::Stream(source)),
        false => Error::Refused(vec![cannot_write(output, source)]),
    };
    let signals = Signals::catch().map_err(refused)?;
    let written = if is_stdout(output) {
        serialise(assembly, encoding, io::stdout().lock()).map(|(_, image)| image)
    } else {
        Output::create(output, force, signals.clone())
            .and_then(|file| serialise(assembly, encoding, file))
            .and_then(|(file, image)| file.commit().map(|()| image))
    };
    let image = written.map_err(|source| match signals.caught() {
        Some(signal) => Error::Interrupted { signal },
        None => refused(source),
    })?;
    Ok(ImageReport {
        path: shown(output),
        ..image
    })
}

/// Writes the image to `out`, measuring what goes by.
fn serialise<W: Write>(
    assembly: &Assembly,
    encoding: &Encoding,
    out: W,
) -> io::Result<(W, ImageReport)> {
    let archive = image::archive(&assembly.plan, source_date_epoch()?)?;
    let progress = progress_bar(archive.len());
    let mut measured = Measured::new(out)?;
    image::write(&archive, encoding, &mut measured, &|done| {
        progress.set_position(done)
    })?;
    let (out, size, digest) = measured.finish()?;
    progress.finish_and_clear();
    let report = ImageReport {
        path: String::new(),
        compression: encoding.compression().name().to_owned(),
        level: encoding.level(),
        archive_size: archive.len(),
        size,
        sha256: hex(&digest),
    };
    Ok((out, report))
}

/// The time every entry gets: `SOURCE_DATE_EPOCH` (reproducible-builds.org), else 0.
fn source_date_epoch() -> io::Result<u32> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_) => Ok(0),
        Ok(text) => text.parse().map_err(|_| {
            io::Error::other(format!(
                "SOURCE_DATE_EPOCH is `{text}`, no number of seconds below 2^32"
            ))
        }),
    }
}

/// A bar on standard error where that is a terminal, and nothing where it is not.
fn progress_bar(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}");
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
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
