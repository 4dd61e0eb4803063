//! A version of Xen: the two numbers that decide what its toolstack does with a ramdisk.

use std::fmt;
use std::str::FromStr;

/// `major.minor` of a Xen release; what follows is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XenVersion {
    major: u16,
    minor: u16,
}

impl XenVersion {
    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        XenVersion { major, minor }
    }
}

impl fmt::Display for XenVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Said when a text does not begin with a Xen version's numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version of Xen, such as 4.17")]
pub struct NotXen(pub String);

impl FromStr for XenVersion {
    type Err = NotXen;

    fn from_str(text: &str) -> Result<Self, NotXen> {
        let mut numbers = text.split(['.', '-', '+']).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(XenVersion { major, minor }),
            _ => Err(NotXen(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compare_by_number() {
        assert_eq!("4.17.5".parse(), Ok(XenVersion::new(4, 17)));
        assert_eq!("4.20-rc1".parse(), Ok(XenVersion::new(4, 20)));
        assert!(XenVersion::new(4, 4) < XenVersion::new(4, 20));
        for text in ["", "4", "xen-4.1", "4.x"] {
            assert_eq!(text.parse::<XenVersion>(), Err(NotXen(text.to_owned())));
        }
    }
}
