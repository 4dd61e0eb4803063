//! Extended headers of pax archives (POSIX.1-2017, `pax`, "pax Extended Header"): records of a length, a blank, a
//! key, `=`, a value of any bytes and a line's end, which the length counts too.

use super::PackageError;

/// A record's key and its value.
type Record<'b> = (&'b [u8], &'b [u8]);

/// The records of an extended header, in their order.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = Result<Record<'_>, PackageError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let record = first(bytes);
        bytes = record.map_or(&[], |(_, rest)| rest);
        Some(record.map(|(record, _)| record).ok_or_else(malformed))
    })
}

/// The first record, and what stands behind it.
fn first(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let blank = bytes.iter().position(|&byte| byte == b' ')?;
    let length = number(bytes.get(..blank)?)?;
    let (record, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some(((record.get(..equals)?, record.get(equals + 1..)?), rest))
}

/// A decimal number.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

fn malformed() -> PackageError {
    PackageError::Damaged("an extended header of a file is none of pax".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Option<Record<'_>>> {
        records(bytes).map(Result::ok).collect()
    }

    #[test]
    fn a_record_ends_where_its_length_says() {
        let bytes = b"12 path=a\nb\n8 uid=7\n5 k=\n";
        let want: [Option<Record<'_>>; 3] = [Some((b"path", b"a\nb")), Some((b"uid", b"7")), None];
        assert_eq!(read(bytes).get(..2), want.get(..2));
        assert_eq!(read(b"6 k==\n"), [Some((&b"k"[..], &b"="[..]))]);
    }

    #[test]
    fn what_is_no_record_ends_them() {
        for bytes in [
            &b"x"[..],
            b"7 k=v\n",
            b"5 k=v\n",
            b"6 kxv\n",
            b"+6 k=v\n",
            b"99999999999999999999 k=v\n",
            b"2 \n",
            b"0 k=v\n",
        ] {
            assert_eq!(read(bytes), [None], "{bytes:?}");
        }
    }
}
