//! What the user typed.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize, ParseIntError};
use std::path::PathBuf;

use clap::{
    Arg, ArgAction, ArgGroup, ArgMatches, Args, FromArgMatches, Parser, Subcommand, value_parser,
};

use crate::arch::Arch;
use crate::archive::Limits;
use crate::compress::Compression;
use crate::kernel_version::NamedKernel;
use crate::xen_version::XenVersion;

/// Builds and judges initial ramdisks for Xen guests, for any architecture, on any host.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image for the guest's kernel, or say everything that stands in the way
    // It has no arguments without a name: what a shell makes of one pattern are packages, all of it.
    #[command(after_help = BUILD_EXAMPLE, mut_arg("package", |arg| arg.num_args(1..)))]
    Build(Box<BuildArgs>),
    /// Print the modules that loading some takes, in load order, one path a line
    #[command(after_help = RESOLVE_EXAMPLE)]
    Resolve(ResolveArgs),
    /// List the shipped manifests, or print one
    #[command(after_help = "Example:\n  xinitrd manifests busybox > mine.toml")]
    Manifests {
        /// The one to print
        name: Option<String>,
    },
    /// Judge images: what is in them, what is wrong with them, and what to do about it
    #[command(after_help = INSPECT_EXAMPLE, mut_arg("root", |arg| arg.help(INSPECT_ROOT)))]
    Inspect(Box<InspectArgs>),
    /// Print what images are judged by: every rule in a line, or all about one
    #[command(after_help = "Example:\n  xinitrd explain missing-parent")]
    Explain(ExplainArgs),
    /// Print the names in an image, as they stand there, one a line
    #[command(after_help = LIST_EXAMPLE)]
    List(ListArgs),
    /// Print a file of an image
    #[command(after_help = "Example:\n  xinitrd cat initrd.img init")]
    Cat(CatArgs),
    /// Put the entries of an image below a directory, and nowhere else
    #[command(after_help = EXTRACT_EXAMPLE)]
    Extract(ExtractArgs),
    /// Put the files of packages below a directory that --root takes; no script of a package is run
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(ImportArgs),
    /// Compare two images by what a guest would get of them
    #[command(after_help = DIFF_EXAMPLE)]
    Diff(DiffArgs),
}

const BUILD_EXAMPLE: &str = "Examples:
  xinitrd build --kernel 6.1.0-43-amd64 --root ./guest
  xinitrd build --kernel 6.1.0-43-amd64 --root ./guest --manifest busybox --bins ./bins -o initrd.img
  xinitrd build --kernel 2.6.9-67.0.1.ELxenU-x86_64 --root ./guest --bins ./bins \\
      --preload xenblk --preload xennet --omit-scsi-modules
  xinitrd build --package linux-image-6.1.0-*-amd64_*.deb";
const RESOLVE_EXAMPLE: &str = "Example:
  xinitrd resolve --kernel 6.1.0-43-amd64 --root ./guest xenblk xennet ext4";

const INSPECT_EXAMPLE: &str =
    "Exit code: 0, no error was found; 1, an image was judged bad; 2, none was, and one cannot be read.

Examples:
  xinitrd inspect initrd.img
  xinitrd inspect --xen 4.17 --kernel-version 2.6.18 --deny warnings *.img
  xinitrd inspect --root ./guest --kernel 6.1.0-43-amd64 --json initrd.img";
const INSPECT_ROOT: &str =
    "A root with the guest's kernel in it: which drivers are built in, which symbols it has";
const EXTRACT_EXAMPLE: &str = "Examples:
  xinitrd extract initrd.img -C tree
  xinitrd extract initrd.img -C tree init 'lib/modules/*/modules.*'";
const IMPORT_EXAMPLE: &str = "Example:
  xinitrd import linux-image-6.1.0-43-amd64_*.deb busybox-static_*.deb -C guest
  xinitrd build --root guest --manifest busybox";
const DIFF_EXAMPLE: &str =
    "Exit code: 0, a guest would get the same; 1, they differ; 2, one cannot be read.

Example:
  xinitrd diff yesterday.img today.img";
const LIST_EXAMPLE: &str = "Examples:
  xinitrd list initrd.img
  xz -dc guest.xz | xinitrd list -l -";

/// What the limits stand under in --help.
const LIMITS: &str = "Limits";

/// How far an image is followed, whatever it says of itself.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Refuse an image of more entries
    #[arg(long, value_name = "N", default_value_t = Limits::default().entries, hide_short_help = true)]
    pub max_entries: u64,
    /// Refuse an image of more segments
    #[arg(long, value_name = "N", default_value_t = Limits::default().segments, hide_short_help = true)]
    pub max_segments: u64,
    /// Refuse names of more bytes; the kernel takes 4096
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().name, hide_short_help = true)]
    pub max_name: u64,
    /// Refuse an image that is larger unpacked; K, M and G may follow the number
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = size, hide_short_help = true)]
    pub max_size: u64,
    /// Refuse an image that unpacks to more than so many times its size, above a quarter of the largest
    #[arg(long, value_name = "N", default_value_t = Limits::default().ratio, hide_short_help = true)]
    pub max_ratio: u64,
    /// Refuse what takes more memory: a decoder's window; three eighths of it for the names and facts of an image
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = size, hide_short_help = true)]
    pub max_memory: u64,
}

impl LimitArgs {
    /// What was typed, as what it means.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            entries: self.max_entries,
            segments: self.max_segments,
            name: self.max_name,
            size: self.max_size,
            ratio: self.max_ratio,
            memory: self.max_memory,
        }
    }
}

/// A number of bytes, with K, M or G for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let unit = match text.strip_prefix(digits) {
        Some("") => Some(1),
        Some("K") => Some(1 << 10),
        Some("M") => Some(1 << 20),
        Some("G") => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    let bytes = number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit));
    bytes.ok_or_else(|| "a number of bytes is expected, as 4096, 64K, 512M or 4G".to_owned())
}

/// A number of threads: whatever is typed on any host means as many as this one can count.
fn threads(text: &str) -> Result<NonZeroUsize, ParseIntError> {
    let number: NonZeroU64 = text.parse()?;
    Ok(NonZeroUsize::try_from(number).unwrap_or(NonZeroUsize::MAX))
}

/// The arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The images; - is standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// The guest's kernel, as 6.1 or as uname -r gives it: what it can read, and what it would skip, reject
    /// or override; of a whole release, whose modules the image must have [default: what
    /// the modules are of; where there are none, and for unpacking, today's]
    #[arg(long, value_name = "V")]
    pub kernel_version: Option<NamedKernel>,
    /// The version of Xen that starts the guest [default: any]
    #[arg(long, value_name = "V")]
    pub xen: Option<XenVersion>,
    /// The guest's architecture: x86_64, i386 or aarch64 [default: read from the modules]
    #[arg(long)]
    pub arch: Option<Arch>,
    /// The guest's root, or its kernel's package.
    #[command(flatten)]
    pub layers: LayerArgs,
    /// The directory of the kernel's modules in that root; may be left out where there is just one
    #[arg(long, value_name = "KVER", requires = "layers")]
    pub kernel: Option<String>,
    /// A device of the guest, by its modalias (xen:vbd, virtio:d00000002v00001AF4) or its driver's name: an
    /// image without a driver for it is bad
    #[arg(long, value_name = "ALIAS")]
    pub device: Vec<String>,
    /// Print a JSON object a line for each image
    #[arg(long)]
    pub json: bool,
    /// Take what these rules find for errors; `warnings` stands for every rule
    #[arg(long, value_name = "RULE|warnings,...", value_delimiter = ',')]
    pub deny: Vec<String>,
    /// Pass over what these rules find, denied or not; `warnings` stands for every warning of a rule that is
    /// not denied by its name
    #[arg(long, value_name = "RULE|warnings,...", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// How many images are judged at a time, 64 at most [default: the machine's processors]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
    /// How far they are followed.
    #[command(flatten, next_help_heading = LIMITS)]
    pub limits: LimitArgs,
}

/// The arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The one image; - is standard input
    #[arg(value_name = "A")]
    pub first: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub second: PathBuf,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
    /// How far they are followed.
    #[command(flatten, next_help_heading = LIMITS)]
    pub limits: LimitArgs,
}

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The rule to explain
    pub rule: Option<String>,
    /// Print all about every rule, as docs/rules.md has it
    #[arg(long, conflicts_with = "rule")]
    pub markdown: bool,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The image; - is standard input
    pub image: PathBuf,
    /// Print modes, owners, sizes and times too, as ls -l does; times in UTC
    #[arg(short, long, conflicts_with = "json")]
    pub long: bool,
    /// Print a JSON object a line for each entry
    #[arg(long)]
    pub json: bool,
    /// How far it is followed.
    #[command(flatten, next_help_heading = LIMITS)]
    pub limits: LimitArgs,
}

/// The arguments of `extract`.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// The image; - is standard input
    pub image: PathBuf,
    /// Where the entries go; the directory is made if it is not there
    #[arg(short = 'C', long, value_name = "DIR")]
    pub directory: PathBuf,
    /// Extract what matches alone, and all below it; * matches slashes too
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,
    /// Replace what is there; a directory never
    #[arg(short, long)]
    pub force: bool,
    /// Give files the owners they have in the image, and keep set-user-ID bits
    #[arg(long)]
    pub owners: bool,
    /// Make devices, pipes and sockets too
    #[arg(long)]
    pub nodes: bool,
    /// How far it is followed.
    #[command(flatten, next_help_heading = LIMITS)]
    pub limits: LimitArgs,
}

/// The arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The packages, each over those before it; - is standard input
    #[arg(required = true, value_name = "PACKAGE")]
    pub packages: Vec<PathBuf>,
    /// Where the files go; the directory is made if it is not there, and is then there whole or not at all
    #[arg(short = 'C', long, value_name = "DIR")]
    pub directory: PathBuf,
    /// Replace what is there; a directory never
    #[arg(short, long)]
    pub force: bool,
    /// Give files the owners they have in the package, and keep set-user-ID bits
    #[arg(long)]
    pub owners: bool,
    /// Make devices, pipes and sockets too
    #[arg(long)]
    pub nodes: bool,
}

/// The arguments of `cat`.
#[derive(Debug, Args)]
pub struct CatArgs {
    /// The image; - is standard input
    pub image: PathBuf,
    /// The file's path in the image
    pub path: OsString,
    /// How far it is followed.
    #[command(flatten, next_help_heading = LIMITS)]
    pub limits: LimitArgs,
}

/// What a foreign system lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// A directory.
    Directory(PathBuf),
    /// A package.
    Package(PathBuf),
}

/// Directories and packages, in the order in which they were typed: the later on top.
#[derive(Debug)]
pub struct LayerArgs(pub Vec<Layer>);

impl Args for LayerArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let layer = |name, value| {
            let arg = Arg::new(name).long(name).value_name(value);
            arg.action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
        };
        let root = "The foreign system's root: every look-up and every link stays inside it; several lie on each \
            other, the later on top [default: / where there is no --package]";
        let package = "A package that is looked into as if it had been unpacked onto the roots and packages before \
            it: .deb, .rpm, .pkg.tar.zst, .apk, .tar.gz";
        command
            .arg(layer("root", "DIR").help(root))
            .arg(layer("package", "FILE").help(package))
            .group(
                ArgGroup::new("layers")
                    .args(["root", "package"])
                    .multiple(true),
            )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LayerArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let of = |name, layer: fn(PathBuf) -> Layer| {
            let paths = matches.get_many::<PathBuf>(name).unwrap_or_default();
            let places = matches.indices_of(name).unwrap_or_default();
            places.zip(paths.map(move |path| layer(path.clone())))
        };
        let roots = of("root", Layer::Directory);
        let mut layers: Vec<_> = roots.chain(of("package", Layer::Package)).collect();
        layers.sort_by_key(|(place, _)| *place);
        Ok(LayerArgs(
            layers.into_iter().map(|(_, layer)| layer).collect(),
        ))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Where the kernel's modules are.
#[derive(Debug, Args)]
pub struct KernelArgs {
    /// The directory under lib/modules or usr/lib/modules; may be left out where there is just one
    #[arg(long, value_name = "KVER")]
    pub kernel: Option<String>,
    /// The foreign system.
    #[command(flatten)]
    pub layers: LayerArgs,
    /// Options and aliases of modules: a file, or a directory of them [default: the root's own]
    #[arg(long, value_name = "FILE")]
    pub modprobe_conf: Vec<PathBuf>,
    /// Count a module as built into the kernel
    #[arg(long, value_name = "MOD")]
    pub builtin: Vec<String>,
    /// How many threads work at a time, 64 at most [default: the machine's processors]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
}

/// The arguments of `build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// A directory looked into first for the programs that the manifest wants, by file name (nash,
    /// insmod.static, busybox); native wants none
    #[arg(long, value_name = "DIR")]
    pub bins: Vec<PathBuf>,
    /// The kind of image: a shipped manifest, a file, or auto, which goes by the kernel's version: native
    /// from 2.6.24
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    pub manifest: String,
    /// The image's file, with the mode the umask leaves; - is standard output [default: initrd-KVER.img]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the output if it is there, and a regular file
    #[arg(short, long)]
    pub force: bool,
    /// Load a module before all others
    #[arg(long, value_name = "MOD")]
    pub preload: Vec<String>,
    /// Load a module after all others
    #[arg(long, value_name = "MOD")]
    pub with: Vec<String>,
    /// Leave SCSI modules out
    #[arg(long)]
    pub omit_scsi_modules: bool,
    /// Leave RAID modules out
    #[arg(long)]
    pub omit_raid_modules: bool,
    /// Leave device-mapper modules out
    #[arg(long)]
    pub omit_lvm_modules: bool,
    /// The root file system's type [default: the manifest's]
    #[arg(long, value_name = "TYPE")]
    pub rootfs: Option<String>,
    /// The root device; the kernel command line's root= overrides it
    #[arg(long, value_name = "DEV")]
    pub root_device: Option<String>,
    /// Mount options of the root file system
    #[arg(long, value_name = "OPTS")]
    pub root_options: Option<String>,
    /// x86_64, i386 or aarch64 [default: read from the modules]
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Leave compressed modules compressed
    #[arg(long)]
    pub keep_compressed: bool,
    /// gzip, none, xz, zstd or lz4
    #[arg(long, value_name = "NAME", default_value = "gzip")]
    pub compress: Compression,
    /// The compression level
    #[arg(long, value_name = "N", conflicts_with = "best")]
    pub level: Option<u8>,
    /// Compress as well as can be done in reasonable time
    #[arg(long)]
    pub best: bool,
    /// What is written of it.
    #[command(flatten)]
    pub records: RecordArgs,
    /// Decide on everything, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the report, or what stands in the way, as JSON
    #[arg(long)]
    pub json: bool,
    /// Print no report
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print every entry too
    #[arg(short, long)]
    pub verbose: bool,
}

/// What is written of an image beside it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Records")]
pub struct RecordArgs {
    /// Write what the image was made of: each input with its digest, the options, the image's own digest
    #[arg(long, value_name = "FILE", conflicts_with = "locked")]
    pub lock: Option<PathBuf>,
    /// Refuse, and tell every difference, where anything is not as --lock has written it
    #[arg(long, value_name = "FILE")]
    pub locked: Option<PathBuf>,
    /// Write a rule for make and ninja with every file and directory that the image depends on
    #[arg(long, value_name = "FILE")]
    pub depfile: Option<PathBuf>,
    /// Write what is in the image, and of which packages, as SPDX 2.3 JSON
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,
}

/// The arguments of `resolve`.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Print what each module needs, indented under it
    #[arg(long, conflicts_with = "json")]
    pub tree: bool,
    /// Print the load order, or what stands in the way, as JSON
    #[arg(long)]
    pub json: bool,
    /// Names or aliases
    #[arg(required = true, value_name = "MODULE")]
    pub modules: Vec<String>,
}
