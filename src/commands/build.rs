//! `xinitrd build`: read, decide, write.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    choose_kernel, in_root, json, manifests, modprobe_config, module_directory, open_root,
    output_error, print, read_text, threads,
};
use crate::assemble::{Assembly, Request, assemble};
use crate::cli::BuildArgs;
use crate::compress::Encoding;
use crate::error::Error;
use crate::host::output::{Output, Signals, check_target};
use crate::image;
use crate::kernel_version::KernelVersion;
use crate::kmod::tree::ModuleTree;
use crate::manifest::{self, Manifest};
use crate::measured::Measured;
use crate::report::{ImageReport, Report, hex};
use crate::root::Root;

/// Builds the image `args` ask for, and prints its report.
///
/// # Errors
/// Every problem with what it is to be made of; or that it cannot be written.
pub fn run(args: &BuildArgs) -> Result<(), Error> {
    let root = open_root(&args.kernel.root)?;
    let bins = args
        .bins
        .iter()
        .map(|bins| open_root(bins))
        .collect::<Result<Vec<_>, _>>()?;
    let kernel = choose_kernel(&args.kernel, &root)?;
    let encoding = encoding(args)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| format!("initrd-{kernel}.img").into());
    if !args.dry_run && output != Path::new("-") {
        check_target(&output, args.force).map_err(|source| cannot_write(&output, source))?;
    }
    let (request, reason) = request(args, &root, kernel)?;

    let directory = module_directory(&request.kernel);
    let tree = ModuleTree::open(&root, &directory, request.config.clone(), request.threads);
    let mut tree = in_root(&root, &directory, tree)?;
    let assembly = assemble(&request, &root, &bins, &mut tree).map_err(Error::Refused)?;

    let mut report = Report::planned(&request, &assembly, reason);
    if !args.dry_run {
        report.image = Some(write(&assembly, &encoding, &output, args.force)?);
    }
    show(args, &report, &output)
}

fn encoding(args: &BuildArgs) -> Result<Encoding, Error> {
    let compression = args.compress;
    let default = if args.best {
        compression.best_level()
    } else {
        compression.default_level()
    };
    let level = args.level.unwrap_or(default);
    Encoding::new(compression, level, threads(&args.kernel))
        .map_err(|error| Error::Usage(error.to_string()))
}

/// What was typed, as what it means.
fn request(
    args: &BuildArgs,
    root: &Root,
    kernel: String,
) -> Result<(Request, Option<String>), Error> {
    let version: KernelVersion = kernel
        .parse()
        .map_err(|error: crate::kernel_version::NotAVersion| Error::Usage(error.to_string()))?;
    let (manifest, reason) = choose_manifest(&args.manifest, version)?;
    let request = Request {
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
        config: modprobe_config(&args.kernel, root)?,
        threads: threads(&args.kernel),
        kernel,
    };
    Ok((request, reason))
}

fn choose_manifest(
    name: &str,
    version: KernelVersion,
) -> Result<(Manifest, Option<String>), Error> {
    if name == "auto" {
        let choice = manifest::choose(version).map_err(|error| Error::Usage(error.to_string()))?;
        return Ok((choice.manifest, Some(choice.reason)));
    }
    let text = match manifest::find(name) {
        Some(shipped) => shipped.text.to_owned(),
        None if name.contains(['/', '.']) => read_manifest(Path::new(name))?,
        None => return Err(manifests::unknown(name)),
    };
    let faults = |faults| Error::Manifest {
        name: name.to_owned(),
        faults,
    };
    Ok((manifest::parse(&text).map_err(faults)?, None))
}

fn read_manifest(path: &Path) -> Result<String, Error> {
    let read = read_text(path).and_then(|text| String::from_utf8(text).map_err(io::Error::other));
    read.map_err(|source| Error::Host {
        operation: "read",
        path: path.to_path_buf(),
        source,
    })
}

fn cannot_write(path: &Path, source: io::Error) -> Error {
    Error::Host {
        operation: "write",
        path: path.to_path_buf(),
        source,
    }
}

/// Writes the image to its file, or to standard output.
fn write(
    assembly: &Assembly,
    encoding: &Encoding,
    output: &PathBuf,
    force: bool,
) -> Result<ImageReport, Error> {
    let signals = Signals::catch().map_err(|source| cannot_write(output, source))?;
    let written = if output == Path::new("-") {
        serialise(assembly, encoding, io::stdout().lock()).map(|(_, image)| image)
    } else {
        Output::create(output, force, signals.clone())
            .and_then(|file| serialise(assembly, encoding, file))
            .and_then(|(file, image)| file.commit().map(|()| image))
    };
    let image = written.map_err(|source| match signals.caught() {
        Some(signal) => Error::Interrupted { signal },
        None if output == Path::new("-") => output_error(source),
        None => cannot_write(output, source),
    })?;
    Ok(ImageReport {
        path: output.display().to_string(),
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
    let mut text = if args.json {
        json(report)?
    } else {
        report.to_string()
    };
    if args.verbose && !args.json {
        for entry in &report.entries {
            text += &format!(
                "entry       {:>9} {} <- {}\n",
                entry.size, entry.path, entry.source
            );
        }
    }
    if output == Path::new("-") && !args.dry_run {
        return io::stderr()
            .write_all(text.as_bytes())
            .map_err(output_error);
    }
    print(&text)
}
