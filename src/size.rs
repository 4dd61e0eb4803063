//! A number of bytes, as people are told it: everywhere in the same way.

use std::fmt;

/// Bytes: below a mebibyte to the byte, else in mebibytes, tenths rounded up, so that what is above a
/// bound is seen to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

const MEBIBYTE: u64 = 1 << 20;

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size(bytes) = *self;
        let (whole, rest) = (bytes / MEBIBYTE, bytes % MEBIBYTE);
        let text = match ((rest * 10).div_ceil(MEBIBYTE), bytes) {
            (_, 1) => "1 byte".to_owned(),
            (_, ..MEBIBYTE) => format!("{bytes} bytes"),
            (0, _) => format!("{whole} MiB"),
            (10, _) => format!("{} MiB", whole + 1),
            (tenths, _) => format!("{whole}.{tenths} MiB"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_to_the_byte_or_in_mebibytes_and_no_less_than_it_is() {
        for (bytes, told) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            ((1 << 20) - 1, "1048575 bytes"),
            (1 << 20, "1 MiB"),
            ((1 << 20) + 1, "1.1 MiB"),
            ((128 << 20) + 4, "128.1 MiB"),
            ((2 << 20) - 1, "2 MiB"),
            (4 << 30, "4096 MiB"),
            (u64::MAX, "17592186044416 MiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), told);
        }
    }
}
