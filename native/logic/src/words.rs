//! The words of a kernel command line, as `next_arg` in the kernel's `lib/cmdline.c` takes them apart.

use crate::text::split_once;

/// A word, taken at its first `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// What stands before the `=`, or all of the word.
    pub name: &'a [u8],
    /// What stands behind it, without the quotes around it.
    pub value: Option<&'a [u8]>,
}

impl<'a> Word<'a> {
    /// The module and the name, where this is a parameter for a module: `MODULE.NAME`.
    #[must_use]
    pub fn of_module(&self) -> Option<(&'a [u8], &'a [u8])> {
        split_once(self.name, b'.')
    }
}

/// The words of a line, up to `--`, behind which everything is for the root's init.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// The words of this line.
    #[must_use]
    pub fn of(line: &'a [u8]) -> Self {
        Words { rest: line }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let start = self.rest.iter().position(|byte| !is_space(*byte))?;
        let line = self.rest.get(start..)?;
        let end = length(line);
        let (word, rest) = line.split_at_checked(end)?;
        self.rest = rest;
        let word = read(word);
        if word.name == b"--" && word.value.is_none() {
            self.rest = &[];
            return None;
        }
        Some(word)
    }
}

/// A space between double quotes ends no word.
fn length(line: &[u8]) -> usize {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            _ if is_space(*byte) && !quoted => return at,
            _ => {}
        }
    }
    line.len()
}

/// Quotes are taken off around the whole word and around its value; further in they stand for themselves.
fn read(word: &[u8]) -> Word<'_> {
    let word = unquoted(word);
    // A word that begins with `=` has no value.
    let value = word.iter().skip(1).position(|byte| *byte == b'=');
    match value.and_then(|at| Some((word.get(..at + 1)?, word.get(at + 2..)?))) {
        Some((name, value)) => Word {
            name,
            value: Some(unquoted(value)),
        },
        None => Word {
            name: word,
            value: None,
        },
    }
}

fn unquoted(text: &[u8]) -> &[u8] {
    match text.strip_prefix(b"\"") {
        Some(inner) => inner.strip_suffix(b"\"").unwrap_or(inner),
        None => text,
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn words(line: &str) -> Vec<(&str, Option<&str>)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let words = Words::of(line.as_bytes());
        words
            .map(|word| (text(word.name), word.value.map(text)))
            .collect()
    }

    #[test]
    fn words_are_taken_apart_as_the_kernel_does() {
        for (line, want) in [
            ("", std::vec![]),
            (" ro  quiet\n", std::vec![("ro", None), ("quiet", None)]),
            (
                "root=UUID=a-b x=",
                std::vec![("root", Some("UUID=a-b")), ("x", Some(""))],
            ),
            (
                "root=\"LABEL=a b\" c",
                std::vec![("root", Some("LABEL=a b")), ("c", None)],
            ),
            (
                "\"root=LABEL=a b\" c",
                std::vec![("root", Some("LABEL=a b")), ("c", None)],
            ),
            ("a=\"b", std::vec![("a", Some("b"))]),
            ("a=b\" c\"d", std::vec![("a", Some("b\" c\"d"))]),
            ("=a b", std::vec![("=a", None), ("b", None)]),
            ("a -- b=c", std::vec![("a", None)]),
            (
                "a --=b c",
                std::vec![("a", None), ("--", Some("b")), ("c", None)],
            ),
            ("\"", std::vec![("", None)]),
        ] {
            assert_eq!(words(line), want, "{line}");
        }
    }

    #[test]
    fn a_parameter_for_a_module_has_a_dot_in_its_name() {
        let word = |line| Words::of(line).next().unwrap().of_module();
        assert_eq!(word(b"nvme.a=b.c"), Some((&b"nvme"[..], &b"a"[..])));
        assert_eq!(word(b"root=b.c"), None);
    }
}
