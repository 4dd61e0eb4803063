//! The minimal Xen image of a Debian kernel, built by xinitrd and by what else there is, in turn.
//!
//! `cargo bench --bench minimal -- [ROUNDS]` prints, for each builder, the median wall time over
//! ROUNDS (default 9), its ratio to xinitrd's, and the bytes out. The floor is this program itself,
//! started anew: it reads the same files and compresses them with the same encoder, and decides
//! nothing. The script is what an administrator would write with modprobe, cpio and gzip.

#![allow(
    clippy::indexing_slicing,
    reason = "a benchmark indexes its own tables"
)]

use std::env;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xinitrd::compress::{Compression, Encoding, encode};
use xinitrd::rope::Rope;

type Failure = Box<dyn std::error::Error>;

/// What every builder is to put in.
const MODULES: [&str; 3] = ["xen-blkfront", "xen-netfront", "ext4"];

/// A builder by name, and the command that runs it once.
type Builder = (&'static str, Vec<String>);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let done = match arguments.split_first() {
        Some((first, files)) if first == "floor" => floor(files),
        first => compare(first.and_then(|(n, _)| n.parse().ok()).unwrap_or(9)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("minimal: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads `files` but the last, compresses them together, and writes the last.
fn floor(files: &[String]) -> Result<(), Failure> {
    let (output, inputs) = files.split_last().ok_or("floor: no output named")?;
    let contents = inputs
        .iter()
        .map(fs::read)
        .collect::<io::Result<Vec<_>>>()?;
    let mut rope = Rope::new();
    contents
        .iter()
        .for_each(|content| rope.push(content.as_slice()));
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let encoding = Encoding::new(
        Compression::Gzip,
        Compression::Gzip.default_level(),
        threads,
    )?;
    let mut out = fs::File::create(output)?;
    encode(&rope, &encoding, &mut out, &|_| {})?;
    Ok(out.sync_all()?)
}

fn compare(rounds: usize) -> Result<(), Failure> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = fetched(top, "kernel-6.1-amd64-depmod")?;
    let bins = fetched(top, "busybox-amd64")?.join("bin");
    let kernel = only_name(&root.join("lib/modules"))?;
    let work = tempfile::tempdir()?;
    let output = work.path().join("image");
    let builders = builders(&root, &bins, &kernel, &output)?;
    let mut times = vec![Vec::new(); builders.len()];
    let mut sizes = vec![0; builders.len()];
    for round in 0..=rounds {
        for (index, (name, command)) in builders.iter().enumerate() {
            let time = run(name, command)?;
            sizes[index] = fs::metadata(&output)?.len();
            fs::remove_file(&output)?;
            // The first round only warms the page cache.
            if round > 0 {
                times[index].push(time);
            }
        }
    }
    print(&builders, &times, &sizes);
    Ok(())
}

fn builders(
    root: &Path,
    bins: &Path,
    kernel: &str,
    output: &Path,
) -> Result<Vec<Builder>, Failure> {
    let text = |path: &Path| path.display().to_string();
    let (root_text, bins_text, output_text) = (text(root), text(bins), text(output));
    let xinitrd = |extra: &[&str]| {
        let base = [
            env!("CARGO_BIN_EXE_xinitrd"),
            "build",
            "-q",
            "--kernel",
            kernel,
            "--root",
        ];
        let rest = [root_text.as_str(), "--bins", &bins_text, "-o", &output_text];
        base.iter()
            .chain(&rest)
            .chain(extra)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let mut floor = vec![text(&env::current_exe()?), "floor".to_owned()];
    floor.extend(load_order(root, kernel)?);
    floor.push(text(&bins.join("busybox")));
    floor.push(output_text.clone());
    let script = |level: &str| {
        let lines = format!(
            "set -eu; t=$(mktemp -d); mkdir -p $t/bin $t/lib; cp {bins_text}/busybox $t/bin/\n\
             for m in {}; do PATH=$PATH:/usr/sbin modprobe -C /dev/null -d {root_text} -S {kernel} --show-depends $m; done |\n\
             while read -r _ f _; do cp $f $t/lib/; done\n\
             (cd $t && find . | cpio -o -H newc --quiet | gzip {level}) > {output_text}; rm -r $t",
            MODULES.join(" ")
        );
        vec!["sh".to_owned(), "-c".to_owned(), lines]
    };
    Ok(vec![
        ("xinitrd", xinitrd(&[])),
        ("xinitrd --best", xinitrd(&["--best"])),
        ("floor", floor),
        ("script, gzip -6", script("-6")),
        ("script, gzip -9", script("-9")),
    ])
}

/// The files that loading [`MODULES`] takes.
fn load_order(root: &Path, kernel: &str) -> Result<Vec<String>, Failure> {
    let found = Command::new(env!("CARGO_BIN_EXE_xinitrd"))
        .args(["resolve", "--kernel", kernel, "--root"])
        .arg(root)
        .args(MODULES)
        .output()?;
    Ok(String::from_utf8(found.stdout)?
        .lines()
        .map(str::to_owned)
        .collect())
}

fn fetched(top: &Path, name: &str) -> Result<PathBuf, Failure> {
    let found = Command::new(top.join("testdata/fetch.sh"))
        .arg(name)
        .stderr(Stdio::inherit())
        .output()?;
    if !found.status.success() {
        return Err(format!("testdata/fetch.sh {name} failed").into());
    }
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}

fn only_name(directory: &Path) -> Result<String, Failure> {
    let entry = fs::read_dir(directory)?.next().ok_or("no kernel")??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

fn run(name: &str, command: &[String]) -> Result<Duration, Failure> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{name} failed: {status}").into());
    }
    Ok(start.elapsed())
}

fn print(builders: &[Builder], times: &[Vec<Duration>], sizes: &[u64]) {
    let median = |times: &Vec<Duration>| {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2].as_secs_f64() * 1000.0
    };
    let own = median(&times[0]);
    println!(
        "{:<16} {:>9} {:>7} {:>10}",
        "builder", "ms", "ratio", "bytes"
    );
    for ((builder, times), size) in builders.iter().zip(times).zip(sizes) {
        let ms = median(times);
        println!("{:<16} {ms:>9.1} {:>7.2} {size:>10}", builder.0, ms / own);
    }
}
