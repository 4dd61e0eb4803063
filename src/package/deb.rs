//! Debian's binary packages (`deb(5)`): an `ar` archive of `debian-binary`, `control.tar` and `data.tar`, the
//! two tars packed or not.

use std::io::{BufRead, ErrorKind, Read};
use std::ops::ControlFlow;

use super::unpacked::Unpacked;
use super::{Entry, Facts, Format, PackageError, Visitor, tar};
use crate::archive::{Limits, TELLING};
use crate::compress::source::Source;
use crate::compress::xz_blocks::{From, XzBlocks};

/// What an `ar` archive begins with (`ar(5)`).
pub(super) const MAGIC: &[u8] = b"!<arch>\n";
/// The bytes of a member's header: name 16, times and owners 32, size 10, end 2.
const HEADER: usize = 60;
/// The largest `control` file that is read, in bytes; real ones have some kilobytes.
const CONTROL_LIMIT: u64 = 1 << 20;

/// What the member with the files is called.
const DATA: &str = "data.tar";

/// A member of the `ar` archive.
struct Member {
    name: Vec<u8>,
    size: u64,
}

/// Reads the package that `source` stands at.
pub(super) fn read<R: Read>(
    source: &mut Source<R>,
    from: Option<&From<'_>>,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<Facts, PackageError> {
    source.consume(MAGIC.len());
    let mut facts = None;
    while let Some(member) = next_member(source)? {
        let end = source.offset() + member.size;
        let name = member.name.as_slice();
        let content = Source::new(source.by_ref().take(member.size));
        if name == b"debian-binary" {
            check_version(content)?;
        } else if is_tar_called(name, b"control.tar") {
            facts = Some(control(content, limits)?);
        } else if is_tar_called(name, b"data.tar") {
            let facts = facts.ok_or_else(|| misplaced("data.tar stands before control.tar"))?;
            let from = from.map(|from| (from, end - member.size));
            data(content, from, member.size, limits, visitor)?;
            return match source.offset() < end && source.peek(1)?.is_empty() {
                true => Err(PackageError::Truncated),
                false => Ok(facts),
            };
        } else if !name.starts_with(b"_") {
            let name = String::from_utf8_lossy(name);
            return Err(misplaced(&format!(
                "its member {name} is none of a package"
            )));
        }
        pass_over(source, end)?;
    }
    Err(PackageError::Truncated)
}

fn misplaced(words: &str) -> PackageError {
    PackageError::Damaged(words.to_owned())
}

/// The next member's header; `None` where the archive ends.
fn next_member<R: Read>(source: &mut Source<R>) -> Result<Option<Member>, PackageError> {
    let header = source.peek(HEADER)?;
    if header.is_empty() {
        return Ok(None);
    }
    let (Some(name), Some(size), Some(b"`\n")) =
        (header.get(..16), header.get(48..58), header.get(58..60))
    else {
        return Err(match header.len() < HEADER {
            true => PackageError::Truncated,
            false => {
                misplaced("where a member of its ar archive should begin stands something else")
            }
        });
    };
    let digits = std::str::from_utf8(size.trim_ascii()).unwrap_or_default();
    let size = digits
        .parse()
        .map_err(|_| misplaced("a member's size is no number"))?;
    // GNU's `ar` ends names with a slash.
    let name = name.trim_ascii_end();
    let name = name.strip_suffix(b"/").unwrap_or(name).to_vec();
    source.consume(HEADER);
    Ok(Some(Member { name, size }))
}

/// Goes to the offset `end`, and to the even one behind it, where members begin.
fn pass_over<R: Read>(source: &mut Source<R>, end: u64) -> Result<(), PackageError> {
    let left = end + end % 2 - source.offset();
    source
        .consume_exactly(left)
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => PackageError::Truncated,
            _ => PackageError::Io(error),
        })
}

/// Whether `name` is `tar`, or that with the suffix of a compression.
fn is_tar_called(name: &[u8], tar: &[u8]) -> bool {
    let suffix = name.strip_prefix(tar);
    suffix.is_some_and(|suffix| suffix.is_empty() || suffix.starts_with(b"."))
}

/// Of the versions of the format the major number decides (`deb(5)`).
fn check_version(mut content: Source<impl Read>) -> Result<(), PackageError> {
    match content.peek(2)? {
        b"2." => Ok(()),
        _ => Err(PackageError::Unsupported(
            "debian-binary says another version than 2".to_owned(),
        )),
    }
}

/// What the package says of itself.
fn control<R: Read>(content: Source<R>, limits: &Limits) -> Result<Facts, PackageError> {
    let mut facts = Facts::none(Format::Deb);
    let mut take = |entry: Entry, data: &mut dyn Read| {
        if entry.path.as_bytes() != b"control" {
            return Ok(ControlFlow::Continue(()));
        }
        let mut text = Vec::new();
        data.take(CONTROL_LIMIT).read_to_end(&mut text)?;
        facts.take_fields(&text, b':', [b"Package", b"Version", b"Architecture"]);
        let needs = text.split(|&byte| byte == b'\n');
        let needs = needs.filter_map(|line| line.strip_prefix(b"Depends:"));
        facts.take_needs(needs.flat_map(needed));
        Ok(ControlFlow::Break(()))
    };
    files(
        "control.tar",
        Unpacked::new(content, *limits),
        limits,
        &mut take,
    )?;
    Ok(facts)
}

/// The names in a line of packages that are needed (`deb-control(5)`): `a (>= 1) [amd64] | b:any, c`.
fn needed(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = line.split(|byte| b",|".contains(byte));
    names.filter_map(|name| {
        name.trim_ascii()
            .split(|byte| b" (:[".contains(byte))
            .next()
    })
}

/// The package's files; unpacked apart where `from` gives their bytes from an offset on.
fn data<R: Read>(
    content: Source<R>,
    from: Option<(&From<'_>, u64)>,
    size: u64,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<(), PackageError> {
    let blocks = from.and_then(|(from, start)| Some((from, XzBlocks::find(from, start, size)?)));
    let Some((from, blocks)) = blocks else {
        return files(DATA, Unpacked::new(content, *limits), limits, visitor);
    };
    limits.hold_size(size, blocks.content())?;
    blocks.read(from, limits.memory, |apart| match apart {
        Some(apart) => files(
            DATA,
            Unpacked::of_content(Source::new(apart), *limits),
            limits,
            visitor,
        ),
        None => files(DATA, Unpacked::new(content, *limits), limits, visitor),
    })
}

/// The files of a member, which is a tar archive.
fn files<R: Read>(
    member: &str,
    mut unpacked: Unpacked<R>,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<(), PackageError> {
    let start = unpacked.peek(TELLING)?;
    if !tar::is_tar(start) {
        return Err(match PackageError::unknown(start) {
            encrypted @ PackageError::Encrypted(_) => encrypted,
            _ => misplaced(&format!("its {member} is no tar archive")),
        });
    }
    tar::read(&mut unpacked, limits, visitor).map(drop)
}
