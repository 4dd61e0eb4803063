//! `modules.dep`: each module's file and the files it needs, as depmod wrote them.
//!
//! A distribution's kernel has thousands of lines, and an image asks for a few: what a module needs
//! is read only when it is asked for.

use std::ops::Range;

use super::lines::ranges;
use crate::image_path::ImagePath;

/// The text, one module a line.
#[derive(Debug, Default)]
pub struct DepFile {
    text: Vec<u8>,
}

/// Where the needs of one module stand in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The number of their line, from 1.
    pub line: usize,
    words: Range<usize>,
}

impl DepFile {
    /// The file with this text. A backslash before a line's end joins it to the next, as
    /// module-init-tools wrote long lines.
    #[must_use]
    pub fn new(text: Vec<u8>) -> DepFile {
        let text = match memchr::memmem::find(&text, b"\\\n") {
            Some(_) => joined(&text),
            None => text,
        };
        DepFile { text }
    }

    /// The lines that are neither empty nor comments: the module's file, relative to the module
    /// directory, and its needs; or the number of a line that is none of a `modules.dep`.
    pub fn lines(&self) -> impl Iterator<Item = Result<(ImagePath, Needs), usize>> {
        ranges(&self.text).enumerate().filter_map(|(index, line)| {
            let first = self.bytes(&line).trim_ascii_start().first();
            let is_empty = matches!(first, None | Some(b'#'));
            (!is_empty).then(|| self.parse(index + 1, line).ok_or(index + 1))
        })
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn parse(&self, line: usize, range: Range<usize>) -> Option<(ImagePath, Needs)> {
        let colon = range.start + memchr::memchr(b':', self.bytes(&range))?;
        let module = relative(self.bytes(&(range.start..colon)))?;
        let words = colon + 1..range.end;
        Some((module, Needs { line, words }))
    }

    /// What a module needs, direct or not, the last to be loaded first: paths relative to the
    /// module directory, and nothing for a word that is no path below it.
    pub fn needs(&self, needs: &Needs) -> impl Iterator<Item = Option<ImagePath>> {
        let words = self.bytes(&needs.words).split(u8::is_ascii_whitespace);
        words.filter(|word| !word.is_empty()).map(relative)
    }

    fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

/// The text with continued lines in one, and as many empty ones after it, lest the numbers of the
/// following lines change.
fn joined(text: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(text.len());
    let mut swallowed = 0;
    for line in text.split_inclusive(|&b| b == b'\n') {
        if let Some(continued) = line.strip_suffix(b"\\\n") {
            whole.extend_from_slice(continued);
            swallowed += 1;
        } else {
            whole.extend_from_slice(line);
            whole.resize(whole.len() + std::mem::take(&mut swallowed), b'\n');
        }
    }
    whole
}

/// The path relative to the module directory. Before kmod, depmod wrote absolute ones; the
/// directory they name may since have been renamed, so whatever stands after `lib/modules/` goes.
fn relative(path: &[u8]) -> Option<ImagePath> {
    let path = path.trim_ascii();
    let inner = if path.starts_with(b"/") {
        let marker = b"/lib/modules/";
        let at = path
            .windows(marker.len())
            .position(|window| window == marker)?;
        let below = path.get(at + marker.len()..)?;
        below.get(below.iter().position(|&b| b == b'/')? + 1..)?
    } else {
        path
    };
    ImagePath::new(inner).ok().filter(|path| !path.is_root())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = Result<(usize, String, Vec<Option<String>>), usize>;

    fn read(text: &str) -> Vec<Line> {
        let file = DepFile::new(text.as_bytes().to_vec());
        let shown = |(module, needs): (ImagePath, Needs)| {
            let paths = file.needs(&needs).map(|need| need.map(|n| n.to_string()));
            (needs.line, module.to_string(), paths.collect())
        };
        file.lines().map(|line| line.map(shown)).collect()
    }

    fn line(number: usize, module: &str, needs: &[&str]) -> Line {
        let needs = needs.iter().map(|need| Some((*need).to_owned()));
        Ok((number, module.to_owned(), needs.collect()))
    }

    #[test]
    fn lines_of_every_age_read_alike() {
        for (text, second) in [
            ("kernel/a.ko: kernel/b.ko c.ko\nc.ko:\n", 2),
            (
                "/lib/modules/2.6.9-x/kernel/a.ko: /lib/modules/2.6.9-x/kernel/b.ko \\\n\t/lib/modules/2.6.9-x/c.ko\n\n/lib/modules/2.6.9-x/c.ko:\n",
                4,
            ),
            (
                "/usr/lib/modules/6.1/kernel/a.ko: kernel/b.ko c.ko\n# comment\nc.ko:",
                3,
            ),
        ] {
            let want = [
                line(1, "/kernel/a.ko", &["/kernel/b.ko", "/c.ko"]),
                line(second, "/c.ko", &[]),
            ];
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_of_the_tree_is_told_apart() {
        let text = "a.ko: ../b.ko c.ko\nnoise\n../../etc/passwd: b.ko\n/etc/shadow:\n";
        let needs = vec![None, Some("/c.ko".to_owned())];
        let first = Ok((1, "/a.ko".to_owned(), needs));
        assert_eq!(read(text), [first, Err(2), Err(3), Err(4)]);
    }
}
