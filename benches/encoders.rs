//! Encoders, levels and threads on one file, beside `gzip` and `pigz` in the same run.
//!
//! `cargo bench --bench encoders -- FILE [ROUNDS]` prints a table: for each row the bytes out and
//! the median time in milliseconds over ROUNDS (default 7), peers included. The peers' times hold
//! the start of a process and its pipes.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xinitrd::compress::{Compression, Encoding, encode};
use xinitrd::rope::Rope;

/// Rounds slower than this are not repeated.
const ONCE: Duration = Duration::from_secs(2);
const PEERS: [(&str, &[&str]); 6] = [
    ("gzip", &["-n", "-6", "-c"]),
    ("gzip", &["-n", "-9", "-c"]),
    ("pigz", &["-n", "-6", "-p", "1", "-c"]),
    ("pigz", &["-n", "-6", "-p", "2", "-c"]),
    ("pigz", &["-n", "-9", "-p", "1", "-c"]),
    ("pigz", &["-n", "-9", "-p", "2", "-c"]),
];

/// Counts what it is given.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let arguments: Vec<_> = arguments.collect();
    let Some(file) = arguments.first() else {
        eprintln!("encoders: no FILE given: cargo bench --bench encoders -- FILE [ROUNDS]");
        return ExitCode::SUCCESS;
    };
    let rounds = arguments
        .get(1)
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(7);
    match table(file, rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encoders: {error}");
            ExitCode::FAILURE
        }
    }
}

fn table(file: &str, rounds: usize) -> io::Result<()> {
    let content = std::fs::read(file)?;
    println!("{} bytes, medians of {rounds}\n", content.len());
    println!("| encoder | bytes out | 1 thread, ms | 2 threads, ms |");
    println!("| --- | ---: | ---: | ---: |");
    for (program, arguments) in PEERS {
        let (bytes, time) = median(rounds, || peer(program, arguments, file))?;
        let (one, two) = match arguments.contains(&"2") {
            true => (String::new(), time),
            false => (time, String::new()),
        };
        println!(
            "| `{program} {}` | {bytes} | {one} | {two} |",
            arguments.join(" ")
        );
    }
    for compression in Compression::ALL {
        for level in compression.levels() {
            let (bytes, one) = median(rounds, || ours(compression, level, 1, &content))?;
            let (_, two) = median(rounds, || ours(compression, level, 2, &content))?;
            println!(
                "| {} {level} | {bytes} | {one} | {two} |",
                compression.name()
            );
        }
    }
    Ok(())
}

/// The bytes out and the median time of `run`.
fn median(rounds: usize, run: impl Fn() -> io::Result<u64>) -> io::Result<(u64, String)> {
    let mut times = Vec::new();
    let mut bytes = 0;
    while times.len() < rounds && times.first().is_none_or(|&first| first < ONCE) {
        let begun = Instant::now();
        bytes = run()?;
        times.push(begun.elapsed());
    }
    times.sort();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok((bytes, format!("{:.1}", middle.as_secs_f64() * 1000.0)))
}

fn ours(compression: Compression, level: u8, threads: usize, content: &[u8]) -> io::Result<u64> {
    let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
    let encoding = Encoding::new(compression, level, threads).map_err(io::Error::other)?;
    let mut rope = Rope::new();
    rope.push(content);
    let mut counter = Counter(0);
    encode(&rope, &encoding, &mut counter, &|_| ())?;
    Ok(counter.0)
}

fn peer(program: &str, arguments: &[&str], file: &str) -> io::Result<u64> {
    let mut child = Command::new(program)
        .args(arguments)
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            io::Error::other(format!("{program}: {error}: apt-get install {program}"))
        })?;
    let mut counter = Counter(0);
    if let Some(mut stdout) = child.stdout.take() {
        io::copy(&mut stdout, &mut counter)?;
    }
    let status = child.wait()?;
    if status.success() {
        Ok(counter.0)
    } else {
        Err(io::Error::other(program.to_owned()))
    }
}
