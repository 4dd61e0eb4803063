//! What the comparisons share: programs that do the same work, run in turn, and a table of what
//! they took.
//!
//! In come entrants, each with the command that leaves its product at one agreed path. The first
//! round is not timed: it warms the page cache, looks whether what was wanted is in each product,
//! and takes its size and the program's memory. One that fails there is named below the table
//! and never timed. The rounds that follow run all entrants one after another, so that a machine
//! which is slow for a while is slow for each of them.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use xinitrd::compress::{Compression, Encoding, encode};
use xinitrd::rope::Rope;

pub type Failure = Box<dyn std::error::Error>;

/// What a command leaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Product {
    /// A file of a floor's bare bytes.
    Bytes,
    /// A file that is an archive, plain or in gzip.
    Archive,
    /// On standard output, the names of entries among other words.
    Listing,
    /// In a directory that is there and empty, the files of an archive.
    Tree,
    /// On standard output, whatever it says; exit status 1 is as good as 0.
    Verdict,
}

/// One row of a table.
pub struct Entrant {
    name: &'static str,
    /// The name of the floor that it is held against.
    floor: Option<&'static str>,
    product: Product,
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
    pub fn ours(name: &'static str, arguments: &[&str]) -> Entrant {
        let command = [&[env!("CARGO_BIN_EXE_xinitrd")], arguments].concat();
        Entrant::of(name, words(&command))
    }

    /// Held against the floor of that name.
    pub fn above(self, floor: &'static str) -> Entrant {
        Entrant {
            floor: Some(floor),
            ..self
        }
    }

    /// Of a command that leaves something else than an archive.
    pub fn leaving(self, product: Product) -> Entrant {
        Entrant { product, ..self }
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
        Ok(Entrant::of(name, words(&command)).leaving(Product::Bytes))
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
            product: Product::Archive,
            absent: None,
            command,
        }
    }

    /// Whether the command did its work.
    fn did(&self, status: ExitStatus) -> bool {
        status.success() || self.product == Product::Verdict && status.code() == Some(1)
    }
}

impl Product {
    /// Makes ready for a command that leaves it at `output`: gives what takes its standard output.
    fn begin(self, output: &Path) -> Result<Stdio, Failure> {
        match self {
            Product::Listing | Product::Verdict => Ok(fs::File::create(output)?.into()),
            Product::Tree => Ok(fs::create_dir(output).map(|()| Stdio::null())?),
            Product::Bytes | Product::Archive => Ok(Stdio::null()),
        }
    }

    fn check(self, output: &Path, wanted: &[String]) -> Result<(), Failure> {
        let absent = match self {
            Product::Archive => absent_from_archive(output, wanted)?,
            Product::Listing => absent_from_listing(output, wanted)?,
            Product::Tree => {
                let missing = |name: &&String| output.join(name).symlink_metadata().is_err();
                wanted.iter().filter(missing).count()
            }
            Product::Bytes | Product::Verdict => 0,
        };
        match absent {
            0 => Ok(()),
            count => Err(format!("{count} of {} files are missing", wanted.len()).into()),
        }
    }

    fn remove(self, output: &Path) -> io::Result<()> {
        match self {
            Product::Tree => fs::remove_dir_all(output),
            _ => fs::remove_file(output),
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
/// others are compared with. Each leaves its product at `output`: an archive holds files of all the
/// `wanted` names, a listing or a tree has all of these paths.
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
        // A bad one must not be in the way of the next.
        entrant.product.remove(output).ok();
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
    .stdout(entrant.product.begin(output)?)
    .stderr(Stdio::piped())
    .spawn()
    .and_then(Child::wait_with_output)
    .map_err(|error| format!("/usr/bin/time: {error}: apt-get install time"))?;
    if !entrant.did(run.status) {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{}: {}", run.status, said.trim()).into());
    }
    entrant.product.check(output, wanted)?;
    let bytes = fs::metadata(output)?.len();
    let noted = fs::read_to_string(memory.path())?;
    // A line before it tells of an exit status that is not 0.
    let peak = noted.lines().last().unwrap_or_default().parse()?;
    Ok(Outcome {
        times: Vec::new(),
        bytes,
        peak,
    })
}

fn timed(entrant: &Entrant, output: &Path) -> Result<Duration, Failure> {
    let mut command = command(&[entrant.command.as_slice()]);
    command
        .stdout(entrant.product.begin(output)?)
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if !entrant.did(status) {
        return Err(format!("{} failed after it had succeeded: {status}", entrant.name).into());
    }
    entrant.product.remove(output)?;
    Ok(time)
}

/// How many of `wanted` are not in `image`, listed with tools that are not this project's.
fn absent_from_archive(image: &Path, wanted: &[String]) -> Result<usize, Failure> {
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
    Ok(absent.count())
}

/// How many of `wanted` are no word of `listing`.
fn absent_from_listing(listing: &Path, wanted: &[String]) -> Result<usize, Failure> {
    let listing = fs::read_to_string(listing)?;
    let listed: HashSet<&str> = listing.split_whitespace().collect();
    let absent = |name: &&String| !listed.contains(name.as_str());
    Ok(wanted.iter().filter(absent).count())
}

fn print(racing: &[(&Entrant, Outcome)]) {
    let Some((first, own)) = racing.first() else {
        return;
    };
    // Floors and the size of the product are of interest where something is built.
    let builds = first.product == Product::Archive;
    let (more, lines) = if builds {
        (" of its floor | bytes |", " ---: | ---: |")
    } else {
        ("", "")
    };
    println!("| program | ms | of xinitrd |{more} peak, MiB |");
    println!("| --- | ---: | ---: |{lines} ---: |");
    for (entrant, outcome) in racing {
        let floor = racing
            .iter()
            .find(|(other, _)| Some(other.name) == entrant.floor);
        let of_floor = floor.map_or(String::new(), |(_, floor)| ratio(outcome, floor));
        let more = match builds {
            true => format!(" {of_floor} | {} |", outcome.bytes),
            false => String::new(),
        };
        println!(
            "| {} | {:.1} | {} |{more} {:.1} |",
            entrant.name,
            median(outcome.times.iter().map(Duration::as_secs_f64)) * 1000.0,
            ratio(outcome, own),
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
    named_by("testdata/fetch.sh", name)
}

/// The path that a script of this project prints for `name`.
pub fn named_by(script: &str, name: &str) -> Result<PathBuf, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let path = printed(Command::new(script).arg(name))?;
    Ok(PathBuf::from(path.trim()))
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
