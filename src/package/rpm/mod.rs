//! Red Hat's packages: a lead, a header of signatures, the header, and the files in a cpio archive, packed or not
//! (the RPM file format, `docs/manual/format*` of rpm's own manual; the LSB core specification, chapter 22, for
//! version 3).
//!
//! The header is read here: the `rpm` crate takes the memory that a header asks for, and wants tags that packages
//! of version 3 do not have.

mod digest;
mod header;
mod payload;

use std::io::{BufRead, Read};

use super::unpacked::Unpacked;
use super::{Facts, Format, PackageError, Visitor};
use crate::archive::Limits;
use crate::compress::source::Source;
use digest::{Digested, Expected};
use header::{Header, tag};

/// What a package begins with.
pub(super) const MAGIC: &[u8] = b"\xed\xab\xee\xdb";
/// The bytes of the lead. Of what is in it only the type of package is still looked at; the rest is in the header.
const LEAD: usize = 96;

/// Reads the package that `source` stands at.
pub(super) fn read<R: Read>(
    source: &mut Source<R>,
    limits: &Limits,
    visitor: &mut Visitor<'_>,
) -> Result<Facts, PackageError> {
    pass_lead(source)?;
    let signatures = Header::read(source)?;
    // The header behind it begins at a multiple of eight.
    let padding = signatures.size().next_multiple_of(8) - signatures.size();
    source
        .consume_exactly(padding as u64)
        .map_err(|_| PackageError::Truncated)?;
    let header = Header::read(source)?;
    let format = header
        .string(tag::PAYLOAD_FORMAT)
        .unwrap_or_else(|| "cpio".to_owned());
    if format != "cpio" {
        return Err(PackageError::Unsupported(format!(
            "an rpm with a payload of the format `{format}`"
        )));
    }
    let expected = Expected::of(&signatures, &header);
    let mut payload = Digested::new(source, &header, expected)?;
    let mut unpacked = Unpacked::new(Source::new(&mut payload), *limits);
    let flow = payload::read(&mut unpacked, &header, limits, visitor)?;
    if flow.is_continue() {
        payload.finish()?;
    }
    Ok(facts(&header))
}

/// Passes over the lead of a package that is read here.
fn pass_lead<R: Read>(source: &mut Source<R>) -> Result<(), PackageError> {
    let lead = source.peek(LEAD)?;
    let (Some(&[major, _]), Some(kind)) = (
        lead.get(4..6),
        lead.get(6..8).filter(|_| lead.len() == LEAD),
    ) else {
        return Err(PackageError::Truncated);
    };
    if !(3..=4).contains(&major) {
        return Err(PackageError::Unsupported(format!(
            "an rpm of version {major}"
        )));
    }
    if kind != [0, 0] {
        return Err(PackageError::Unsupported(
            "a source rpm, which has no files of a system".to_owned(),
        ));
    }
    source.consume(LEAD);
    Ok(())
}

fn facts(header: &Header) -> Facts {
    let version = header.string(tag::VERSION).map(|version| {
        let epoch = header
            .number(tag::EPOCH, 0)
            .map(|epoch| format!("{epoch}:"));
        let release = header
            .string(tag::RELEASE)
            .map(|release| format!("-{release}"));
        format!(
            "{}{version}{}",
            epoch.unwrap_or_default(),
            release.unwrap_or_default()
        )
    });
    let mut facts = Facts {
        name: header.string(tag::NAME),
        version,
        arch: header.string(tag::ARCH),
        ..Facts::none(Format::Rpm)
    };
    facts.take_needs(header.strings(tag::REQUIRES));
    facts
}
