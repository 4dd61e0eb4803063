//! Why a package could not be read.

use std::io;

use crate::archive::{Foreign, LimitMet};
use crate::image_path::{BadPath, ImagePath, Shown};

/// Why a package could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The medium failed: nothing is known of the package.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("{}", .0.as_ref().map_or_else(|| "nothing that is known".to_owned(), ToString::to_string))]
    Foreign(Option<Foreign>),
    /// It is encrypted, with what.
    #[error("data encrypted with {0}")]
    Encrypted(&'static str),
    /// It ends too early.
    #[error("a package that ends too early")]
    Truncated,
    /// It is not as its format has it.
    #[error("a damaged package: {0}")]
    Damaged(String),
    /// It is of a kind that is not read here.
    #[error("a package of a kind that is not read: {0}")]
    Unsupported(String),
    /// A path leads out of it, or is none.
    #[error("the path {}: {bad}", Shown(.name))]
    Path {
        /// The name, as it stands.
        name: Vec<u8>,
        /// Why it is none.
        bad: BadPath,
    },
    /// It is larger than it may be.
    #[error(transparent)]
    Limit(#[from] LimitMet),
}

/// What encrypted data begin with, and what makes them: `gpg -a`, `age`, `openssl enc`.
const ENCRYPTED: [(&[u8], &str); 4] = [
    (b"-----BEGIN PGP MESSAGE", "OpenPGP"),
    (b"age-encryption.org/", "age"),
    (b"-----BEGIN AGE ENCRYPTED", "age"),
    (b"Salted__", "openssl"),
];
/// The first byte of an encrypted session key packet, by which an OpenPGP message begins (RFC 9580, 4.2
/// and 4.3: tags 1 and 3, in the old and the new form of headers).
const OPENPGP: [u8; 8] = [0x84, 0x85, 0x86, 0x8c, 0x8d, 0x8e, 0xc1, 0xc3];

impl PackageError {
    /// What `start`, the beginning of something that is no package, is.
    pub(super) fn unknown(start: &[u8]) -> PackageError {
        let known = ENCRYPTED.iter().find(|(magic, _)| start.starts_with(magic));
        if let Some((_, by)) = known {
            return PackageError::Encrypted(by);
        }
        match Foreign::of(start, 0) {
            None if start.first().is_some_and(|byte| OPENPGP.contains(byte)) => {
                PackageError::Encrypted("OpenPGP")
            }
            foreign => PackageError::Foreign(foreign),
        }
    }

    /// A hard link whose other name is not there.
    pub(crate) fn no_link_source(path: &ImagePath, existing: &ImagePath) -> PackageError {
        PackageError::Damaged(format!(
            "{path} is a link to {existing}, which is no file before it"
        ))
    }

    /// A link's target of `PATH_MAX` bytes or more.
    pub(super) fn long_target() -> PackageError {
        PackageError::Damaged("a link whose target is longer than paths are".to_owned())
    }

    /// What a reader of a format, which is not to blame for the medium, says of the content.
    pub(super) fn of_reader(error: &io::Error) -> PackageError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => PackageError::Truncated,
            _ => PackageError::Damaged(error.to_string()),
        }
    }

    /// What was expected instead.
    #[must_use]
    pub const fn expected(&self) -> &'static str {
        match self {
            PackageError::Io(_) => "a package that can be read",
            PackageError::Foreign(_) | PackageError::Encrypted(_) => {
                "a package: .deb, .rpm, .pkg.tar.zst, .apk or a tar archive, compressed or not"
            }
            PackageError::Truncated | PackageError::Damaged(_) => "a package as its maker made it",
            PackageError::Unsupported(_) => "a package as distributions make them",
            PackageError::Path { .. } => "paths inside the package",
            PackageError::Limit(_) => "a package no larger than those of distributions",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            PackageError::Io(_) => "see that it can be read",
            PackageError::Foreign(_) => {
                "name a package, or unpack it and name the directory with --root"
            }
            PackageError::Encrypted(_) => "decrypt it first",
            PackageError::Truncated => "download it again: it was cut short on its way",
            PackageError::Damaged(_) => {
                "download it again, and hold it against the checksum that its archive has"
            }
            PackageError::Unsupported(_) => {
                "unpack it with its distribution's own tool, and name the directory with --root"
            }
            PackageError::Path { .. } => "do not use it: no distribution makes such a package",
            PackageError::Limit(_) => {
                "see where it comes from; if it is to be trusted, unpack it and name the directory with --root"
            }
        }
    }

    /// Whether the package was read and judged bad, rather than not readable.
    #[must_use]
    pub const fn is_judgement(&self) -> bool {
        !matches!(self, PackageError::Io(_))
    }
}
