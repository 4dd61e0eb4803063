//! A kernel's version: the numbers that decide what it can do, and the release they were read from.

use std::fmt;
use std::str::FromStr;

/// The leading numbers of a kernel release, compared in order: `2.6.9-67.0.1.ELxenU` is 2.6.9.
///
/// A missing third number counts as 0 (`6.1-rc3` is 6.1.0); numbers after the third are not
/// kept, for no feature this project asks about came with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

impl KernelVersion {
    /// The version `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        KernelVersion {
            major,
            minor,
            patch,
        }
    }

    /// Whether both are of one series: 2.6.9, 6.1. Distributions keep the third number of a release
    /// at 0 while that of their kernel grows.
    #[must_use]
    pub fn is_of_series(self, other: KernelVersion) -> bool {
        let is_old = self.major < 3;
        (self.major, self.minor) == (other.major, other.minor)
            && (!is_old || self.patch == other.patch)
    }
}

/// A kernel as its user names it: by its version, or by its whole release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKernel {
    /// The numbers that it begins with.
    pub version: KernelVersion,
    /// The release, as `uname -r` gives it, where more than numbers were said.
    pub release: Option<String>,
}

impl FromStr for NamedKernel {
    type Err = NotAVersion;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let is_release = !name
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        Ok(NamedKernel {
            version: name.parse()?,
            release: is_release.then(|| name.to_owned()),
        })
    }
}

/// Whether the directory `name` may hold the modules of `release`: it is called so, or so with a
/// suffix, as administrators name a second tree of one release.
#[must_use]
pub fn is_directory_of(name: &[u8], release: &[u8]) -> bool {
    let suffix = name.strip_prefix(release).filter(|_| !release.is_empty());
    suffix.is_some_and(|suffix| !suffix.first().is_some_and(u8::is_ascii_alphanumeric))
}

impl fmt::Display for KernelVersion {
    /// As kernels are named: three numbers in the 2.x series, two since 3.0 unless the third says
    /// something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.major < 3 || self.patch != 0 {
            write!(f, ".{}", self.patch)?;
        }
        Ok(())
    }
}

/// Said when a text does not begin with a kernel's numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not begin with a kernel version such as 2.6.9 or 6.1")]
pub struct NotAVersion(pub String);

impl FromStr for KernelVersion {
    type Err = NotAVersion;

    fn from_str(release: &str) -> Result<Self, Self::Err> {
        let end = release
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(release.len());
        let numbers = release.get(..end).unwrap_or_default();
        let mut parts = numbers.split('.').map(str::parse::<u16>);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
            return Err(NotAVersion(release.to_owned()));
        };
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        Ok(KernelVersion {
            major,
            minor,
            patch,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_every_age_are_read() {
        let cases = [
            (
                "2.6.9-67.0.1.ELxenU-x86_64",
                KernelVersion::new(2, 6, 9),
                "2.6.9",
            ),
            ("2.6.18-398.el5xen", KernelVersion::new(2, 6, 18), "2.6.18"),
            ("6.1.0-43-amd64", KernelVersion::new(6, 1, 0), "6.1"),
            (
                "6.12.57+deb13-cloud-amd64",
                KernelVersion::new(6, 12, 57),
                "6.12.57",
            ),
            ("3.10", KernelVersion::new(3, 10, 0), "3.10"),
            ("6.1-rc3", KernelVersion::new(6, 1, 0), "6.1"),
        ];
        for (release, version, shown) in cases {
            assert_eq!(release.parse(), Ok(version), "{release}");
            assert_eq!(version.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_release_is_no_version() {
        for text in ["", "vmlinuz", "6", "99999.1", ".1.2"] {
            assert!(text.parse::<KernelVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert!(KernelVersion::new(2, 6, 9) < KernelVersion::new(2, 6, 18));
        assert!(KernelVersion::new(5, 9, 0) < KernelVersion::new(5, 10, 0));
    }

    #[test]
    fn a_directory_may_carry_a_suffix_its_modules_lack_and_nothing_else() {
        for (name, release, expected) in [
            ("2.6.9-67.0.1.ELxenU-x86_64", "2.6.9-67.0.1.ELxenU", true),
            ("6.1.0-56-amd64", "6.1.0-56-amd64", true),
            ("6.1.0-56-amd64", "6.1.0-5", false),
            ("6.1.0-56-amd64", "6.1.0-57-amd64", false),
            ("6.1.0", "", false),
        ] {
            let is_its = is_directory_of(name.as_bytes(), release.as_bytes());
            assert_eq!(is_its, expected, "{name} {release}");
        }
    }
}
