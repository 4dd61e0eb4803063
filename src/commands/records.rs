//! What `build` writes beside its image: a lock file, a depfile, an SBOM; and the lock file it is held against.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::build::{Made, is_manifest_file};
use super::observer::{Observer, Source};
use super::obstacles::Obstacles;
use super::shown;
use super::writing::{SideFile, Writing, cannot_record, is_stdout};
use crate::assemble::Request;
use crate::cli::{BuildArgs, Layer, RecordArgs};
use crate::error::{Error, Obstacle};
use crate::host::output::{is_in, is_same, probe};
use crate::host::text;
use crate::image_path::{ImagePath, Shown};
use crate::manifest::InitKind;
use crate::problem::Problem;
use crate::record::depfile;
use crate::record::differences::{self, Difference, What, brief};
use crate::record::lock::{
    self, Lock, LockFault, LockedImage, LockedLayer, LockedManifest, Role, SCHEMA_VERSION, Setting,
};
use crate::record::spdx::{self, Account};
use crate::report::{GENERATOR, ImageReport, PackageReport};

/// The most files of a lock that are told of: another kernel has thousands.
const TOLD: usize = 100;

/// The most bytes that a place is told in: no path is longer.
const PLACE: usize = 4096;

/// Whoever is to be told what a build reads.
pub(super) fn observer(args: &RecordArgs) -> Observer {
    let digests = args.lock.is_some() || args.locked.is_some();
    match digests || args.depfile.is_some() {
        true => Observer::watching(digests),
        false => Observer::idle(),
    }
}

/// The records that are asked for.
pub(super) struct Records<'a> {
    args: &'a RecordArgs,
    locked: Option<(&'a Path, Lock)>,
}

impl<'a> Records<'a> {
    /// Those that `args` ask for, where they can be written beside an image at `output`; and the lock file that
    /// is named, where it can be read.
    pub(super) fn open(
        args: &'a BuildArgs,
        output: Option<&Path>,
        observer: &Observer,
        obstacles: &mut Obstacles,
    ) -> Records<'a> {
        let records = &args.records;
        if let Some(output) = output {
            obstacles.add(distinct(args, output));
        }
        for (option, path) in named(records).filter(|_| !args.dry_run) {
            let tried = match is_stdout(path) {
                true => Err(no_stream()),
                false => probe(path, args.force),
            };
            obstacles.keep(tried.map_err(|source| cannot_record(option, path, source)));
        }
        let locked = records.locked.as_deref();
        let locked = locked.and_then(|path| {
            let lock = obstacles.keep(read_lock(path, observer))?;
            Some((path, lock))
        });
        Records {
            args: records,
            locked,
        }
    }
}

/// That standard output is the image's, or the report's.
fn no_stream() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "standard output")
}

/// The files that are to be written, each with its option.
fn named(args: &RecordArgs) -> impl Iterator<Item = (&'static str, &Path)> {
    let options = [
        ("--depfile", &args.depfile),
        ("--lock", &args.lock),
        ("--sbom", &args.sbom),
    ];
    let named = options.into_iter();
    named.filter_map(|(option, path)| Some((option, path.as_deref()?)))
}

/// The files that are read, each with its option: what `--force` replaces must be none of them.
fn read_files(args: &BuildArgs) -> impl Iterator<Item = (&'static str, &Path)> {
    let packages = args.kernel.layers.0.iter().filter_map(|layer| match layer {
        Layer::Package(path) => Some(("--package", path.as_path())),
        Layer::Directory(_) => None,
    });
    let configurations = args.kernel.modprobe_conf.iter();
    let configurations = configurations.map(|path| ("--modprobe-conf", path.as_path()));
    let locked = args.records.locked.as_deref();
    let locked = locked.map(|path| ("--locked", path));
    let manifest = Some(args.manifest.as_str()).filter(|name| is_manifest_file(name));
    let manifest = manifest.map(|name| ("--manifest", Path::new(name)));
    let files = packages.chain(configurations).chain(locked).chain(manifest);
    files.filter(|(_, path)| !is_stdout(path))
}

/// That each file is another one, none that is read, and that there is one that a depfile could be of.
fn distinct(args: &BuildArgs, output: &Path) -> Vec<Problem<Obstacle>> {
    let mut files: Vec<_> = read_files(args).collect();
    let mut problems = Vec::new();
    let args = &args.records;
    for (option, path) in [("-o", output)].into_iter().chain(named(args)) {
        let same = files.iter().find(|(_, other)| is_same(path, other));
        if let Some((other, _)) = same {
            problems.push(Problem::new(
                format!("{option} {}", shown(path)),
                Obstacle::OutputTwice { other },
            ));
        }
        files.push((option, path));
    }
    if args.depfile.is_some() && is_stdout(output) {
        problems.push(Problem::new("--depfile", Obstacle::NoTarget));
    }
    problems
}

fn read_lock(path: &Path, observer: &Observer) -> Result<Lock, Problem<Obstacle>> {
    let expected = "a lock file";
    let told = |obstacle| Problem::new(shown(path), obstacle);
    let text = text::read_start(path, lock::LIMIT)
        .map_err(|source| told(Obstacle::Text { expected, source }))?;
    // It decides on no byte, but on whether there is an image.
    observer.text(None, path, &text);
    Lock::read(&text).map_err(|fault| told(Obstacle::Lock(fault)))
}

impl<'a> Records<'a> {
    /// What has become of them when all has been read: of `made`, or of nothing where something stood in the way.
    /// Whatever differs from the lock file is such.
    pub(super) fn settle(
        self,
        made: Option<&Made>,
        sources: &[Source],
        packages: &[PackageReport],
        obstacles: &mut Obstacles,
    ) -> Settled<'a> {
        let layers = layers(sources, packages).unwrap_or_default();
        let now = made.map(|made| lock_of(made, layers.clone()));
        if let Some((path, locked)) = &self.locked {
            let found = match &now {
                Some(now) => differences::all(locked, now),
                None => differences::so_far(locked, GENERATOR, &layers),
            };
            obstacles.add(problems(path, found, sources));
        }
        let depfile = made.filter(|_| self.args.depfile.is_some());
        let depfile = depfile.and_then(|made| {
            let text = depfile_of(self.args, &made.writing.output, sources);
            obstacles.keep_all(text)
        });
        Settled {
            args: self.args,
            locked: self.locked,
            now,
            depfile,
        }
    }
}

/// The layers as a lock has them; nothing where a package could not be read.
fn layers(sources: &[Source], packages: &[PackageReport]) -> Option<Vec<LockedLayer>> {
    let mut packages = packages.iter();
    let layers = sources.iter().filter_map(|source| match source.role? {
        Role::Package => Some(packages.next().map(LockedLayer::of_package)),
        role => Some(Some(LockedLayer::of_files(role, &source.journal.seen()))),
    });
    layers.collect()
}

fn lock_of(made: &Made, layers: Vec<LockedLayer>) -> Lock {
    let Made {
        asked, assembly, ..
    } = made;
    let request = &asked.request;
    Lock {
        schema_version: SCHEMA_VERSION,
        generator: GENERATOR.to_owned(),
        kernel: request.kernel.clone(),
        release: assembly.release.clone(),
        arch: assembly.arch.to_string(),
        manifest: LockedManifest {
            name: request.manifest.name.clone(),
            sha256: asked.manifest,
        },
        options: options(request, &made.writing),
        layers,
        image: None,
    }
}

/// What was asked for, as what it means: what is not given is what it is by default.
fn options(request: &Request, writing: &Writing) -> BTreeMap<String, Setting> {
    // Each by its name, so that none that comes later is forgotten. The others stand elsewhere in a lock, or are no
    // matter of an image's bytes.
    let Request {
        preload,
        with,
        builtin,
        omit_scsi,
        omit_raid,
        omit_lvm,
        root_device,
        root_options,
        keep_compressed,
        rootfs: _,
        kernel: _,
        modules: _,
        version: _,
        packages: _,
        manifest: _,
        arch: _,
        compression: _,
        config: _,
        threads: _,
    } = request;
    let Writing {
        encoding,
        mtime,
        output: _,
        force: _,
    } = writing;
    let compression = encoding.compression().name().to_owned();
    let options = [
        ("preload", Setting::Words(preload.clone())),
        ("with", Setting::Words(with.clone())),
        ("builtin", Setting::Words(builtin.clone())),
        ("omit-scsi-modules", Setting::Flag(*omit_scsi)),
        ("omit-raid-modules", Setting::Flag(*omit_raid)),
        ("omit-lvm-modules", Setting::Flag(*omit_lvm)),
        ("rootfs", Setting::Word(request.rootfs().to_owned())),
        ("root-device", Setting::from(root_device)),
        ("root-options", Setting::from(root_options)),
        ("keep-compressed", Setting::Flag(*keep_compressed)),
        ("compress", Setting::Word(compression)),
        ("level", Setting::Number(encoding.level().into())),
        (SOURCE_DATE, Setting::Number(*mtime)),
    ];
    let named = options.into_iter();
    named
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The one setting that is no option.
const SOURCE_DATE: &str = "SOURCE_DATE_EPOCH";

/// What differs from the lock file at `path`, each told by what a person typed.
fn problems(
    path: &Path,
    differences: Vec<Difference>,
    sources: &[Source],
) -> Vec<Problem<Obstacle>> {
    let layers: Vec<_> = sources
        .iter()
        .filter(|source| source.role.is_some())
        .collect();
    let more = differences.len().saturating_sub(TOLD);
    let differs = |difference: Difference| {
        let (lock, difference) = (shown(path), Box::new(difference));
        let place = brief(place(&difference.what, &layers), PLACE);
        Problem::new(place, Obstacle::Locked { lock, difference })
    };
    let told = differences.into_iter().take(TOLD).map(differs);
    let more = (more > 0).then(|| Problem::new(shown(path), Obstacle::More(more)));
    told.chain(more).collect()
}

fn place(what: &What, layers: &[&Source]) -> String {
    let layer = |number: usize, path: &str| match layers.get(number) {
        Some(source) => shown(&source.host_path(path.as_bytes())),
        None => path.to_owned(),
    };
    match what {
        What::Tool => "xinitrd".to_owned(),
        What::Kernel => "--kernel".to_owned(),
        What::Release => "the kernel's release".to_owned(),
        What::Arch => "the architecture".to_owned(),
        What::Manifest => "--manifest".to_owned(),
        What::Setting(name) if name == SOURCE_DATE => name.clone(),
        What::Setting(name) => format!("--{}", Shown(name.as_bytes())),
        What::Layers => "the roots, packages and directories".to_owned(),
        What::Package(number) => layer(*number, ""),
        What::File(number, path) => layer(*number, path),
        What::Image => "the image".to_owned(),
    }
}

/// The depfile's text. A directory that a file of this very build is written to changes by that alone, and is left out.
fn depfile_of(
    args: &RecordArgs,
    output: &Path,
    sources: &[Source],
) -> Result<Vec<u8>, Vec<Problem<Obstacle>>> {
    let outputs: Vec<&Path> = [output]
        .into_iter()
        .chain(named(args).map(|(_, path)| path))
        .collect();
    let is_written_to = |directory: &PathBuf| outputs.iter().any(|output| is_in(output, directory));
    let mut inputs = BTreeSet::new();
    for source in sources.iter().filter(|source| !is_stdout(&source.top)) {
        let seen = source.journal.seen();
        let host = |path: &ImagePath| source.host_path(path.as_bytes());
        let directories = seen.directories.iter().map(host);
        inputs.extend(directories.filter(|directory| !is_written_to(directory)));
        inputs.extend(seen.files.keys().map(host));
    }
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let inputs = inputs.iter().map(|path| bytes(path)).collect();
    depfile::text(&bytes(output), &inputs).map_err(|bad| {
        let problem = |bad: depfile::Unwritable| {
            Problem::new(Shown(&bad.path).to_string(), Obstacle::Depfile(bad))
        };
        bad.into_iter().map(problem).collect()
    })
}

/// The records of an image that nothing stands in the way of.
pub(super) struct Settled<'a> {
    args: &'a RecordArgs,
    locked: Option<(&'a Path, Lock)>,
    now: Option<Lock>,
    depfile: Option<Vec<u8>>,
}

impl Settled<'_> {
    /// What is to be written beside the image, now that it is known.
    ///
    /// # Errors
    /// When it is another image than the lock file has.
    pub(super) fn files(
        &self,
        made: &Made,
        packages: &[PackageReport],
        image: &ImageReport,
    ) -> Result<Vec<SideFile>, Error> {
        self.hold_against(image)?;
        let text = |option| match option {
            "--depfile" => Ok(self.depfile.clone().unwrap_or_default()),
            "--lock" => self.lock_text(image),
            _ => sbom_text(made, packages, image),
        };
        let file = |(option, path): (&'static str, &Path)| {
            let path = path.to_owned();
            match text(option) {
                Ok(text) => Ok(SideFile { option, path, text }),
                Err(error) => {
                    let problem = cannot_record(option, &path, error);
                    Err(Error::Refused(vec![problem]))
                }
            }
        };
        named(self.args).map(file).collect()
    }

    fn hold_against(&self, image: &ImageReport) -> Result<(), Error> {
        let Some((path, locked)) = &self.locked else {
            return Ok(());
        };
        match differences::image(locked, &locked_image(image)) {
            None => Ok(()),
            Some(differs) => Err(Error::Refused(problems(path, vec![differs], &[]))),
        }
    }

    /// A lock that could not be read again is none.
    fn lock_text(&self, image: &ImageReport) -> io::Result<Vec<u8>> {
        let Some(now) = self.now.clone() else {
            return Ok(Vec::new());
        };
        let image = Some(locked_image(image));
        let text = Lock { image, ..now }.text()?.into_bytes();
        match text.len() as u64 > lock::LIMIT {
            true => Err(io::Error::other(LockFault::TooLarge)),
            false => Ok(text),
        }
    }
}

fn locked_image(image: &ImageReport) -> LockedImage {
    LockedImage {
        sha256: image.sha256,
        size: image.size,
    }
}

fn sbom_text(made: &Made, packages: &[PackageReport], image: &ImageReport) -> io::Result<Vec<u8>> {
    let init = ImagePath::new("init").unwrap_or_default();
    let is_own = made.asked.request.manifest.init == InitKind::Native;
    let account = Account {
        kernel: &made.asked.request.kernel,
        plan: &made.assembly.plan,
        packages,
        own_program: is_own.then_some(&init),
        image,
        created: made.writing.mtime,
    };
    Ok(spdx::text(&account)?.into_bytes())
}
