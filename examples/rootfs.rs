//! Prints what a kernel makes of an image, as `tests/boot/rootfs-init` prints it in that kernel:
//!
//!     rootfs VERSION IMAGE SEGMENTS
//!
//! SEGMENTS says of each segment whether it is `plain` or `gzip`, and its length in bytes.

use std::error::Error;
use std::fs;
use std::io::{self, Write};

use xinitrd::compress::{Format, unpack};
use xinitrd::kernel_version::KernelVersion;
use xinitrd::unpacker::{Kind, Object, Outcome, Unpacker};

/// More than any member of these images holds.
const MEMBER_LIMIT: usize = 64 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [version, image, segments] = arguments.as_slice() else {
        return Err("usage: rootfs VERSION IMAGE SEGMENTS".into());
    };
    let (image, segments) = (fs::read(image)?, fs::read_to_string(segments)?);
    print(&unpacked(version.parse()?, &image, &segments)?)?;
    Ok(())
}

fn unpacked(
    version: KernelVersion,
    image: &[u8],
    segments: &str,
) -> Result<Outcome, Box<dyn Error>> {
    let mut unpacker = Unpacker::new(version, true);
    let mut rest = image;
    for segment in segments.lines() {
        let (kind, length) = segment.split_once(' ').ok_or("a segment has no length")?;
        let offset = image.len() - rest.len();
        let bytes;
        (bytes, rest) = rest
            .split_at_checked(length.parse()?)
            .ok_or("a segment is not there")?;
        let format = (kind == "gzip").then_some(Format::Gzip);
        unpacker.segment(format, offset as u64);
        match format {
            Some(_) => unpacker.feed(&unpack(bytes, MEMBER_LIMIT)?),
            None => unpacker.feed(bytes),
        }
        unpacker.segment_end(None);
    }
    Ok(unpacker.finish())
}

fn print(outcome: &Outcome) -> io::Result<()> {
    let mut out = Vec::new();
    outcome.tree.walk(|path, id, object| {
        let mtime = object
            .mtime
            .map_or("-".to_owned(), |mtime| mtime.to_string());
        let digest = object
            .digest
            .map_or("-".to_owned(), |digest| digest.to_string());
        let facts = format!(
            "TREE {:x} {} {} {} {:x}:{:x} {mtime} {} {id:?} {digest}",
            mode(object),
            object.uid,
            object.gid,
            object.size,
            object.rdev.0,
            object.rdev.1,
            object.links,
        );
        let facts = facts.replace("ObjectId(", "").replace(')', "");
        out.extend(
            [
                facts.as_bytes(),
                b" T=",
                &object.target,
                b" P=",
                path,
                b"\n",
            ]
            .concat(),
        );
    });
    for event in &outcome.events {
        writeln!(out, "{}: {}", event.place, event.what)?;
    }
    if let Some(failure) = &outcome.failed {
        writeln!(out, "{}: {}", failure.place, failure.fault)?;
        writeln!(out, "Initramfs unpacking failed: {}", failure.message)?;
    }
    io::stdout().write_all(&out)
}

fn mode(object: &Object) -> u16 {
    let kind = match object.kind {
        Kind::Regular => 0o100_000,
        Kind::Directory => 0o040_000,
        Kind::Symlink => 0o120_000,
        Kind::Char => 0o020_000,
        Kind::Block => 0o060_000,
        Kind::Fifo => 0o010_000,
        Kind::Socket => 0o140_000,
    };
    kind | object.mode
}
