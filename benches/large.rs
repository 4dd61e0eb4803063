//! All modules of a Debian kernel in one image, built by xinitrd and packed by archivers, in turn.
//!
//! `cargo bench --bench large -- [ROUNDS]` prints, for each builder, the median wall time over
//! ROUNDS (default 5), its ratio to xinitrd's, the bytes out and the peak of memory: stored and
//! compressed into memory, and stored onto the disk. xinitrd reads the kernel's tree, judges every
//! module and orders them; the others are given its image unpacked, and so only pack: the same
//! files, less the device nodes. As xinitrd has its image on the disk before it ends, so have they:
//! each ends with sync(1) of what it wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use walkdir::WalkDir;
use xinitrd::compress::Compression;

use common::{Entrant, Failure, Outcome, fetched, kernel_of, missing, printed, shell, text};

#[allow(dead_code, reason = "every comparison uses a part of it")]
mod common;

const MIB: f64 = 1024.0 * 1024.0;
/// Programs, and how they are had.
const CPIO: (&str, &str) = ("cpio", "apt-get install cpio");
const PIGZ: (&str, &str) = ("pigz", "apt-get install pigz");
const THREECPIO: (&str, &str) = ("3cpio", "cargo install threecpio");

/// What all builders are given.
struct Job {
    /// What to begin an `xinitrd build` with.
    build: Vec<String>,
    /// The image's files, unpacked.
    tree: PathBuf,
    /// The regular files among them, one a line.
    list: PathBuf,
    /// All of them, for 3cpio.
    manifest: PathBuf,
    output: PathBuf,
}

fn main() -> ExitCode {
    common::main(5, compare)
}

fn compare(rounds: usize) -> Result<(), Failure> {
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let root = fetched("kernel-6.1-amd64-depmod")?;
    let wanted = modules(&root);
    let mut job = prepared(&root, work.path())?;
    let race = |title: &str, entrants: [Entrant; 4], output: &Path| {
        let title = format!("{} modules {title}", wanted.len());
        common::race(&title, &entrants, output, &wanted, rounds)
    };
    let memory = tempfile::tempdir_in("/dev/shm")?;
    job.output = memory.path().join("image");
    let in_memory = race("stored, into memory", stored(&job)?, &job.output)?;
    let in_gzip = race("compressed, into memory", compressed(&job)?, &job.output)?;
    tell_memory(&in_memory, &in_gzip);
    job.output = work.path().join("image");
    race("stored, onto the disk", stored(&job)?, &job.output)?;
    Ok(())
}

/// The file names of all modules of a root.
fn modules(root: &Path) -> Vec<String> {
    let entries = WalkDir::new(root.join("lib/modules")).into_iter().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".ko")).collect()
}

/// Writes the manifests, builds the image once, and unpacks it.
fn prepared(root: &Path, work: &Path) -> Result<Job, Failure> {
    let manifest = work.join("all.toml");
    fs::write(&manifest, every_module()?)?;
    let bins = fetched("busybox-amd64")?.join("bin");
    let (kernel, root, bins, manifest) =
        (kernel_of(root)?, text(root), text(&bins), text(&manifest));
    let build = [
        "build", "-q", "--kernel", &kernel, "--root", &root, "--bins", &bins,
    ];
    let build = [build.as_slice(), &["--manifest", &manifest]].concat();
    let job = Job {
        build: build.into_iter().map(str::to_owned).collect(),
        tree: work.join("tree"),
        list: work.join("files"),
        manifest: work.join("manifest"),
        output: work.join("image"),
    };
    unpack(&job)?;
    describe(&job)?;
    Ok(job)
}

/// The shipped manifest, asked for all modules.
fn every_module() -> Result<String, Failure> {
    let mut xinitrd = Command::new(env!("CARGO_BIN_EXE_xinitrd"));
    let shipped = printed(xinitrd.args(["manifests", "busybox"]))?;
    let all = shipped.replacen("\n[modules]\n", "\n[modules]\ninclude = [\"*\"]\n", 1);
    if all == shipped {
        return Err("the busybox manifest has no [modules]".into());
    }
    Ok(all)
}

/// All but the device nodes, which take root.
fn unpack(job: &Job) -> Result<(), Failure> {
    let mut xinitrd = Command::new(env!("CARGO_BIN_EXE_xinitrd"));
    let stored = xinitrd.args(&job.build).args(["--compress", "none", "-o"]);
    printed(stored.arg(&job.output))?;
    fs::create_dir(&job.tree)?;
    let lines = r#"cd "$0" && cpio -id --quiet -f 'dev/*' <"$1""#;
    printed(
        Command::new("sh")
            .args(["-c", lines])
            .arg(&job.tree)
            .arg(&job.output),
    )?;
    Ok(fs::remove_file(&job.output)?)
}

/// The list for the floor, and the manifest for 3cpio.
fn describe(job: &Job) -> Result<(), Failure> {
    let (mut list, mut manifest) = (String::new(), String::from("#cpio\n"));
    for entry in WalkDir::new(&job.tree).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let name = text(entry.path().strip_prefix(&job.tree)?);
        let path = text(entry.path());
        manifest += &format!("{path}\t{name}\n");
        if entry.file_type().is_file() {
            list += &format!("{path}\n");
        }
    }
    fs::write(&job.list, list)?;
    Ok(fs::write(&job.manifest, manifest)?)
}

fn stored(job: &Job) -> Result<[Entrant; 4], Failure> {
    let (tree, manifest, output) = (text(&job.tree), text(&job.manifest), text(&job.output));
    let threecpio = format!("3cpio -c {output} <{manifest}; sync {output}");
    let cpio = format!("cd {tree}; find . | cpio -o -H newc --quiet >{output}; sync {output}");
    Ok([
        ours(job, Compression::None),
        floor(job, Compression::None)?,
        Entrant::peer("3cpio", THREECPIO, &shell(&threecpio)),
        Entrant::peer("GNU cpio", CPIO, &shell(&cpio)),
    ])
}

fn compressed(job: &Job) -> Result<[Entrant; 4], Failure> {
    let (tree, manifest, output) = (text(&job.tree), text(&job.manifest), text(&job.output));
    let pigz = format!("pigz -n -6 >{output}; sync {output}");
    let threecpio = format!("3cpio -c <{manifest} | {pigz}");
    let cpio = format!("cd {tree}; find . | cpio -o -H newc --quiet | {pigz}");
    let no_pigz = missing(PIGZ.0, PIGZ.1);
    Ok([
        ours(job, Compression::Gzip),
        floor(job, Compression::Gzip)?,
        Entrant::peer("3cpio, pigz -6", THREECPIO, &shell(&threecpio)).unless(no_pigz),
        Entrant::peer("cpio, pigz -6", PIGZ, &shell(&cpio)),
    ])
}

fn ours(job: &Job, compression: Compression) -> Entrant {
    let output = text(&job.output);
    let build = job.build.iter().map(String::as_str);
    let how = ["--compress", compression.name(), "-o", &output];
    let arguments: Vec<_> = build.chain(how).collect();
    Entrant::ours("xinitrd", &arguments).above("floor")
}

fn floor(job: &Job, compression: Compression) -> Result<Entrant, Failure> {
    let encoding = (compression, compression.default_level());
    Entrant::floor("floor", encoding, &job.list, &job.output)
}

/// What the bytes of the image themselves do not account for.
fn tell_memory(stored: &[Outcome], compressed: &[Outcome]) {
    let (Some(stored), Some(compressed)) = (stored.first(), compressed.first()) else {
        return;
    };
    let content = stored.bytes as f64 / MIB;
    let beyond = |outcome: &Outcome| outcome.peak as f64 / 1024.0 - content;
    println!(
        "xinitrd's peak beyond the image's {content:.1} MiB: stored {:.1} MiB, compressed {:.1} MiB\n",
        beyond(stored),
        beyond(compressed),
    );
}
