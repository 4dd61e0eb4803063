//! The lines of a text, found by what they begin with, in little more memory than the text's own.
//!
//! In: a text. Out: for each key, which is what stands before a mark, its last line.

use super::lines::ranges;

/// A text whose lines have keys.
#[derive(Debug, Default)]
pub struct LineIndex {
    text: Vec<u8>,
    mark: u8,
    /// Where the last line of each key starts, sorted by key.
    starts: Vec<u32>,
}

impl LineIndex {
    /// The lines of `text`, less than 4 GiB of it. A line's key ends before the first `mark`; a line without
    /// one is all key.
    #[must_use]
    pub fn new(text: Vec<u8>, mark: u8) -> LineIndex {
        let lines = ranges(&text).filter(|line| !line.is_empty());
        let mut starts: Vec<u32> = lines.map(|line| line.start as u32).collect();
        let key = |start: &u32| split(&text, *start, mark).0;
        starts.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(b.cmp(a)));
        starts.dedup_by(|later, first| key(later) == key(first));
        starts.shrink_to_fit();
        LineIndex { text, mark, starts }
    }

    /// What stands behind the mark in the last line with this key.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let line = |start: &u32| split(&self.text, *start, self.mark);
        let found = self.starts.binary_search_by(|start| line(start).0.cmp(key));
        self.starts.get(found.ok()?).map(|start| line(start).1)
    }

    /// Every key, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let starts = self.starts.iter();
        starts.map(|start| split(&self.text, *start, self.mark).0)
    }
}

/// The key of the line that starts there, and what stands behind its mark.
fn split(text: &[u8], start: u32, mark: u8) -> (&[u8], &[u8]) {
    let rest = text.get(start as usize..).unwrap_or_default();
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let line = rest.get(..end).unwrap_or_default();
    let key = memchr::memchr(mark, line).unwrap_or(end);
    let (key, value) = line.split_at_checked(key).unwrap_or_default();
    (key, value.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_lines_with_one_key_the_last_is_found() {
        let text = b"b=1\na=2\n\nb=3=4\nalone\nab=\nb".to_vec();
        let index = LineIndex::new(text, b'=');
        for (key, value) in [
            ("a", Some("2")),
            ("ab", Some("")),
            ("alone", Some("")),
            ("b", Some("")),
            ("", None),
            ("b=3", None),
            ("c", None),
        ] {
            assert_eq!(
                index.find(key.as_bytes()),
                value.map(str::as_bytes),
                "{key}"
            );
        }
        let keys: Vec<&[u8]> = index.keys().collect();
        assert_eq!(keys, [&b"a"[..], b"ab", b"alone", b"b"]);
        assert_eq!(LineIndex::default().find(b""), None);
    }
}
