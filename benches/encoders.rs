//! Encoders, levels and threads on one file, beside `gzip` and `pigz` in the same run.
//!
//! `cargo bench --bench encoders -- FILE [ROUNDS]` prints a table: for each row the bytes out and
//! the median time in milliseconds over ROUNDS (default 7), peers included. Each round runs every
//! row, so that a machine which is slow for a while is slow for all. The peers' times hold the
//! start of a process and its pipes.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xinitrd::compress::{Compression, Encoding, encode};
use xinitrd::rope::Rope;

/// Rounds slower than this are not repeated.
const ONCE: Duration = Duration::from_secs(2);
/// A program, its arguments, and whether it has threads.
const PEERS: [(&str, &[&str], bool); 4] = [
    ("gzip", &["-n", "-6", "-c"], false),
    ("gzip", &["-n", "-9", "-c"], false),
    ("pigz", &["-n", "-6", "-c"], true),
    ("pigz", &["-n", "-9", "-c"], true),
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

/// Something that compresses the file and tells the bytes out, and the times that it took.
struct Cell<'a> {
    run: Box<dyn Fn() -> io::Result<u64> + 'a>,
    bytes: u64,
    times: Vec<Duration>,
}

/// An encoder with one thread, and with two.
struct Row<'a> {
    label: String,
    cells: [Option<Cell<'a>>; 2],
}

impl<'a> Cell<'a> {
    fn of(run: impl Fn() -> io::Result<u64> + 'a) -> Option<Cell<'a>> {
        Some(Cell {
            run: Box::new(run),
            bytes: 0,
            times: Vec::new(),
        })
    }

    fn round(&mut self) -> io::Result<()> {
        if self.times.first().is_none_or(|&first| first < ONCE) {
            let begun = Instant::now();
            self.bytes = (self.run)()?;
            self.times.push(begun.elapsed());
        }
        Ok(())
    }

    fn median(&self) -> String {
        let mut times = self.times.clone();
        times.sort();
        let middle = times.get(times.len() / 2).copied().unwrap_or_default();
        format!("{:.1}", middle.as_secs_f64() * 1000.0)
    }
}

fn table(file: &str, rounds: usize) -> io::Result<()> {
    let content = std::fs::read(file)?;
    let mut rows = peers(file);
    rows.extend(own(&content));
    for _ in 0..rounds {
        for cell in rows.iter_mut().flat_map(|row| row.cells.iter_mut()) {
            cell.as_mut().map_or(Ok(()), Cell::round)?;
        }
    }
    println!(
        "Encoders on {} bytes, medians of {rounds}:\n",
        content.len()
    );
    println!("| encoder | bytes out | 1 thread, ms | 2 threads, ms |");
    println!("| --- | ---: | ---: | ---: |");
    for Row { label, cells } in &rows {
        let bytes = cells.iter().flatten().map(|cell| cell.bytes).max();
        let [one, two] = cells
            .each_ref()
            .map(|cell| cell.as_ref().map_or(String::new(), Cell::median));
        println!(
            "| {label} | {} | {one} | {two} |",
            bytes.unwrap_or_default()
        );
    }
    Ok(())
}

fn peers(file: &str) -> Vec<Row<'_>> {
    let row = |&(program, arguments, two): &(&'static str, &'static [&str], _)| {
        let with = |threads: &'static [&str]| {
            Cell::of(move || peer(program, &[arguments, threads].concat(), file))
        };
        let (one, two) = match two {
            true => (with(&["-p", "1"]), with(&["-p", "2"])),
            false => (with(&[]), None),
        };
        Row {
            label: format!("`{program} {}`", arguments.join(" ")),
            cells: [one, two],
        }
    };
    PEERS.iter().map(row).collect()
}

fn own(content: &[u8]) -> impl Iterator<Item = Row<'_>> {
    let levels = |compression: Compression| compression.levels().map(move |l| (compression, l));
    let all = Compression::ALL.into_iter().flat_map(levels);
    all.map(move |(compression, level)| Row {
        label: format!("{} {level}", compression.name()),
        cells: [1, 2].map(|threads| Cell::of(move || ours(compression, level, threads, content))),
    })
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
