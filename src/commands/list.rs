//! `xinitrd list`: the entries of an image, in its order.

use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use super::image::Image;
use super::output_error;
use crate::archive::{Entry, FileType};
use crate::cli::ListArgs;
use crate::date::Moment;
use crate::error::Error;
use crate::image_path::Shown;

/// Prints the entries of an image, those before a flaw and behind it.
///
/// # Errors
/// When it cannot be read, or has flaws; then what could be read is printed all the same.
pub fn run(args: &ListArgs) -> Result<(), Error> {
    let mut image = Image::open(&args.image, args.limits.limits())?;
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let listed = list(args, &mut image, &mut out);
    out.flush().map_err(output_error)?;
    listed?;
    image.finish()
}

fn list(args: &ListArgs, image: &mut Image, out: &mut impl Write) -> Result<(), Error> {
    // As ls does it: a pipeline gets the names as they are, and no terminal is told what to do by one.
    let spelling = match io::stdout().is_terminal() {
        true => Spelling::Shown,
        false => Spelling::AsItIs,
    };
    while let Some(entry) = image.next_entry()? {
        let has_target = entry.header.file_type() == FileType::Symlink && (args.long || args.json);
        let target = has_target.then(|| image.target()).transpose()?;
        let written = match (args.json, args.long) {
            (true, _) => json(&entry, target.as_deref(), out),
            (_, true) => long(&entry, target.as_deref(), spelling, out),
            _ => short(&entry, spelling, out),
        };
        written.map_err(output_error)?;
    }
    Ok(())
}

/// How names are written.
#[derive(Clone, Copy)]
enum Spelling {
    AsItIs,
    Shown,
}

impl Spelling {
    fn write(self, name: &[u8], out: &mut impl Write) -> io::Result<()> {
        match self {
            Spelling::AsItIs => out.write_all(name),
            Spelling::Shown => write!(out, "{}", Shown(name)),
        }
    }
}

fn short(entry: &Entry, spelling: Spelling, out: &mut impl Write) -> io::Result<()> {
    spelling.write(&entry.name, out)?;
    out.write_all(b"\n")
}

/// A line as `ls -l` has it, with owners as numbers: their names are the guest's.
fn long(
    entry: &Entry,
    target: Option<&[u8]>,
    spelling: Spelling,
    out: &mut impl Write,
) -> io::Result<()> {
    let header = &entry.header;
    let size = match header.file_type() {
        FileType::Char | FileType::Block => format!("{}, {}", header.rdev.0, header.rdev.1),
        _ => header.size.to_string(),
    };
    write!(
        out,
        "{} {:>3} {:>5} {:>5} {size:>10} {} ",
        mode(header.file_type(), header.permissions()),
        header.nlink,
        header.uid,
        header.gid,
        Moment::of(header.mtime).to_minute(),
    )?;
    spelling.write(&entry.name, out)?;
    if let Some(target) = target {
        out.write_all(b" -> ")?;
        spelling.write(target, out)?;
    }
    out.write_all(b"\n")
}

/// An entry, for pipelines.
#[derive(Serialize)]
struct Line {
    segment: usize,
    name: String,
    /// The bytes of a name that `name` shows otherwise than they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    nlink: u32,
    ino: u32,
    dev: (u32, u32),
    mtime: u32,
    size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdev: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

fn json(entry: &Entry, target: Option<&[u8]>, out: &mut impl Write) -> io::Result<()> {
    let header = &entry.header;
    let is_node = matches!(header.file_type(), FileType::Char | FileType::Block);
    let name = Shown(&entry.name).to_string();
    let is_itself = name.as_bytes() == entry.name;
    let line = Line {
        segment: entry.segment,
        name_hex: (!is_itself).then(|| hexadecimal(&entry.name)),
        name,
        kind: header.file_type().name(),
        mode: format!("{:04o}", header.permissions()),
        uid: header.uid,
        gid: header.gid,
        nlink: header.nlink,
        ino: header.ino,
        dev: header.dev,
        mtime: header.mtime,
        size: header.size,
        rdev: is_node.then_some(header.rdev),
        target: target.map(|target| Shown(target).to_string()),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `drwxr-xr-x`.
fn mode(kind: FileType, bits: u32) -> String {
    let letter = match kind {
        FileType::Regular => '-',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Char => 'c',
        FileType::Block => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::Unknown => '?',
    };
    let mut text = String::from(letter);
    for (shift, special, marks) in [(6, 0o4000, "sS"), (3, 0o2000, "sS"), (0, 0o1000, "tT")] {
        let bits_here = bits >> shift;
        let runs = bits_here & 1 != 0;
        text.push(if bits_here & 4 != 0 { 'r' } else { '-' });
        text.push(if bits_here & 2 != 0 { 'w' } else { '-' });
        let mark = marks.chars().nth(usize::from(!runs)).unwrap_or('?');
        text.push(match (bits & special != 0, runs) {
            (true, _) => mark,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_shown_as_ls_shows_it() {
        let cases = [
            (FileType::Directory, 0o1777, "drwxrwxrwt"),
            (FileType::Regular, 0o4755, "-rwsr-xr-x"),
            (FileType::Regular, 0o7644, "-rwSr-Sr-T"),
            (FileType::Char, 0o600, "crw-------"),
        ];
        for (kind, bits, shown) in cases {
            assert_eq!(mode(kind, bits), shown);
        }
    }
}
