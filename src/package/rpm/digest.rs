//! Whether a package is as it was made: what its headers say of its digests, held against its bytes. Who made it,
//! its signatures would say, which are not looked at.

use std::io::{self, Read};

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::header::{Header, tag};
use crate::package::PackageError;

/// `SHA256`, among OpenPGP's numbers of algorithms (RFC 9580, 9.5), which rpm uses.
const SHA256: u64 = 8;

/// What is expected of the bytes behind the header of signatures.
pub(super) struct Expected {
    /// Of header and payload, as packages have it since version 3.
    all: Option<Vec<u8>>,
    /// Of the header alone, in hexadecimal digits.
    header: Option<String>,
    /// Of the payload alone, in hexadecimal digits.
    payload: Option<String>,
}

impl Expected {
    /// What the two headers say.
    pub(super) fn of(signatures: &Header, header: &Header) -> Expected {
        let is_sha256 = header.number(tag::PAYLOAD_DIGEST_KIND, 0) == Some(SHA256);
        let payload = header.string(tag::PAYLOAD_DIGEST);
        Expected {
            all: signatures.bytes(tag::SIGNATURE_MD5).map(<[u8]>::to_vec),
            header: signatures.string(tag::SIGNATURE_SHA256),
            payload: payload.filter(|_| is_sha256),
        }
    }
}

/// The payload, digested while it is read.
pub(super) struct Digested<R> {
    payload: R,
    expected: Expected,
    all: Md5,
    alone: Sha256,
}

impl<R: Read> Digested<R> {
    /// The payload behind a header of those bytes.
    ///
    /// # Errors
    /// When the header is not what was expected.
    pub(super) fn new(
        payload: R,
        header: &Header,
        expected: Expected,
    ) -> Result<Self, PackageError> {
        let mut all = Md5::new();
        let mut alone = Sha256::new();
        for part in header.parts() {
            all.update(part);
            alone.update(part);
        }
        let digest = hexadecimal(&alone.finalize_reset());
        agrees("header", expected.header.as_ref(), &digest)?;
        Ok(Digested {
            payload,
            expected,
            all,
            alone,
        })
    }

    /// Reads on to the end of the package.
    ///
    /// # Errors
    /// When the payload is not what was expected.
    pub(super) fn finish(mut self) -> Result<(), PackageError> {
        io::copy(&mut self, &mut io::sink())?;
        let alone = hexadecimal(&self.alone.finalize());
        agrees("payload", self.expected.payload.as_ref(), &alone)?;
        let all = self.all.finalize();
        let said = self.expected.all.map(|said| hexadecimal(&said));
        agrees("content", said.as_ref(), &hexadecimal(&all))
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.payload.read(out)?;
        let bytes = out.get(..count).unwrap_or_default();
        if self.expected.all.is_some() {
            self.all.update(bytes);
        }
        if self.expected.payload.is_some() {
            self.alone.update(bytes);
        }
        Ok(count)
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn agrees(what: &str, said: Option<&String>, is: &str) -> Result<(), PackageError> {
    match said {
        Some(said) if !said.eq_ignore_ascii_case(is) => Err(PackageError::Damaged(format!(
            "its {what} has another digest than it says"
        ))),
        _ => Ok(()),
    }
}
