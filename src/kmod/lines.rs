//! The lines of an index file, found at memchr's speed: some have megabytes.

use std::ops::Range;

/// Where each line of `text` stands in it, without its end.
pub(super) fn ranges(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text).chain([text.len()]);
    ends.map(move |end| {
        let line = start..end;
        start = end + 1;
        line
    })
}

/// Each line of `text`, without its end.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    ranges(text).map(|line| text.get(line).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_as_the_standard_library_would() {
        for text in [&b""[..], b"\n", b"a", b"a\n", b"a\n\nbc", b"\n\n"] {
            let want: Vec<&[u8]> = text.split(|&b| b == b'\n').collect();
            assert_eq!(lines(text).collect::<Vec<_>>(), want);
        }
    }
}
