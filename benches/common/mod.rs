//! What the comparisons share: programs that build one image each, run in turn, and a table of
//! what they took.
//!
//! In come entrants, each with the command that leaves an image at one agreed path. The first
//! round is not timed: it warms the page cache, lists each image to see that what was wanted is in
//! it, and takes its size and the builder's memory. One that fails there is named below the table
//! and never timed. The rounds that follow run all entrants one after another, so that a machine
//! which is slow for a while is slow for each of them.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xinitrd::compress::{Compression, Encoding, encode};
use xinitrd::rope::Rope;

pub type Failure = Box<dyn std::error::Error>;

/// One row of a table.
pub struct Entrant {
    name: &'static str,
    /// The name of the floor that it is held against.
    floor: Option<&'static str>,
    /// Whether the image is an archive, and not a floor's bare bytes.
    archive: bool,
    /// Why it cannot run here.
    absent: Option<String>,
    command: Vec<String>,
}

/// What an entrant took.
pub struct Outcome {
    times: Vec<Duration>,
    pub bytes: u64,
    /// The largest resident set of any one process of it, in KiB.
    pub peak: u64,
}

impl Entrant {
    /// This project's program with `arguments`.
    pub fn ours(name: &'static str, floor: &'static str, arguments: &[&str]) -> Entrant {
        let command = [&[env!("CARGO_BIN_EXE_xinitrd")], arguments].concat();
        Entrant {
            floor: Some(floor),
            ..Entrant::of(name, words(&command))
        }
    }

    /// This benchmark's own program, started anew: it reads the files that `list` names, one a
    /// line, compresses them with the same encoder, and decides nothing.
    pub fn floor(
        name: &'static str,
        (compression, level): (Compression, u8),
        list: &Path,
        output: &Path,
    ) -> Result<Entrant, Failure> {
        let program = text(&env::current_exe()?);
        let (level, list, output) = (level.to_string(), text(list), text(output));
        let command = [
            &program,
            "floor",
            compression.name(),
            &level,
            &list,
            &output,
        ];
        Ok(Entrant {
            archive: false,
            ..Entrant::of(name, words(&command))
        })
    }

    /// A command of others, where `program` is here, which `package` has.
    pub fn peer(name: &'static str, (program, package): (&str, &str), command: &[&str]) -> Entrant {
        Entrant {
            absent: missing(program, package),
            ..Entrant::of(name, words(command))
        }
    }

    /// Not run, for `reason`, if there is one.
    pub fn unless(self, reason: Option<String>) -> Entrant {
        Entrant {
            absent: self.absent.or(reason),
            ..self
        }
    }

    fn of(name: &'static str, command: Vec<String>) -> Entrant {
        Entrant {
            name,
            floor: None,
            archive: true,
            absent: None,
            command,
        }
    }
}

/// The `main` of a comparison: `[ROUNDS]`, or a floor that it started itself.
pub fn main(rounds: usize, compare: fn(usize) -> Result<(), Failure>) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["floor", compression, level, list, output] => floor(compression, level, list, output),
        [] => compare(rounds),
        [rounds] => rounds.parse().map_err(Failure::from).and_then(compare),
        _ => Err("usage: [ROUNDS]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn floor(compression: &str, level: &str, list: &str, output: &str) -> Result<(), Failure> {
    let contents = fs::read_to_string(list)?
        .lines()
        .map(fs::read)
        .collect::<io::Result<Vec<_>>>()?;
    let mut rope = Rope::new();
    for content in &contents {
        rope.push(content.as_slice());
    }
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let encoding = Encoding::new(compression.parse()?, level.parse()?, threads)?;
    let mut out = fs::File::create(output)?;
    encode(&rope, &encoding, &mut out, &|_| {})?;
    Ok(out.sync_all()?)
}

/// Runs `entrants` in `rounds` and prints their table under `title`; the first is the one that the
/// others are compared with. Each leaves its image at `output`, and an archive holds files of all
/// the `wanted` names.
pub fn race(
    title: &str,
    entrants: &[Entrant],
    output: &Path,
    wanted: &[String],
    rounds: usize,
) -> Result<Vec<Outcome>, Failure> {
    let (present, absent): (Vec<_>, Vec<_>) = entrants.iter().partition(|e| e.absent.is_none());
    let mut racing = Vec::new();
    let mut failed = Vec::new();
    for entrant in present {
        match judged(entrant, output, wanted) {
            Ok(outcome) => racing.push((entrant, outcome)),
            Err(error) if racing.is_empty() => return Err(error),
            Err(error) => failed.push(format!("{} failed: {error}", entrant.name)),
        }
        // A bad image must not be in the way of the next.
        fs::remove_file(output).ok();
    }
    for _ in 0..rounds {
        for (entrant, outcome) in &mut racing {
            outcome.times.push(timed(entrant, output)?);
        }
    }
    println!("{title}, medians of {rounds}:\n");
    print(&racing);
    for entrant in absent {
        let reason = entrant.absent.as_deref().unwrap_or_default();
        println!("- not run: {}: {reason}", entrant.name);
    }
    println!();
    if failed.is_empty() {
        Ok(racing.into_iter().map(|(_, outcome)| outcome).collect())
    } else {
        Err(failed.join("\n").into())
    }
}

/// The round that is not timed.
fn judged(entrant: &Entrant, output: &Path, wanted: &[String]) -> Result<Outcome, Failure> {
    let memory = tempfile::NamedTempFile::new()?;
    let run = command(&[
        &words(&["/usr/bin/time", "-f", "%M", "-o", &text(memory.path())]),
        entrant.command.as_slice(),
    ])
    .output()
    .map_err(|error| format!("/usr/bin/time: {error}: apt-get install time"))?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{}: {}", run.status, said.trim()).into());
    }
    if entrant.archive {
        check(output, wanted)?;
    }
    let bytes = fs::metadata(output)?.len();
    let peak = fs::read_to_string(memory.path())?.trim().parse()?;
    Ok(Outcome {
        times: Vec::new(),
        bytes,
        peak,
    })
}

fn timed(entrant: &Entrant, output: &Path) -> Result<Duration, Failure> {
    let mut command = command(&[entrant.command.as_slice()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if !status.success() {
        return Err(format!("{} failed after it had succeeded: {status}", entrant.name).into());
    }
    fs::remove_file(output)?;
    Ok(time)
}

/// Lists `image` with tools that are not this project's.
fn check(image: &Path, wanted: &[String]) -> Result<(), Failure> {
    let list = format!("gzip -dcf {} | cpio -it --quiet", text(image));
    let mut listing = command(&[&words(&shell(&list))]);
    // A module is the same one with `-` and `_` in its name.
    let names = printed(&mut listing)?.replace('-', "_");
    let names: HashSet<_> = names
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .collect();
    let absent = wanted
        .iter()
        .filter(|name| !names.contains(name.replace('-', "_").as_str()));
    match absent.count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} files are not in its image", wanted.len()).into()),
    }
}

fn print(racing: &[(&Entrant, Outcome)]) {
    println!("| builder | ms | of xinitrd | of its floor | bytes | peak, MiB |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let Some((_, own)) = racing.first() else {
        return;
    };
    for (entrant, outcome) in racing {
        let floor = racing
            .iter()
            .find(|(other, _)| Some(other.name) == entrant.floor);
        let of_floor = floor.map_or(String::new(), |(_, floor)| ratio(outcome, floor));
        println!(
            "| {} | {:.1} | {} | {of_floor} | {} | {:.1} |",
            entrant.name,
            median(outcome.times.iter().map(Duration::as_secs_f64)) * 1000.0,
            ratio(outcome, own),
            outcome.bytes,
            outcome.peak as f64 / 1024.0,
        );
    }
}

/// The median of the rounds' ratios: within a round both met the same machine.
fn ratio(one: &Outcome, other: &Outcome) -> String {
    let pairs = one.times.iter().zip(&other.times);
    let ratio = median(pairs.map(|(one, other)| one.as_secs_f64() / other.as_secs_f64()));
    format!("{ratio:.2}")
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// What `testdata/fetch.sh` fetches under `name`.
pub fn fetched(name: &str) -> Result<PathBuf, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fetch.sh");
    let directory = printed(Command::new(script).arg(name))?;
    Ok(PathBuf::from(directory.trim()))
}

/// The one kernel of a root.
pub fn kernel_of(root: &Path) -> Result<String, Failure> {
    let entry = fs::read_dir(root.join("lib/modules"))?
        .next()
        .ok_or("no kernel")??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

/// What `command` prints; it must succeed.
pub fn printed(command: &mut Command) -> Result<String, Failure> {
    let run = command.stderr(Stdio::inherit()).output()?;
    if !run.status.success() {
        return Err(format!("{command:?} failed: {}", run.status).into());
    }
    Ok(String::from_utf8(run.stdout)?)
}

pub fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The command that runs `lines` and fails where any of them does.
pub fn shell(lines: &str) -> [&str; 5] {
    ["bash", "-euo", "pipefail", "-c", lines]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// The parts of a command as one; system programs lie outside a user's PATH.
fn command(parts: &[&[String]]) -> Command {
    let words = parts.concat();
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1)).env("PATH", path());
    command
}

/// What to say where `program` is not here.
pub fn missing(program: &str, package: &str) -> Option<String> {
    let here = env::split_paths(&path()).any(|directory| directory.join(program).is_file());
    (!here).then(|| format!("no `{program}` here: {package}"))
}

fn path() -> String {
    env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin"
}
